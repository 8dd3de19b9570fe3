"""What is queued stays in the queue: memory holds what is about to go, however much there is (R4, R11, R15)."""

import collections.abc
import datetime as dt
import pathlib
import tracemalloc

import pytest

from kit import backends, queues, sending, smtpd, wait
from mailtier.api import vocabulary
from mailtier.sender import ports
from mailtier.sender.delivering.keeping import claiming
from mailtier.sender.storage.postgres import shared_queue
from mailtier.sender.storage.sqlite import embedded
from mailtier.settings import effective

_S = vocabulary.RecipientState
Serve = collections.abc.Callable[..., collections.abc.Awaitable[smtpd.Server]]

pytestmark = backends.BOTH

_CROWD = tuple(f"u{number}@example.org" for number in range(20))
_ACTIVE = 64
_SHORT, _LONG = 50_000, 1_000_000
_MEMORY_BYTES = 16 * 1024 * 1024
"""Of Python's objects, with all that a sender at work has beside the active set."""


@pytest.fixture
async def small(
    tmp_path: pathlib.Path, shared: shared_queue.SharedOptions | None
) -> collections.abc.AsyncIterator[sending.Sender]:
    """Return a sender that has no more than a few recipients in memory."""
    async with sending.Sender(tmp_path / "queue", active=_ACTIVE, shared=shared) as running:
        yield running


