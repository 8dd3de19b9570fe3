"""Delivery tells a server of the next message with the dot of the one before (RFC 2920), and owes it nothing."""

import collections.abc
import dataclasses
import datetime as dt
import pathlib
import typing

import pytest

from kit import listening, queues, sending, wait
from mailtier.api import vocabulary
from mailtier.sender import ports
from mailtier.sender.delivering.attempting import announcing
from mailtier.settings import effective

_S = vocabulary.RecipientState
_SLOW, _NEXT = "slow@example.org", "next@example.org"


@pytest.fixture
async def server() -> collections.abc.AsyncIterator[listening.ListeningServer]:
    """Return a server that waits for the next envelope before it answers a message."""
    async with listening.ListeningServer() as running:
        yield running


def _put(
    sender: sending.Sender, server: listening.ListeningServer, namespace: str = "team-a", **changes: typing.Any
) -> effective.Effective:
    at = effective.Endpoint(
        host=server.host,
        port=server.port,
        tls=sending.PLAIN,
        addresses=sending.LOOPBACK,
        origin=vocabulary.Origin.HOST,
        is_host_s=True,
    )
    return sender.settings.put(sending.settings(namespace, at, **{"max_connections": 1, **changes}))


async def _prove(sender: sending.Sender, of: effective.Effective) -> None:
    """Have a server take a first message: as long as it was never seen to work, it is given one at a time."""
    await sender.until(of, await sender.notify(of, "first@example.org"), _S.ACCEPTED)


async def _until_announced(sender: sending.Sender, server: listening.ListeningServer, of: effective.Effective) -> str:
    """Return a notification to two, of whom the first is not answered yet and the next is announced behind him."""
    await _prove(sender, of)
    server.held.add(_SLOW)
    sent = await sender.notify(of, _SLOW, _NEXT)
    await wait.until_async(lambda: server.waiting, within_seconds=20, why="the server has the message")
    assert [(each.rcpt_to, each.announced) for each in server.waiting] == [(_SLOW, _NEXT)]
    return sent


async def _queued(sender: sending.Sender, of: effective.Effective, *recipients: str) -> ports.Enqueued:
    """Return what was queued, of which delivery has not been told."""
    now = sender.clock.wall()
    new = queues.notification(
        lane=sending.lane(of), recipients=recipients, accepted_at=now, expires_at=now + dt.timedelta(hours=1)
    )
    return await queues.enqueue(sender.queue, new, quota=ports.QueueQuota())


async def _attempts(sender: sending.Sender, of: effective.Effective, sent: str) -> list[int]:
    record = await sender.queue.find(sending.lane(of), sent)
    assert record is not None
    return [recipient.attempts for recipient in record.recipients]


def _numbered(count: int) -> list[str]:
    return [f"m{number}@example.org" for number in range(count)]


async def test_a_backlog_is_announced(sender: sending.Sender, server: listening.ListeningServer) -> None:
    """Behind each message but the last the next one is, over one connection, and each arrives once."""
    of = _put(sender, server)
    await _prove(sender, of)
    sent = await sender.notify(of, *_numbered(9))
    await sender.until(of, sent, *[_S.ACCEPTED] * 9)
    assert server.recipients[1:] == _numbered(9)
    assert server.announced == server.recipients[2:]
    assert server.connections == 1


async def test_nothing_is_announced_to_a_server_that_was_never_seen_to_work(
    sender: sending.Sender, server: listening.ListeningServer
) -> None:
    """Its first message decides whether there is a next one."""
    of = _put(sender, server)
    await sender.until(of, await sender.notify(of, *_numbered(2)), _S.ACCEPTED, _S.ACCEPTED)
    assert server.announced == []


async def test_nothing_is_announced_where_it_is_the_server_that_takes_its_time(sender: sending.Sender) -> None:
    """It would save next to nothing, and whoever comes meanwhile would wait for two messages instead of one (R15)."""
    async with listening.ListeningServer(is_far=False, patience_seconds=0.1) as server:
        of = _put(sender, server)
        await _prove(sender, of)
        await sender.until(of, await sender.notify(of, *_numbered(4)), *[_S.ACCEPTED] * 4)
        assert server.announced == []


