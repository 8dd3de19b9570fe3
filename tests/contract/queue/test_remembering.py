"""What senders learned and keep in the queue: each its own, struck out of one by one, and not for ever."""

import asyncio
import collections.abc
import json

import pytest

from kit import postgres, queues, sending
from mailtier.sender.queueing import lessons
from mailtier.sender.storage.postgres import shared_queue
from mailtier.sender.storage.postgres.database import connections
from mailtier.sender.storage.postgres.senders import memory_rows

_KEY = lessons.key(lessons.Lesson.BREAKERS, sender="7")


async def test_members_are_struck_out_one_by_one(queue: queues.WholeQueue) -> None:
    """What else is kept under a key stays, whoever strikes at the same time; the key goes with its last member."""
    await queue.remember(_KEY, '{"a": [1, "x"], "b": 2, "c": {"d": null}}')
    await asyncio.gather(queue.strike(_KEY, "a"), queue.strike(_KEY, "c"), queue.strike(_KEY, "none"))
    assert json.loads(await queue.recall(_KEY) or "") == {"b": 2}
    await queue.strike(_KEY, "b")
    assert await queue.recall(_KEY) is None
    await queue.strike(_KEY, "b")
    assert await queue.recall(_KEY) is None


@pytest.fixture(name="dsn")
async def database() -> collections.abc.AsyncIterator[str]:
    """Return the address of an empty database."""
    dsn = await asyncio.to_thread(postgres.new_database)
    yield dsn
    await asyncio.to_thread(postgres.drop_database, dsn)


async def test_what_the_gone_learned_is_forgotten(dsn: str) -> None:
    """After ten lives of a sender there is what the last one learned, and for an hour what the others did."""

    async def open_queue() -> shared_queue.SharedQueue:
        options = shared_queue.SharedOptions(dsn=lambda: dsn, name="sender-0")
        return await shared_queue.open_queue(options, now=queues.Clock())

    numbers = []
    for _ in range(10):
        queue = await open_queue()
        numbers.append(str(queue.own_number()))
        for lesson in lessons.Lesson:
            await queue.remember(lessons.key(lesson, sender=numbers[-1]), "{}")
        if len(numbers) < 10:
            await queue.close()
    await queue.remember("logins of somebody/7", "is nobody's lesson")
    clock = sending.Clock()
    pool = connections.Connections(lambda: dsn)
    upkeep = memory_rows.MemoryTables(pool, monotonic=clock.monotonic)

    async def kept() -> int:
        return len(await upkeep.recall_all(""))

    await upkeep.forget_gone()
    before = await kept()
    clock.skipped_seconds += lessons.OUTLIVES.total_seconds() - 60
    await upkeep.forget_gone()
    assert await kept() == before >= 31
    clock.skipped_seconds += 61
    await upkeep.forget_gone()
    assert await kept() == before - 27
    assert await upkeep.recall(lessons.key(lessons.Lesson.ROUTES, sender=numbers[-1])) == "{}"
    assert await upkeep.recall("logins of somebody/7") is not None
    await pool.close()
    await queue.close()


async def test_the_oldest_sender_forgets_them(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is part of its upkeep."""
    asked: list[object] = []

    async def forget_gone(self: memory_rows.MemoryTables) -> None:
        asked.append(self)

    monkeypatch.setattr(memory_rows.MemoryTables, "forget_gone", forget_gone)
    options = shared_queue.SharedOptions(dsn=lambda: dsn, name="sender-0")
    queue = await shared_queue.open_queue(options, now=queues.Clock())
    await queue.purge(now=queues.START)
    assert asked == [queue]
    await queue.close()
