"""A defect of ours is told like any other cause, and costs a message nothing but time."""

import collections.abc
from typing import NoReturn

import pytest

from kit import sending, smtpd, wait
from mailtier.api import vocabulary

Serve = collections.abc.Callable[..., collections.abc.Awaitable[smtpd.Server]]
_S = vocabulary.RecipientState


async def test_what_a_defect_keeps_back_says_so(
    sender: sending.Sender, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is deferred with a reason of its own and charged no attempt, and goes once the defect does not show."""

    def defect(*_arguments: object) -> NoReturn:
        raise RuntimeError("a defect")

    of = sender.settings.put(sending.settings("team-a", sending.endpoint(await serve())))
    with monkeypatch.context() as broken:
        broken.setattr(sender.tokens, "peek", defect)
        sent = await sender.notify(of)
        (told,) = await sender.until(of, sent, _S.DEFERRED)
        assert (told.reason, told.attempts) == ("SenderDefect", 0)

    async def is_accepted() -> bool:
        sender.skip(31)
        return await sender.states(of, sent) == [_S.ACCEPTED]

    await wait.until_async(is_accepted, within_seconds=10, why="it is accepted", poll_seconds=0.2)


async def test_a_queue_that_takes_no_note_is_no_defect(
    sender: sending.Sender, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is sent or charged while a final dot cannot be noted, as in a failover; then the message goes (R4)."""
    tried = 0

    async def away(*_arguments: object) -> NoReturn:
        nonlocal tried
        tried += 1
        raise OSError("the final dot could not be noted")

    server = await serve()
    of = sender.settings.put(sending.settings("team-a", sending.endpoint(server)))
    with monkeypatch.context() as broken:
        broken.setattr(sender.queue, "note_dot", away)
        sent = await sender.notify(of)
        await wait.until_async(lambda: tried, within_seconds=10, why="a dot is to be noted")
        sender.skip(6)
        await wait.until_async(lambda: tried > 1, within_seconds=10, why="it is tried again after a few seconds")
        assert await sender.states(of, sent) == [_S.QUEUED]
        assert server.messages == []
    sender.skip(6)
    (told,) = await sender.until(of, sent, _S.ACCEPTED)
    assert told.attempts == 1