async def test_nothing_is_announced_without_pipelining(sender: sending.Sender) -> None:
    """A command waits for the reply to the one before it (RFC 5321 section 4.1.4)."""
    async with listening.ListeningServer(pipelining=False) as server:
        of = _put(sender, server)
        await _prove(sender, of)
        await sender.until(of, await sender.notify(of, *_numbered(3)), *[_S.ACCEPTED] * 3)
        assert server.announced == []


async def test_a_connection_carries_as_many_messages_as_it_may(
    sender: sending.Sender, server: listening.ListeningServer
) -> None:
    """What is announced counts: none is behind the last one that a connection may have."""
    of = _put(sender, server, messages_per_connection=3)
    await _prove(sender, of)
    await sender.until(of, await sender.notify(of, *_numbered(5)), *[_S.ACCEPTED] * 5)
    assert [each.connection for each in server.taken] == [0, 0, 0, 1, 1, 1]
    assert [each.announced is not None for each in server.taken] == [False, True, False, True, True, False]


async def test_a_connection_is_used_for_five_minutes(sender: sending.Sender) -> None:
    """However much it is used: then another one is opened, which may lead elsewhere."""
    async with listening.ListeningServer(patience_seconds=0) as server:
        of = _put(sender, server)
        await _prove(sender, of)
        for _ in range(32):
            # Less than an idle one is kept.
            sender.skip(9.5)
            await _prove(sender, of)
        assert [each.connection for each in server.taken] == [*[0] * 32, 1]


async def test_those_who_share_a_connection_are_announced_in_their_turns(sender: sending.Sender) -> None:
    """Neither of two namespaces waits until the other is done (R15).

    Turns are of time: whose message came first, before which nothing was announced, gives way to some of the other's.
    """
    each_sends, first = 60, 80
    async with listening.ListeningServer(patience_seconds=0.15) as server:
        teams = [_put(sender, server, name, from_address=f"{name}@example.com") for name in ("team-a", "team-b")]
        await _prove(sender, teams[0])
        sent = [await _queued(sender, of, *_numbered(each_sends)) for of in teams]
        sender.delivery.ring([pending for each in sent for pending in each.pending])
        for of, each in zip(teams, sent, strict=True):
            await sender.until(of, each.id, *[_S.ACCEPTED] * each_sends)
        order = [each.mail_from for each in server.taken[1:]]
        shares = [order[:first].count(f"{name}@example.com") for name in ("team-a", "team-b")]
        assert min(shares) > first - each_sends, order
        assert len(server.announced) >= len(order) * 0.9


@pytest.mark.parametrize("rate", ["endpoint_rate_per_minute", "namespace_rate"])
async def test_a_rate_is_kept(sender: sending.Sender, server: listening.ListeningServer, rate: str) -> None:
    """What may not go yet is not announced."""
    of = _put(sender, server, **{rate: 20})
    await _prove(sender, of)
    await sender.notify(of, *_numbered(9))
    await wait.until_async(lambda: len(server.taken) >= 2, within_seconds=20, why="the burst has gone")
    await wait.until_async(
        lambda: sender.destinations.get(of).busy == 0, within_seconds=20, why="the others wait for their minute"
    )
    assert len(server.taken) == 2
    assert server.connections == 1


async def test_nothing_is_announced_where_the_endpoint_has_a_rate(
    sender: sending.Sender, server: listening.ListeningServer
) -> None:
    """Each message asks for its leave when it goes, also within a burst."""
    of = _put(sender, server, endpoint_rate_per_minute=100)
    await _prove(sender, of)
    await sender.until(of, await sender.notify(of, *_numbered(4)), *[_S.ACCEPTED] * 4)
    assert server.announced == []
    assert server.connections == 1


async def test_who_was_announced_goes_with_the_settings_that_hold_then(
    sender: sending.Sender, server: listening.ListeningServer
) -> None:
    """They changed meanwhile: the connection ends, and the message is built anew for another one."""
    of = _put(sender, server)
    sent = await _until_announced(sender, server, of)
    _put(sender, server, from_address="other@example.com")
    server.go.set()
    await sender.until(of, sent, _S.ACCEPTED, _S.ACCEPTED)
    assert [(each.rcpt_to, each.mail_from, each.connection) for each in server.taken[1:]] == [
        (_SLOW, "noreply@example.com", 0),
        (_NEXT, "other@example.com", 1),
    ]
    assert await _attempts(sender, of, sent) == [1, 1]


