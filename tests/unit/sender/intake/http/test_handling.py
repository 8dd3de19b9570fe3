"""What people ask of the queue, where it is broken off."""

import contextlib
import types
import typing

import pytest
import structlog

from mailtier.sender.intake.http import entrance, problems, queue_turns
from mailtier.sender.intake.http.people import handling


class _AbsentQueue:
    """A desk whose queue drops the first notification and then stands still."""

    async def drop(self, namespace: str, id_: str) -> None:
        if id_ != "first":
            raise TimeoutError


class _OpenDoor:
    async def namespace(self, request: object, verb: str) -> types.SimpleNamespace:
        return types.SimpleNamespace(username="somebody")


class _OneBody:
    async def read(self, namespace: str, receive: object) -> bytes:
        return b'{"ids": ["first", "second", "third"]}'


class _Question(dict[typing.Any, typing.Any]):
    content_type, charset, headers = "application/json", None, dict[str, str]()
    match_info: typing.ClassVar = {"namespace": "team-a"}
    read = None


async def test_what_was_done_before_it_was_broken_off_is_logged() -> None:
    """Somebody did it, and whoever looks for it finds a line."""
    turns = queue_turns.QueueTurns("lists")
    people = handling.People(_AbsentQueue(), _OpenDoor(), _OneBody(), delivery=None, turns=turns)  # type: ignore[arg-type]
    line = types.SimpleNamespace(reading=contextlib.nullcontext)
    with structlog.testing.capture_logs() as lines, pytest.raises(problems.HttpProblem) as caught:
        await people.drop(_Question({entrance.CONNECTION: line}))  # type: ignore[arg-type]
    assert caught.value.kind is problems.QUEUE_AWAY
    (told,) = lines
    assert (told["caller"], told["namespace"], told["ids"], told["left"]) == ("somebody", "team-a", ["first"], 2)
