"""A message that ends the process while it is built is known by that at the next start."""

import collections.abc
import dataclasses
import datetime as dt
import os
import pathlib
import typing

import pytest

from mailtier.api import vocabulary
from mailtier.mail import render
from mailtier.sender import ports
from mailtier.sender.delivering import builder, marked_builder, templates
from mailtier.sender.storage import build_mark
from mailtier.settings import effective

_FROM = effective.From(address="a@example.com", display_name=None, reply_to=None, envelope="a@example.com")
_JOB = ports.Job(
    recipient_number=7,
    notification_id="n-7",
    lane=ports.LaneKey(namespace_uid="uid", namespace="team-a", organization="default"),
    category=vocabulary.Category.JOB_ALERT,
    severity=vocabulary.Severity.ERROR,
    locale=vocabulary.Locale.ENGLISH,
    rcpt_to="a@example.org",
    subject="Nightly failed",
    text="It ran out of memory.",
    data={},
    accepted_at=dt.datetime(2026, 11, 24, 12, tzinfo=dt.UTC),
    expires_at=dt.datetime(2026, 11, 25, 12, tzinfo=dt.UTC),
    attempts=0,
    doubts=0,
    snapshot=None,
)


class _DeadlyTemplates:
    def find(self, *_: object) -> typing.NoReturn:
        os._exit(9)


def _open(folder: pathlib.Path, sources: typing.Any = None) -> builder.Builder:
    """Return a builder as a process has it that starts."""
    return marked_builder.MarkedBuilder(
        sources or templates.Templates(), build_mark.BuildMark.open(folder / "building")
    )


def _die_of(folder: pathlib.Path, job: ports.Job, *, after: collections.abc.Sequence[ports.Job] = ()) -> None:
    """Have a process end while a message is built, behind others that it builds."""
    child = os.fork()
    if not child:
        messages = _open(folder)
        for each in after:
            messages.build(each, _FROM)
        _open(folder, _DeadlyTemplates()).build(job, _FROM)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9


def test_what_ended_two_processes_is_not_built_again(tmp_path: pathlib.Path) -> None:
    """Once may have another cause; others are built all the same, those before it and those after it (R4)."""
    other = dataclasses.replace(_JOB, recipient_number=8, notification_id="n-8")
    _die_of(tmp_path, _JOB, after=[other])
    _die_of(tmp_path, _JOB, after=[other])
    messages = _open(tmp_path)
    with pytest.raises(render.RenderError, match="the sender ended 2 times while it was built"):
        messages.build(_JOB, _FROM)
    assert messages.build(other, _FROM).data
    # Its number is another's meanwhile.
    assert messages.build(dataclasses.replace(_JOB, notification_id="n-9"), _FROM).data
    # A start alone changes nothing.
    with pytest.raises(render.RenderError):
        _open(tmp_path).build(_JOB, _FROM)


def test_what_could_be_built_after_all_begins_anew(tmp_path: pathlib.Path) -> None:
    """The process ended for another reason, and may again."""
    _die_of(tmp_path, _JOB)
    assert _open(tmp_path).build(_JOB, _FROM).data
    _die_of(tmp_path, _JOB)
    assert _open(tmp_path).build(_JOB, _FROM).data


def test_more_than_fit_push_the_earliest_out(tmp_path: pathlib.Path) -> None:
    """A page has room for so many; the latest are those that matter."""
    mark = build_mark.BuildMark.open(tmp_path / "building")
    jobs = [
        dataclasses.replace(_JOB, recipient_number=number, notification_id=f"n-{number}") for number in range(1, 90)
    ]
    for job in jobs:
        mark.begin(job)
        mark.close()
        mark = build_mark.BuildMark.open(tmp_path / "building")
    counted = [job.recipient_number for job in jobs if mark.times(job)]
    assert counted == list(range(90 - len(counted), 90))
    assert 50 < len(counted) < 80
