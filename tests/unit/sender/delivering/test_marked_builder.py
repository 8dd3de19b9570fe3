"""A message that ends the process while it is built is known by that at the next start."""

import dataclasses
import pathlib

import pytest

from kit import dying
from mailtier.mail import render
from mailtier.sender.storage import build_mark

_JOB = dying.job(7)


def test_what_ended_two_processes_is_not_built_again(tmp_path: pathlib.Path) -> None:
    """Once may have another cause; others are built all the same, those before it and those after it (R4)."""
    other = dying.job(8)
    dying.die_of(tmp_path, _JOB, after=[other])
    dying.die_of(tmp_path, _JOB, after=[other])
    messages = dying.open_builder(tmp_path)
    with pytest.raises(render.RenderError, match="the sender ended 2 times while it was built"):
        messages.build(_JOB, dying.FROM)
    assert messages.build(other, dying.FROM).data
    # Its number is another's meanwhile.
    assert messages.build(dataclasses.replace(_JOB, notification_id="n-9"), dying.FROM).data
    # A start alone changes nothing.
    with pytest.raises(render.RenderError):
        dying.open_builder(tmp_path).build(_JOB, dying.FROM)


def test_what_could_be_built_after_all_begins_anew(tmp_path: pathlib.Path) -> None:
    """The process ended for another reason, and may again."""
    dying.die_of(tmp_path, _JOB)
    assert dying.open_builder(tmp_path).build(_JOB, dying.FROM).data
    dying.die_of(tmp_path, _JOB)
    assert dying.open_builder(tmp_path).build(_JOB, dying.FROM).data


def test_more_than_fit_push_the_earliest_out(tmp_path: pathlib.Path) -> None:
    """A page has room for so many; the latest are those that matter."""
    mark = build_mark.BuildMark.open(tmp_path / "building")
    jobs = [dying.job(number) for number in range(1, 90)]
    for job in jobs:
        mark.begin(job)
        mark.close()
        mark = build_mark.BuildMark.open(tmp_path / "building")
    counted = [job.recipient_number for job in jobs if mark.times(job)]
    assert counted == list(range(90 - len(counted), 90))
    assert 50 < len(counted) < 80
