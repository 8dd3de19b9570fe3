"""A delivery that is cancelled, at whichever of its awaits, as a sender that ends does it."""

import asyncio
import dataclasses
import itertools
import pathlib

import pytest

from kit import backends, certs, interruption, logins, sending, wait
from mailtier.api import vocabulary
from mailtier.sender.storage.postgres import shared_queue

_S = vocabulary.RecipientState
_MOST_AWAITS = 200

pytestmark = backends.BOTH


async def _cancel(
    login: logins.Login, sender: sending.Sender, interrupting: interruption.Interruption, *recipients: str
) -> tuple[str, asyncio.Task[None]]:
    """Return a notification whose delivery was cancelled, or has ended before, and that delivery."""
    workers = interruption.Workers(interrupting, kind="Carriers._carry")
    sender.delivery._workers = sender.delivery._carriers.background = workers
    sent = await sender.notify(login.settings, *recipients)
    await wait.until_async(
        lambda: workers.first is not None and workers.first.done(), within_seconds=20, why="the delivery is over"
    )
    assert workers.first is not None
    return sent, workers.first


async def _until_closed(login: logins.Login) -> None:
    await wait.until_async(lambda: login.server.open_connections == 0, within_seconds=5, why="every session has ended")


@pytest.mark.parametrize("late", [False, True], ids=["while it waits", "when what it waits for is there"])
async def test_a_delivery_may_be_cancelled_anywhere(
    tmp_path: pathlib.Path,
    shared: shared_queue.SharedOptions | None,
    serve: logins.Serve,
    authority: certs.Authority,
    leaf: certs.Leaf,
    *,
    late: bool,
) -> None:
    """The slot and the connection are given back, nothing is lost, and only what is in doubt goes twice (R4)."""
    for at in itertools.count():
        assert at < _MOST_AWAITS
        interrupting = interruption.Interruption(at=at, late=late)
        async with sending.Sender(tmp_path / str(at), shared=shared) as sender:
            login = await logins.start(sender, serve, authority, leaf)
            of = sender.settings.put(login.settings)
            sent, task = await _cancel(login, sender, interrupting)
            target = sender.destinations.get(of)
            assert (at, target.busy) == (at, 0)
            await sender.stop()
            assert (at, target.connections) == (at, 0)
            await _until_closed(login)
        async with sending.Sender(tmp_path / str(at), before=sender) as again:
            (stands,) = await again.states(of, sent)
            assert stands in {_S.QUEUED, _S.IN_DOUBT, _S.ACCEPTED}
            if stands is _S.IN_DOUBT:
                again.skip(301)
            await again.until(of, sent, _S.ACCEPTED)
            copies = [message.data for message in login.server.messages]
            assert (at, len(set(copies))) == (at, 1)
            assert len(copies) <= (2 if stands is _S.IN_DOUBT else 1), (at, stands)
        await login.server.stop()
        if not interrupting.happened:
            assert not task.cancelled()
            break
    # As many as a login over TLS and a transaction have at least.
    assert at > 10


@pytest.mark.parametrize("late", [False, True], ids=["while it waits", "when what it waits for is there"])
async def test_what_was_announced_behind_a_cancelled_delivery_is_safe(
    tmp_path: pathlib.Path,
    shared: shared_queue.SharedOptions | None,
    serve: logins.Serve,
    authority: certs.Authority,
    leaf: certs.Leaf,
    *,
    late: bool,
) -> None:
    """Three messages of which each is announced behind the one before: none is lost, none twice but in doubt (R4)."""
    recipients = [f"m{number}@example.org" for number in range(3)]
    followed = 0
    for at in itertools.count():
        assert at < _MOST_AWAITS
        interrupting = interruption.Interruption(at=at, late=late)
        async with sending.Sender(tmp_path / str(at), shared=shared) as sender:
            login = await logins.start(sender, serve, authority, leaf)
            alone = dataclasses.replace(login.settings.delivery, max_connections=1)
            login = dataclasses.replace(login, settings=dataclasses.replace(login.settings, delivery=alone))
            of = sender.settings.put(login.settings)
            # As long as a server was never seen to work, nothing is announced to it.
            await sender.until(of, await sender.notify(of), _S.ACCEPTED)
            target = sender.destinations.get(of)
            await wait.until_async(lambda target=target: target.busy == 0, within_seconds=5, why="nothing is under way")
            sent, task = await _cancel(login, sender, interrupting, *recipients)
            await sender.stop()
            assert (at, target.busy, target.connections) == (at, 0, 0)
            await _until_closed(login)
        async with sending.Sender(tmp_path / str(at), before=sender) as again:
            stand = await again.states(of, sent)
            assert {_S.QUEUED, _S.IN_DOUBT, _S.ACCEPTED}.issuperset(stand)
            if _S.IN_DOUBT in stand:
                again.skip(301)
            await again.until(of, sent, *[_S.ACCEPTED] * 3)
        for recipient, stood in zip(recipients, stand, strict=True):
            copies = [message.data for message in login.server.messages if message.rcpt_to == (recipient,)]
            assert (at, recipient, len(set(copies))) == (at, recipient, 1)
            assert len(copies) <= (2 if stood is _S.IN_DOUBT else 1), (at, recipient, stood)
        followed += sum(message.is_followed for message in login.server.messages)
        await login.server.stop()
        if not interrupting.happened:
            assert not task.cancelled()
            break
    assert at >= 3
    assert followed
