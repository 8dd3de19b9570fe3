"""A defect of ours is told like any other cause, and costs a message nothing but time."""

import collections.abc
from typing import NoReturn

import pytest

from kit import backends, sending, smtpd, wait
from mailtier.api import vocabulary
from mailtier.sender.delivering.attempting import consequences

Serve = collections.abc.Callable[..., collections.abc.Awaitable[smtpd.Server]]
_S = vocabulary.RecipientState

pytestmark = backends.BOTH


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


@pytest.mark.parametrize(
    ("behaviour", "ends"),
    [
        (smtpd.Behaviour(), (_S.ACCEPTED, "", 1)),
        (smtpd.Behaviour(drop=smtpd.Drop.BEFORE), (_S.IN_DOUBT, "SenderDefect", 0)),
    ],
    ids=["accepted", "in doubt"],
)
async def test_what_may_have_arrived_is_not_sent_again_because_of_a_defect(
    sender: sending.Sender,
    serve: Serve,
    monkeypatch: pytest.MonkeyPatch,
    behaviour: smtpd.Behaviour,
    ends: tuple[vocabulary.RecipientState, str, int],
) -> None:
    """Where what an attempt means cannot be decided, it is stored all the same that its final dot had left (R4)."""

    def defect(*_arguments: object) -> NoReturn:
        raise RuntimeError("a defect")

    state, reason, arrived = ends
    server = await serve()
    server.script.on(smtpd.DOT, behaviour)
    of = sender.settings.put(sending.settings("team-a", sending.endpoint(server)))
    with monkeypatch.context() as broken:
        broken.setattr(consequences, "decide", defect)
        sent = await sender.notify(of)
        (told,) = await sender.until(of, sent, state)
    assert (told.reason, told.attempts) == (reason, 1)
    sender.skip(31)
    assert await sender.states(of, sent) == [state]
    assert len(server.messages) == arrived
