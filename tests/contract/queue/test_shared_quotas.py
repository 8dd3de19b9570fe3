"""Several intakes of one database: a namespace's quota holds for the sum of them, and a key is one notification's."""

import asyncio
import collections.abc
import contextlib
import typing

import pytest

from kit import invariants, postgres, queues
from mailtier.api import vocabulary
from mailtier.sender import ports
from mailtier.sender.queueing import payloads, recoveries
from mailtier.sender.storage.postgres import shared_queue

_OFFERS = 60

_Found: typing.TypeAlias = ports.Enqueued | BaseException


@pytest.fixture(name="dsn")
async def database() -> collections.abc.AsyncIterator[str]:
    """Return the address of an empty database."""
    dsn = await asyncio.to_thread(postgres.new_database)
    yield dsn
    await asyncio.to_thread(postgres.drop_database, dsn)


@contextlib.asynccontextmanager
async def _two_intakes(dsn: str) -> collections.abc.AsyncIterator[tuple[shared_queue.SharedQueue, ...]]:
    """Give two intakes, each with connections of its own, as two pods have."""
    options = shared_queue.SharedOptions(dsn=lambda: dsn, name="")
    async with contextlib.AsyncExitStack() as stack:
        opened = []
        for _ in range(2):
            intake = await shared_queue.open_queue(options, now=queues.Clock(), only_takes_in=True)
            stack.push_async_callback(intake.close)
            opened.append(intake)
        yield tuple(opened)


async def _race(
    intakes: collections.abc.Sequence[shared_queue.SharedQueue],
    offered: collections.abc.Sequence[ports.NewNotification],
    quota: ports.QueueQuota,
) -> list[_Found]:
    """Return what becomes of notifications that come to each intake in turn, in many commits of both at once."""

    async def offer(
        queue: shared_queue.SharedQueue, part: collections.abc.Sequence[ports.NewNotification]
    ) -> list[_Found]:
        # One after the other: what comes together is one commit.
        return [
            (await asyncio.gather(queues.enqueue(queue, each, quota=quota), return_exceptions=True))[0] for each in part
        ]

    parts = await asyncio.gather(
        *(offer(queue, offered[number :: len(intakes)]) for number, queue in enumerate(intakes))
    )
    return [each for pair in zip(*parts, strict=True) for each in pair]


@pytest.mark.parametrize("limit", ["messages", "payload_bytes"])
async def test_a_quota_holds_for_the_sum_of_intakes(dsn: str, limit: str) -> None:
    """Of what comes to two at the same time exactly as much is taken as a namespace may have, and the rest is told."""
    offered = [
        queues.notification(subject="Same", data={}, recipients=("a@x.org", "b@x.org")) for _ in range(_OFFERS + 1)
    ]
    size_bytes = len(payloads.encode(offered[0]))
    # Not a multiple of what one takes: the one that would exceed it is refused.
    quota = (
        ports.QueueQuota(messages=2 * 25 + 1)
        if limit == "messages"
        else ports.QueueQuota(payload_bytes=25 * size_bytes + size_bytes - 1)
    )
    async with _two_intakes(dsn) as intakes:
        # What a namespace has is a row, which is there already: making it would be a turn of its own.
        found = [await queues.enqueue(intakes[0], offered[0], quota=quota)]
        found += await _race(intakes, offered[1:], quota)
    taken = [each for each in found if isinstance(each, ports.Enqueued)]
    refused = [each for each in found if isinstance(each, ports.QuotaExceededError)]
    assert (len(taken), len(refused)) == (25, _OFFERS + 1 - 25)
    assert postgres.read(dsn, "SELECT messages, payload_bytes FROM mailtier.usage") == [(50, 25 * size_bytes)]
    assert postgres.read(dsn, "SELECT count(*) FROM mailtier.notifications") == [(25,)]
    assert invariants.shared_violations(dsn) == []


async def test_a_key_is_one_notification_s_through_all_intakes(dsn: str) -> None:
    """Whoever sends the same request to two at the same time has one id, and one message; so has an object's offer."""
    keys = [f"key-{number}" for number in range(_OFFERS // 2)]
    by_key = [queues.notification(idempotency_key=key, digest="ab") for key in keys for _ in range(2)]
    by_object = [queues.notification(source=queues.source(key)) for key in keys for _ in range(2)]
    async with _two_intakes(dsn) as intakes:
        for offered in (by_key, by_object):
            found = await _race(intakes, offered, queues.QUOTA)
            answers = [each for each in found if isinstance(each, ports.Enqueued)]
            assert len(answers) == _OFFERS
            pairs = [answers[number : number + 2] for number in range(0, _OFFERS, 2)]
            assert all(one.id == other.id and one.repeated != other.repeated for one, other in pairs)
            assert len({one.id for one, _ in pairs}) == len(keys)
    assert postgres.read(dsn, "SELECT count(*) FROM mailtier.recipients") == [(2 * len(keys),)]
    assert invariants.shared_violations(dsn) == []


async def test_recoveries_are_counted_for_the_sum_of_intakes(dsn: str) -> None:
    """Of password recoveries that come to two at the same time as many are taken as one would take (R15)."""
    offered = [queues.notification(category=vocabulary.Category.PASSWORD_RECOVERY) for _ in range(_OFFERS)]
    async with _two_intakes(dsn) as intakes:
        found = await _race(intakes, offered, queues.QUOTA)
    taken = [each for each in found if isinstance(each, ports.Enqueued)]
    refused = [each for each in found if isinstance(each, recoveries.RecoveriesExceededError)]
    assert (len(taken), len(refused)) == (recoveries.PER_MINUTE, _OFFERS - recoveries.PER_MINUTE)
