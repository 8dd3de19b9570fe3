"""What is forgotten, and what is not, where a namespace has used up its share of what is stored."""

import dataclasses
import datetime as dt

import pytest

from kit import queues
from mailtier.api import feed, vocabulary
from mailtier.sender import ports

S = vocabulary.RecipientState

_CROWD = tuple(f"{number:02}{'x' * 40}@{'long.' * 30}example" for number in range(20))


async def _finish(
    queue: ports.Queue, quota: ports.QueueQuota, *, accepted: int = len(_CROWD), **changes: object
) -> str:
    """Return the id of a finished notification to twenty long addresses, of which the first few were accepted."""
    new = queues.notification(recipients=_CROWD, **changes)
    for number, pending in enumerate((await queues.enqueue(queue, new, quota=quota)).pending):
        await queues.settle(
            queue, queues.outcome(pending.recipient_number, S.ACCEPTED if number < accepted else S.FAILED)
        )
    return new.id


async def test_what_was_finished_takes_no_more_than_the_share(queue: ports.Queue) -> None:
    """Whoever sends on and on is refused nothing: the oldest finished go, unfinished and other namespaces' stay (R15).

    Without that, notifications to twenty long addresses filled a volume of 4 GiB, and nobody's was taken any more.
    """
    quota = ports.QueueQuota(stored_bytes=60_000)
    other = dataclasses.replace(queues.LANE, namespace_uid="uid-b", namespace="team-b")
    neighbour = await _finish(queue, quota, lane=other)
    waiting = (await queues.enqueue(queue, queues.notification(), quota=quota)).id
    finished = [await _finish(queue, quota) for _ in range(12)]
    kept = [id_ for id_ in finished if await queue.find(queues.LANE, id_) is not None]
    assert 1 <= len(kept) <= 4
    assert kept == finished[-len(kept) :]
    assert await queues.states(queue, waiting) == ["queued"]
    assert await queue.find(other, neighbour) is not None


async def test_texts_of_what_failed_go_before_any_record(queue: ports.Queue) -> None:
    """What is kept to be sent again counts in its namespace's share, and goes first where that is used up (R15)."""
    quota = ports.QueueQuota(stored_bytes=100_000)
    other = dataclasses.replace(queues.LANE, namespace_uid="uid-b", namespace="team-b")

    async def fail(lane: ports.LaneKey) -> str:
        new = queues.notification(lane=lane, text="x" * 20_000)
        (pending,) = (await queues.enqueue(queue, new, quota=quota)).pending
        await queues.settle(queue, queues.outcome(pending.recipient_number, S.FAILED))
        return new.id

    await fail(other)
    failed = [await fail(queues.LANE) for _ in range(4)]
    assert await queue.kept_payloads() == 5
    await queues.enqueue(queue, queues.notification(text="x" * 50_000), quota=quota)
    assert await queue.kept_payloads() == 3
    for id_ in failed:
        assert await queues.states(queue, id_) == ["failed"]
    with pytest.raises(ports.QuotaExceededError):
        await queues.enqueue(queue, queues.notification(text="x" * 60_000), quota=quota)
    assert await queue.kept_payloads() == 3
    await queue.purge(now=queues.START + dt.timedelta(days=7, hours=1))
    await queues.enqueue(queue, queues.notification(text="x" * 30_000), quota=quota)


async def test_what_is_refused_has_nothing_forgotten_for_it(queue: ports.Queue) -> None:
    """One that finds no room, among others that come with it, leaves the records of what was finished."""
    quota = ports.QueueQuota(stored_bytes=60_000)
    finished = [await _finish(queue, quota) for _ in range(2)]
    large = queues.notification(text="x" * 60_000)
    refused, taken = await queue.enqueue_all([(large, quota), (queues.notification(), quota)])
    assert isinstance(refused, ports.QuotaExceededError)
    assert isinstance(taken, ports.Enqueued)
    for id_ in finished:
        assert await queue.find(queues.LANE, id_) is not None