async def test_who_was_announced_does_not_go_where_the_settings_forbid_it_by_then(
    sender: sending.Sender, server: listening.ListeningServer
) -> None:
    """The organization was suspended meanwhile: nothing was tried, and it goes once that is over."""
    of = _put(sender, server)
    sent = await _until_announced(sender, server, of)
    sender.settings.put(dataclasses.replace(of, state=effective.State.SUSPENDED))
    server.go.set()
    await wait.until_async(lambda: server.open_connections == 0, within_seconds=20, why="the connection has ended")
    await sender.until_held()
    await sender.until(of, sent, _S.ACCEPTED, _S.QUEUED)
    assert await _attempts(sender, of, sent) == [1, 0]
    sender.settings.put(of)
    await sender.until(of, sent, _S.ACCEPTED, _S.ACCEPTED)
    assert server.recipients[1:] == [_SLOW, _NEXT]


@pytest.mark.parametrize(
    ("reply", "stands"),
    [
        (b"", _S.IN_DOUBT),
        (b"421 4.3.2 leaving\r\n", _S.DEFERRED),
        (b"554 5.6.0 not this one\r\n", _S.FAILED),
        (b"what?\r\n", _S.IN_DOUBT),
    ],
    ids=["lost", "leaving", "refused", "garbage"],
)
async def test_what_becomes_of_the_message_before_is_its_own(
    sender: sending.Sender, server: listening.ListeningServer, reply: bytes, stands: vocabulary.RecipientState
) -> None:
    """Who was announced behind it arrives once, with one attempt, as soon as the server may be used."""
    of = _put(sender, server)
    server.replies[_SLOW] = reply
    sent = await _until_announced(sender, server, of)
    server.go.set()
    await sender.until(of, sent, stands, _S.QUEUED if stands is not _S.FAILED else _S.ACCEPTED)
    sender.skip(2)
    await sender.until(of, sent, stands, _S.ACCEPTED)
    assert server.recipients.count(_NEXT) == 1
    assert (await _attempts(sender, of, sent))[1] == 1


async def test_nobody_waits_behind_a_message_that_is_not_answered(
    sender: sending.Sender, server: listening.ListeningServer
) -> None:
    """Who was announced behind it goes over another connection, and the server is not told of anybody by that one."""
    of = _put(sender, server)
    sent = await _until_announced(sender, server, of)
    of = _put(sender, server, max_connections=2)
    sender.skip(announcing.PATIENCE_SECONDS + 1)
    await sender.until(of, sent, _S.QUEUED, _S.ACCEPTED)
    assert [each.connection for each in server.taken] == [0, 1]
    server.go.set()
    await sender.until(of, sent, _S.ACCEPTED, _S.ACCEPTED)
    assert server.recipients == ["first@example.org", _NEXT, _SLOW]
    assert await _attempts(sender, of, sent) == [1, 1]


async def test_a_sender_that_ends_owes_nothing_to_who_was_announced(
    tmp_path: pathlib.Path, server: listening.ListeningServer
) -> None:
    """It was not tried: the next process sends it, once, and has only the other one in doubt (R4)."""
    async with sending.Sender(tmp_path) as sender:
        of = _put(sender, server)
        sent = await _until_announced(sender, server, of)
        for part in sender.running:
            part.cancel()
        workers = sender.delivery._workers
        await wait.until_async(lambda: len(workers) > 0, within_seconds=5, why="something is under way")
        for task in list(workers._tasks):
            task.cancel()
        await sender.stop()
        server.go.set()
        await wait.until_async(lambda: server.open_connections == 0, within_seconds=20, why="the connection has ended")
    async with sending.Sender(tmp_path, before=sender) as again:
        await again.until(of, sent, _S.IN_DOUBT, _S.ACCEPTED)
        assert server.recipients == ["first@example.org", _SLOW, _NEXT]
        assert (await _attempts(again, of, sent))[1] == 1