async def _fill(
    folder: pathlib.Path, shared: shared_queue.SharedOptions | None, recipients: int, *, now: dt.datetime
) -> None:
    """Queue so many recipients of one organization."""
    queue: queues.WholeQueue
    if shared is None:
        queue = await embedded.open_queue(folder, now=lambda: now, limits=queues.LIMITS)
    else:
        queue = await shared_queue.open_queue(shared, now=lambda: now)
    quota = ports.QueueQuota(messages=10**9, payload_bytes=10**12, stored_bytes=10**12)
    lane = ports.LaneKey(namespace_uid="uid-crowd", namespace="crowd", organization="default")
    for _ in range(recipients // 2_000):
        new = (
            queues.notification(lane=lane, recipients=_CROWD, accepted_at=now, expires_at=now + dt.timedelta(hours=1))
            for _ in range(100)
        )
        await queue.enqueue_all([(each, quota) for each in new])
    await queue.close()


@pytest.mark.parametrize("queued", [_SHORT, pytest.param(_LONG, marks=pytest.mark.long)])
async def test_what_is_queued_costs_no_memory(
    tmp_path: pathlib.Path, shared: shared_queue.SharedOptions | None, serve: Serve, queued: int
) -> None:
    """However much an organization has queued, a start is quick, memory stays as it is, and others go on (R15)."""
    sender = sending.Sender(tmp_path / "queue", shared=shared)
    await _fill(tmp_path / "queue", shared, queued, now=sender.clock.wall())
    dead, alive = await serve(), await serve()
    dead.script.on(smtpd.GREETING, "421 4.3.2 Not now")
    sender.settings.put(sending.settings("crowd", sending.endpoint(dead)))
    of = sender.settings.put(sending.settings("quiet", sending.endpoint(alive)))
    tracemalloc.start()
    try:
        async with sender:
            await wait.until_async(lambda: dead.transcripts, within_seconds=30, why="the crowd's turn has come")
            await sender.until(of, await sender.notify(of), _S.ACCEPTED)
            counted = await sender.queue.counts()
            assert sum(counted.values()) == queued
            assert len(sender.delivery) <= 20_000 // 64
            _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    print(f"\n{queued:,} queued: {peak_bytes / 2**20:.1f} MiB of Python's objects at most, delivery included")
    assert peak_bytes < _MEMORY_BYTES


async def test_what_could_not_be_taken_is_taken_later(
    small: sending.Sender, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that trips what takes it in is claimed again, and so is nothing lost that was claimed with it (R4)."""
    server = await serve()
    of = small.settings.put(sending.settings("team-a", sending.endpoint(server)))
    take_in = claiming.Claimer.take_in
    stumbled: list[int] = []

    def stumble(self: claiming.Claimer, claimed: ports.Claimed) -> None:
        if not stumbled:
            stumbled.append(claimed.pending.recipient_number)
            raise RuntimeError
        take_in(self, claimed)

    monkeypatch.setattr(claiming.Claimer, "take_in", stumble)
    sent = await small.notify(of, *_CROWD)
    await small.until(of, sent, *[_S.ACCEPTED] * 20)
    assert len(stumbled) == 1
    assert len(server.messages) == 20


async def test_everything_goes_though_little_is_in_memory(small: sending.Sender, serve: Serve) -> None:
    """What was queued at once is claimed by and by, and each message goes once (R4)."""
    server = await serve()
    of = small.settings.put(sending.settings("team-a", sending.endpoint(server)))
    sent = [await small.notify(of, *_CROWD) for _ in range(20)]
    for each in sent:
        await small.until(of, each, *[_S.ACCEPTED] * 20)
    assert len(server.messages) == 400
    assert len(small.delivery) == 0


async def test_a_full_set_keeps_nobody_out(small: sending.Sender, serve: Serve) -> None:
    """Who waits for its rate with a hundred organizations fills memory, and another namespace's mail goes (R15)."""
    server = await serve()
    at = sending.endpoint(server)
    for number in range(100):
        of = small.settings.put(sending.settings("crowd", at, name=f"org-{number}", namespace_rate=1))
        await small.notify(of)
    await wait.until_async(lambda: len(small.delivery) == _ACTIVE, within_seconds=10, why="the crowd fills the set")
    quiet = small.settings.put(sending.settings("quiet", at))
    sent = [await small.notify(quiet) for _ in range(5)]
    for each in sent:
        await small.until(quiet, each, _S.ACCEPTED)
    assert len(small.delivery) <= _ACTIVE
    assert len(server.messages) == 6


async def test_what_is_held_is_shown_as_held_beyond_what_is_in_memory(small: sending.Sender, serve: Serve) -> None:
    """All that an organization has queued is shown as held, none of it stays in memory, and all of it goes later."""
    server = await serve()
    at = sending.endpoint(server)
    of = small.settings.put(sending.settings("team-a", at, state=effective.State.SUSPENDED))
    sent = [await small.notify(of, *_CROWD) for _ in range(20)]
    await small.until_held()
    small.skip(11)
    for each in sent:
        await small.until(of, each, *[_S.HELD] * 20)
    late = await small.notify(of)
    await small.until(of, late, _S.HELD)
    assert len(small.delivery) == 0
    small.settings.put(sending.settings("team-a", at))
    for each in sent:
        await small.until(of, each, *[_S.ACCEPTED] * 20)
    await small.until(of, late, _S.ACCEPTED)
    assert len(server.messages) == 401


async def test_a_held_lane_is_shown_as_held_beyond_what_is_in_memory(
    tmp_path: pathlib.Path, shared: shared_queue.SharedOptions | None, serve: Serve
) -> None:
    """Where a server refuses the settings, all that was not tried is shown as held, and goes once they are mended."""
    server = await serve()
    at = sending.endpoint(server)
    server.script.on("RCPT", "550 5.7.1 Client refused")
    async with sending.Sender(tmp_path / "queue", active=640, shared=shared) as sender:
        of = sender.settings.put(sending.settings("team-a", at, max_connections=1))
        sent = [await sender.notify(of, *(f"r{part}-{each}" for each in _CROWD)) for part in range(4)]

        async def held() -> bool:
            return (await sender.queue.counts()).get(_S.HELD) == 77

        await wait.until_async(held, within_seconds=30, why="all but the three that were refused are shown as held")
        assert len(sender.delivery) <= 10
        server.script.clear()
        sender.settings.put(sending.settings("team-a", at))
        sender.skip(901)
        for each in sent:
            await sender.until(of, each, *[_S.ACCEPTED] * 20)
    assert len(server.messages) == 80


async def test_what_was_held_before_a_restart_goes_when_it_may(small: sending.Sender, serve: Serve) -> None:
    """A process that never had it in memory knows that it is there, and lets it go once the hold is over (R4)."""
    server = await serve()
    at = sending.endpoint(server)
    of = small.settings.put(sending.settings("team-a", at, state=effective.State.SUSPENDED))
    sent = await small.notify(of)
    await small.until_held()
    small.skip(11)
    await small.until(of, sent, _S.HELD)
    await small.stop()
    await small.queue.close()
    async with sending.Sender(small.folder, before=small) as again:
        await again.until_held()
        again.skip(11)
        # Of what is shown as held already, nothing is to be told again.
        await wait.until_async(
            lambda: sending.lane(of) in again.delivery._keeper._marks and again.delivery._filling._reading is None,
            within_seconds=10,
            why="it was asked what is to be shown as held",
        )
        again.settings.put(sending.settings("team-a", at))
        await again.until(of, sent, _S.ACCEPTED)


async def test_what_belongs_to_a_deleted_organization_fails_beyond_what_is_in_memory(
    small: sending.Sender, serve: Serve
) -> None:
    """What is deferred, held and queued of it ends after an hour, and its payloads are wiped (R4, R11)."""
    server = await serve()
    server.script.on("RCPT", "451 4.2.1 Later", times=20)
    of = small.settings.put(sending.settings("team-a", sending.endpoint(server)))
    deferred = await small.notify(of, *_CROWD, max_age=dt.timedelta(hours=9))
    await small.until(of, deferred, *[_S.DEFERRED] * 20)
    small.settings.remove(of.organization)
    sent = [await small.notify(of, *_CROWD, max_age=dt.timedelta(hours=9)) for _ in range(10)]
    await small.until_held()
    small.skip(11)
    await small.until(of, sent[-1], *[_S.HELD] * 20)
    small.skip(3601)
    for each in (deferred, *sent):
        stands = await small.until(of, each, *[_S.FAILED] * 20)
        assert {recipient.reason for recipient in stands} == {"OrganizationDeleted"}
    assert len(small.delivery) == 0
    await wait.until_async(lambda: not small.delivery.namespaces(), within_seconds=10, why="nothing is left")


async def test_what_is_deferred_in_a_deleted_namespace_fails_at_once(small: sending.Sender, serve: Serve) -> None:
    """However much waits for its next attempt, nobody waits for that (R11)."""
    server = await serve()
    server.script.on("RCPT", "451 4.2.1 Later", times=100)
    of = small.settings.put(sending.settings("team-a", sending.endpoint(server)))
    sent = [await small.notify(of, *_CROWD) for _ in range(5)]
    for each in sent:
        await small.until(of, each, *[_S.DEFERRED] * 20)
    small.delivery.note_namespace_deleted("uid-team-a")
    for each in sent:
        await small.until(of, each, *[_S.FAILED] * 20)
    await wait.until_async(lambda: not small.delivery.namespaces(), within_seconds=10, why="nothing is left")


async def test_what_waits_in_the_queue_expires(small: sending.Sender, serve: Serve) -> None:
    """Held, deferred or behind what is in memory: at its max age each has expired, and says so (R4)."""
    server = await serve()
    of = small.settings.put(sending.settings("team-a", sending.endpoint(server), state=effective.State.SUSPENDED))
    sent = [await small.notify(of, *_CROWD, max_age=dt.timedelta(minutes=5)) for _ in range(10)]
    await small.until_held()
    small.skip(301)
    for each in sent:
        await small.until(of, each, *[_S.EXPIRED] * 20)


async def test_what_is_deferred_is_not_in_memory(small: sending.Sender, serve: Serve) -> None:
    """A recipient that is tried again later waits in the queue, and is claimed when its time has come."""
    server = await serve()
    server.script.on("RCPT", "451 4.2.1 Later", times=1)
    of = small.settings.put(sending.settings("team-a", sending.endpoint(server)))
    sent = await small.notify(of)
    await small.until(of, sent, _S.DEFERRED)
    await wait.until_async(lambda: len(small.delivery) == 0, within_seconds=5, why="it is given back")
    assert small.delivery.namespaces() == ("uid-team-a",)
    small.skip(3500)
    await small.until(of, sent, _S.ACCEPTED)


async def test_what_nobody_told_of_is_found(small: sending.Sender, serve: Serve) -> None:
    """A notification that was stored by whoever could not tell delivery waits a minute at most (R4)."""
    server = await serve()
    of = small.settings.put(sending.settings("team-a", sending.endpoint(server)))
    now = small.clock.wall()
    new = queues.notification(lane=sending.lane(of), accepted_at=now, expires_at=now + dt.timedelta(hours=1))
    await wait.until_async(lambda: small.delivery.loaded, within_seconds=5, why="delivery has begun")
    await queues.enqueue(small.queue, new, quota=queues.QUOTA)
    small.skip(61)
    await small.until(of, new.id, _S.ACCEPTED)


async def test_an_urgent_message_passes_a_large_backlog(small: sending.Sender, serve: Serve) -> None:
    """A password recovery is claimed beside hundreds of its organization's updates that wait, and goes before them."""
    server = await serve()
    of = small.settings.put(sending.settings("team-a", sending.endpoint(server), rate_per_minute=1))
    for _ in range(10):
        await small.notify(of, *_CROWD, category=vocabulary.Category.PRODUCT_UPDATE)
    await wait.until_async(lambda: server.messages, within_seconds=10, why="the first one goes")
    recovery = await small.notify(of, "me@example.org", category=vocabulary.Category.PASSWORD_RECOVERY)
    await wait.until_async(lambda: len(small.delivery) >= 2, within_seconds=5, why="it is claimed")
    small.skip(60)
    await small.until(of, recovery, _S.ACCEPTED)
    assert [message.rcpt_to for message in server.messages][-1] == ("me@example.org",)
    assert len(server.messages) <= 3
