"""Notifications that a queue takes in at once: each has its own verdict, and all have one commit."""

from kit import queues
from mailtier.sender import ports


async def test_what_comes_together_is_stored_in_its_order(queue_factory: queues.Factory) -> None:
    """Each is queued, in the order in which they came, and is there after a restart."""
    queue = await queue_factory.open()
    together = [queues.notification(recipients=("a@x.org", "b@x.org")) for _ in range(3)]
    found = await queue.enqueue_all([(each, queues.QUOTA) for each in together])
    taken = [each for each in found if isinstance(each, ports.Enqueued)]
    assert [(each.id, each.repeated) for each in taken] == [(each.id, False) for each in together]
    pending = [each for one in taken for each in one.pending]
    queue = await queue_factory.reopen()
    assert await queues.unfinished(queue) == pending


async def test_what_is_refused_takes_no_other_with_it(queue: ports.Queue) -> None:
    """Repeats are found, also of those that came with them; another body is a conflict; the rest is stored."""
    earlier = queues.notification(idempotency_key="earlier")
    await queues.enqueue(queue, earlier, quota=queues.QUOTA)
    first = queues.notification(idempotency_key="first")
    together = [
        first,
        queues.notification(idempotency_key="earlier", digest=earlier.digest),
        queues.notification(idempotency_key="earlier"),
        queues.notification(idempotency_key="first", digest=first.digest),
        queues.notification(idempotency_key="first"),
        queues.notification(),
    ]
    found = await queue.enqueue_all([(each, queues.QUOTA) for each in together])
    told = [(each.id, each.repeated) if isinstance(each, ports.Enqueued) else type(each) for each in found]
    assert told == [
        (first.id, False),
        (earlier.id, True),
        ports.IdempotencyConflictError,
        (first.id, True),
        ports.IdempotencyConflictError,
        (together[-1].id, False),
    ]
    assert len(await queues.unfinished(queue)) == 3


async def test_quota_holds_among_those_that_come_together(queue: ports.Queue) -> None:
    """Those that fit are taken, also behind one that does not; each of the others is refused."""
    quota = ports.QueueQuota(messages=4)
    together = [queues.notification(recipients=tuple(f"u{n}@x.org" for n in range(count))) for count in (2, 3, 1, 2, 1)]
    found = await queue.enqueue_all([(each, quota) for each in together])
    assert [isinstance(each, ports.Enqueued) for each in found] == [True, False, True, False, True]
    assert {type(each) for each in found if not isinstance(each, ports.Enqueued)} == {ports.QuotaExceededError}
    assert len(await queues.unfinished(queue)) == 4


async def test_each_has_the_quota_that_it_comes_with(queue: ports.Queue) -> None:
    """One that may only be a repeat is not stored, whatever room there is for the others."""
    nothing = ports.QueueQuota(messages=0, payload_bytes=0)
    found = await queue.enqueue_all([(queues.notification(), nothing), (queues.notification(), queues.QUOTA)])
    assert isinstance(found[0], ports.QuotaExceededError)
    assert isinstance(found[1], ports.Enqueued)