async def test_keys_outlive_the_records(queue_factory: queues.Factory) -> None:
    """A repeat is known for seven days by its key or its object, however little room there is, over restarts (R15)."""
    quota = ports.QueueQuota(stored_bytes=60_000)
    queue = await queue_factory.open()
    keyed = await _finish(queue, quota, idempotency_key="key", digest="d")
    source = queues.source("object")
    taken = await _finish(queue, quota, source=source)
    await queues.read_everything(queue)
    for _ in range(8):
        await _finish(queue, quota)
    queue = await queue_factory.reopen()
    assert await queue.find(queues.LANE, keyed) is None
    again = queues.notification(recipients=_CROWD, idempotency_key="key", digest="d")
    assert await queues.enqueue(queue, again, quota=quota) == ports.Enqueued(id=keyed, repeated=True, pending=())
    with pytest.raises(ports.IdempotencyConflictError):
        await queues.enqueue(queue, queues.notification(idempotency_key="key", digest="e"), quota=quota)
    assert (await queues.enqueue(queue, queues.notification(source=source), quota=quota)).id == taken
    await queue.purge(now=queues.START + dt.timedelta(days=8))
    assert not (await queues.enqueue(queue, again, quota=quota)).repeated


@pytest.mark.parametrize("accepted", [0, 7, 20])
async def test_an_object_is_told_as_what_it_became(queue_factory: queues.Factory, accepted: int) -> None:
    """A failure whose record was forgotten is no success when its object is offered again, over restarts (R4)."""
    quota = ports.QueueQuota(stored_bytes=60_000)
    queue = await queue_factory.open()
    taken = await _finish(queue, quota, accepted=accepted, source=queues.source("object"))
    await queues.read_everything(queue)
    for _ in range(8):
        await _finish(queue, quota)
    queue = await queue_factory.reopen()
    recreated = queues.source("object", object_uid="object-2")
    assert (await queues.enqueue(queue, queues.notification(source=recreated), quota=quota)).id == taken
    totals = feed.Tally(accepted=accepted, recipients=20)
    for found in (
        await queues.record(queue, taken),
        await queue.find_object(queues.LANE, name="object", spec_hash=recreated.spec_hash),
        *await queues.changed_objects(queue, 0),
    ):
        assert found is not None
        assert (found.id, found.complete, tuple(found.recipients), found.totals) == (taken, True, (), totals)


async def test_the_feed_goes_on_telling_what_was_forgotten(queue: ports.Queue) -> None:
    """An operator that starts anew hears the end of an object, though its recipients are forgotten (R4)."""
    quota = ports.QueueQuota(stored_bytes=60_000)
    taken = await _finish(queue, quota, accepted=0, source=queues.source())
    await queues.read_everything(queue)
    for _ in range(8):
        await _finish(queue, quota)
    (told,) = await queues.changed_objects(queue, 0)
    assert (told.id, told.complete, told.totals) == (taken, True, feed.Tally(accepted=0, recipients=20))


async def test_what_the_operator_has_not_read_stays_whole(queue: ports.Queue) -> None:
    """Who failed and why is kept until the feed was read: while the operator is away, others go in its place (R4)."""
    quota = ports.QueueQuota(stored_bytes=60_000)
    read = await _finish(queue, quota, accepted=0, source=queues.source("read"))
    await queues.read_everything(queue)
    unread = await _finish(queue, quota, accepted=0, source=queues.source("unread"))
    # Who reads for the first time, or from a volume that is gone, has not read anything of this one.
    for cursor in (0, 1_000_000):
        await queue.changes(cursor)
    for _ in range(8):
        await _finish(queue, quota)
    assert (await queues.record(queue, read)).recipients == ()
    assert await queues.states(queue, unread) == ["failed"] * 20
    await queues.read_everything(queue)
    for _ in range(8):
        await _finish(queue, quota)
    assert (await queues.record(queue, unread)).recipients == ()


async def test_keys_count_in_the_share(queue: ports.Queue) -> None:
    """Whose keys take the whole share is refused, others are not, and there is room again after seven days (R15)."""
    quota = ports.QueueQuota(stored_bytes=20_000)

    async def send_on() -> None:
        for number in range(100):
            await _finish(queue, quota, idempotency_key=f"{number:0255}")

    with pytest.raises(ports.QuotaExceededError, match="storedBytes"):
        await send_on()
    other = dataclasses.replace(queues.LANE, namespace_uid="uid-b", namespace="team-b")
    await queues.enqueue(queue, queues.notification(lane=other), quota=quota)
    await queue.purge(now=queues.START + dt.timedelta(days=8))
    await _finish(queue, quota)
