"""What a queue takes in, finds again, and refuses."""

import asyncio
import dataclasses
import datetime as dt

import pytest

from kit import queues
from mailtier.api import vocabulary
from mailtier.sender import ports
from mailtier.sender.queueing import recoveries

S = vocabulary.RecipientState


async def test_what_was_enqueued_can_be_loaded(queue: ports.Queue) -> None:
    """A recipient's job holds everything that its message is built from."""
    new = queues.notification(
        recipients=("a@example.org", "b@example.org"), data={"é": "ü"}, subject=None, locale=vocabulary.Locale.JAPANESE
    )
    enqueued = await queues.enqueue(queue, new, quota=queues.QUOTA)
    job = await queues.job(queue, enqueued.pending[1].recipient_number)
    assert job == ports.Job(
        recipient_number=enqueued.pending[1].recipient_number,
        notification_id=new.id,
        lane=new.lane,
        category=new.category,
        severity=new.severity,
        locale=new.locale,
        rcpt_to="b@example.org",
        subject=None,
        text=new.text,
        data={"é": "ü"},
        accepted_at=new.accepted_at,
        expires_at=new.expires_at,
        attempts=0,
        doubts=0,
        snapshot=None,
    )


async def test_the_queue_speaks_of_each_recipient(queue: ports.Queue) -> None:
    """Delivery hears of the same recipients from the enqueueing and from the queue."""
    enqueued = await queues.enqueue(queue, queues.notification(recipients=("a@x.org", "b@x.org")), quota=queues.QUOTA)
    assert await queues.unfinished(queue) == list(enqueued.pending)
    assert [(one.state, one.due_at) for one in enqueued.pending] == [(S.QUEUED, queues.START)] * 2


async def test_a_restart_loses_nothing(queue_factory: queues.Factory) -> None:
    """What was acknowledged is there after the queue was closed and opened, with all that its message is built from."""
    queue = await queue_factory.open()
    id_, (recipient_number,) = await queues.put(queue)
    before = await queues.find_job(queue, recipient_number)
    queue = await queue_factory.reopen()
    assert await queues.states(queue, id_) == ["queued"]
    assert await queues.find_job(queue, recipient_number) == before


async def test_a_repeat_is_the_same_notification(queue_factory: queues.Factory) -> None:
    """The same request under the same key gives the same id, also after a restart and after its end."""
    queue = await queue_factory.open()
    new = queues.notification(idempotency_key="key", digest="d1")
    first = await queues.enqueue(queue, new, quota=queues.QUOTA)
    repeat = dataclasses.replace(new, id="another")
    assert await queues.enqueue(queue, repeat, quota=queues.QUOTA) == ports.Enqueued(
        id=new.id, repeated=True, pending=()
    )
    await queues.settle(queue, queues.outcome(first.pending[0].recipient_number, S.ACCEPTED))
    queue = await queue_factory.reopen()
    assert (await queues.enqueue(queue, repeat, quota=queues.QUOTA)).id == new.id
    assert await queues.unfinished(queue) == []


async def test_a_key_with_another_request_is_a_conflict(queue: ports.Queue) -> None:
    """Another body under a used key is refused, and nothing is stored."""
    await queues.put(queue, idempotency_key="key", digest="d1")
    with pytest.raises(ports.IdempotencyConflictError):
        await queues.put(queue, idempotency_key="key", digest="d2")
    assert await queue.counts() == {S.QUEUED: 1}


async def test_keys_of_different_lanes_do_not_meet(queue: ports.Queue) -> None:
    """An idempotency key is an organization's own, in its namespace as of that uid (R3)."""
    lanes = [
        queues.LANE,
        dataclasses.replace(queues.LANE, organization="sales"),
        dataclasses.replace(queues.LANE, namespace_uid="uid-recreated"),
    ]
    ids = {(await queues.put(queue, lane=lane, idempotency_key="key", digest="d"))[0] for lane in lanes}
    assert len(ids) == 3


async def test_the_same_key_at_the_same_time_is_one_notification(queue: ports.Queue) -> None:
    """Requests that arrive together under one key are stored once."""
    results = await asyncio.gather(
        *(
            queues.enqueue(queue, queues.notification(idempotency_key="key", digest="d"), quota=queues.QUOTA)
            for _ in range(20)
        )
    )
    assert len({result.id for result in results}) == 1
    assert [result.repeated for result in results].count(False) == 1


