"""Messages that end the process which builds them, and builders as a process has them that starts."""

import collections.abc
import datetime as dt
import os
import pathlib
import typing

from mailtier.api import vocabulary
from mailtier.sender import ports
from mailtier.sender.delivering import builder, marked_builder, templates
from mailtier.sender.storage import build_mark
from mailtier.settings import effective

FROM = effective.From(address="a@example.com", display_name=None, reply_to=None, envelope="a@example.com")


def job(number: int, *, namespace: str = "team-a") -> ports.Job:
    """Return a message of a namespace."""
    return ports.Job(
        recipient_number=number,
        notification_id=f"n-{number}",
        lane=ports.LaneKey(namespace_uid=f"uid-{namespace}", namespace=namespace, organization="default"),
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


def open_builder(folder: pathlib.Path, sources: typing.Any = None) -> builder.Builder:
    """Return a builder as a process has it that starts."""
    return marked_builder.MarkedBuilder(
        sources or templates.Templates(), build_mark.BuildMark.open(folder / "building")
    )


def die_of(folder: pathlib.Path, deadly: ports.Job, *, after: collections.abc.Sequence[ports.Job] = ()) -> None:
    """Have a process end while a message is built, behind others that it builds."""
    child = os.fork()
    if not child:
        messages = open_builder(folder)
        for each in after:
            messages.build(each, FROM)
        open_builder(folder, _DeadlyTemplates()).build(deadly, FROM)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