async def test_an_object_is_taken_once(queue: ports.Queue) -> None:
    """The same object, offered again or recreated with another uid, mails once."""
    first, _ = await queues.put(queue, source=queues.source())
    again, nobody = await queues.put(queue, source=queues.source(object_uid="object-2"))
    assert (again, nobody) == (first, [])
    assert await queue.counts() == {S.QUEUED: 1}


@pytest.mark.parametrize(
    "change",
    [
        {"source": queues.source(spec_hash="spec-2")},
        {"source": queues.source("other")},
        {"lane": dataclasses.replace(queues.LANE, namespace_uid="uid-recreated"), "source": queues.source()},
    ],
    ids=["spec", "name", "namespace uid"],
)
async def test_another_object_is_another_notification(queue: ports.Queue, change: dict[str, object]) -> None:
    """Another name, another spec or a recreated namespace makes another notification."""
    first, _ = await queues.put(queue, source=queues.source())
    second, _ = await queues.put(queue, **change)
    assert first != second


async def test_a_recreated_namespace_inherits_nothing(queue: ports.Queue) -> None:
    """A notification cannot be found from a namespace with another uid, or from another organization (R11)."""
    id_, _ = await queues.put(queue)
    assert await queue.find(dataclasses.replace(queues.LANE, namespace_uid="uid-recreated"), id_) is None
    assert await queue.find(dataclasses.replace(queues.LANE, organization="sales"), id_) is None
    assert await queue.find(queues.LANE, "no-such-id") is None


async def test_messages_are_limited_by_quota(queue: ports.Queue) -> None:
    """The quota counts recipients without a final state, of one namespace, and a finished one makes room."""
    quota = ports.QueueQuota(messages=3)
    enqueued = await queues.enqueue(queue, queues.notification(recipients=("a@x.org", "b@x.org")), quota=quota)
    with pytest.raises(ports.QuotaExceededError):
        await queues.enqueue(queue, queues.notification(recipients=("a@x.org", "b@x.org")), quota=quota)
    other = dataclasses.replace(queues.LANE, namespace_uid="uid-b", namespace="team-b")
    await queues.enqueue(queue, queues.notification(lane=other, recipients=("a@x.org", "b@x.org")), quota=quota)
    await queues.settle(queue, queues.outcome(enqueued.pending[0].recipient_number, S.ACCEPTED))
    await queues.enqueue(queue, queues.notification(recipients=("a@x.org", "b@x.org")), quota=quota)


async def test_payload_is_limited_by_quota(queue_factory: queues.Factory) -> None:
    """The quota counts the payload of what is not finished, over restarts, in bytes."""
    queue = await queue_factory.open()
    quota = ports.QueueQuota(payload_bytes=1_500)
    enqueued = await queues.enqueue(queue, queues.notification(text="é" * 500), quota=quota)
    queue = await queue_factory.reopen()
    with pytest.raises(ports.QuotaExceededError):
        await queues.enqueue(queue, queues.notification(text="é" * 500), quota=quota)
    await queues.settle(queue, queues.outcome(enqueued.pending[0].recipient_number, S.EXPIRED, attempted=False))
    await queues.enqueue(queue, queues.notification(text="é" * 500), quota=quota)


async def test_a_repeat_is_found_when_the_quota_is_used_up(queue: ports.Queue) -> None:
    """Whoever asks again for what is queued hears its id, not that there is no room."""
    quota = ports.QueueQuota(messages=1)
    new = queues.notification(idempotency_key="key", digest="d")
    await queues.enqueue(queue, new, quota=quota)
    assert (await queues.enqueue(queue, new, quota=quota)).repeated


async def test_one_that_fails_takes_no_other_with_it(queue: ports.Queue) -> None:
    """Notifications that are stored together succeed and fail one by one, and a failed one uses up no quota."""
    id_, _ = await queues.put(queue)
    results = await asyncio.gather(
        queues.put(queue), queues.put(queue, id=id_), queues.put(queue), return_exceptions=True
    )
    assert [isinstance(result, Exception) for result in results] == [False, True, False]
    assert await queue.counts() == {S.QUEUED: 3}
    await queues.enqueue(queue, queues.notification(), quota=ports.QueueQuota(messages=4))


async def test_finished_ones_are_removed_after_their_retention(queue: ports.Queue) -> None:
    """HTTP notifications go seven days after their end, unfinished ones never, and their key is free again."""
    day = dt.timedelta(days=1)
    done, (recipient_number,) = await queues.put(queue, idempotency_key="key", digest="d1")
    waiting, _ = await queues.put(queue)
    await queues.settle(queue, queues.outcome(recipient_number, S.ACCEPTED, at=queues.START + day))
    assert await queue.purge(now=queues.START + 8 * day) == 0
    assert await queue.purge(now=queues.START + 8 * day + day / 24) == 1
    assert await queue.find(queues.LANE, done) is None
    assert await queues.states(queue, waiting) == ["queued"]
    await queues.put(queue, idempotency_key="key", digest="d2")


async def test_objects_are_known_until_they_were_not_seen_for_long(queue: ports.Queue) -> None:
    """An object that is offered again is kept for seven more days, so that it does not mail again."""
    day = dt.timedelta(days=1)
    id_, (recipient_number,) = await queues.put(queue, source=queues.source())
    await queues.settle(queue, queues.outcome(recipient_number, S.ACCEPTED))
    seen, _ = await queues.put(queue, source=queues.source(), accepted_at=queues.START + 5 * day)
    assert seen == id_
    assert await queue.purge(now=queues.START + 11 * day) == 0
    assert await queue.purge(now=queues.START + 13 * day) == 1
    again, _ = await queues.put(queue, source=queues.source())
    assert again != id_


async def test_object_is_found_by_name_and_spec(queue: ports.Queue) -> None:
    """The notification of an object is found again within its lane, and no other is."""
    new = queues.notification(source=queues.source())
    await queues.enqueue(queue, new, quota=queues.QUOTA)
    found = await queue.find_object(new.lane, name="backup", spec_hash="spec-1")
    assert found is not None
    assert found.id == new.id
    elsewhere = dataclasses.replace(new.lane, organization="other")
    assert await queue.find_object(new.lane, name="backup", spec_hash="spec-2") is None
    assert await queue.find_object(new.lane, name="restore", spec_hash="spec-1") is None
    assert await queue.find_object(elsewhere, name="backup", spec_hash="spec-1") is None


async def test_oldest_is_the_first_without_a_final_state(queue: queues.WholeQueue) -> None:
    """The oldest unfinished notification tells how long something has waited; without any there is none."""
    assert await queue.oldest() is None
    later = queues.START + dt.timedelta(minutes=1)
    first = await queues.enqueue(queue, queues.notification(), quota=queues.QUOTA)
    await queues.enqueue(queue, queues.notification(accepted_at=later), quota=queues.QUOTA)
    assert await queue.oldest() == queues.START
    await queues.settle(queue, queues.outcome(first.pending[0].recipient_number, S.FAILED))
    assert await queue.oldest() == later


async def test_recoveries_of_a_minute_are_counted_where_they_are_stored(queue_factory: queues.Factory) -> None:
    """Over restarts, for each organization; a repeat is found, and what is refused counts for nothing (R15)."""
    queue = await queue_factory.open()

    async def begin(seconds: int, **changes: object) -> ports.Enqueued | ports.Unqueued:
        at = queues.START + dt.timedelta(seconds=seconds)
        new = queues.notification(category=vocabulary.Category.PASSWORD_RECOVERY, accepted_at=at, **changes)
        ((verdict,),) = [await queue.enqueue_all([(new, queues.QUOTA)])]
        return verdict

    for number in range(recoveries.PER_MINUTE - 1):
        assert isinstance(await begin(number), ports.Enqueued)
    full = [(queues.notification(category=vocabulary.Category.PASSWORD_RECOVERY), ports.QueueQuota(messages=0))]
    ((refused,),) = [await queue.enqueue_all(full)]
    assert type(refused) is ports.QuotaExceededError
    assert isinstance(await begin(30, idempotency_key="last", digest="ab"), ports.Enqueued)
    queue = await queue_factory.reopen()
    assert isinstance(await begin(31), recoveries.RecoveriesExceededError)
    assert isinstance(await begin(31, idempotency_key="new", digest="cd"), recoveries.RecoveriesExceededError)
    repeated = await begin(32, idempotency_key="last", digest="ab")
    assert isinstance(repeated, ports.Enqueued)
    assert repeated.repeated
    other = dataclasses.replace(queues.LANE, organization="other")
    assert isinstance(await begin(33, lane=other), ports.Enqueued)
    assert isinstance(await begin(60), ports.Enqueued)
    assert isinstance(await begin(60), recoveries.RecoveriesExceededError)
    await queue.remember("other", "is no JSON")
    await queue.purge(now=queues.START + dt.timedelta(seconds=100))
    assert len(await queue.recall_all(recoveries.MEMORIES)) == 1
    await queue.purge(now=queues.START + dt.timedelta(seconds=200))
    assert await queue.recall_all(recoveries.MEMORIES) == {}
