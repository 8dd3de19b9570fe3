"""What is delivered together costs the queue little for each: no statement, no transaction and no task a message."""

import asyncio
import collections.abc
import pathlib
import typing

import pytest

from kit import backends, queues
from mailtier.api import vocabulary
from mailtier.sender.storage.postgres import shared_queue
from mailtier.sender.storage.sqlite import embedded

_MESSAGES = 240
_S = vocabulary.RecipientState


async def _fill(queue: queues.WholeQueue) -> None:
    for _ in range(_MESSAGES // 20):
        await queues.put(queue, recipients=("a@example.org",) * 20)


async def _deliver(queue: queues.WholeQueue) -> int:
    """Claim whatever there is, note each dot and reply, and settle it; return how many there were."""
    claimed = await queues.claim(queue)
    # The first use of a snapshot is stored by itself.
    for part in (claimed[:1], claimed[1:]):
        await asyncio.gather(*(queue.note_dot(each.job.recipient_number, queues.SNAPSHOT) for each in part))
    for each in claimed:
        queue.note_accepted(each.job.recipient_number)
    stored = await queue.settle([queues.outcome(each.job.recipient_number, _S.ACCEPTED) for each in claimed])
    assert not any(stored)
    return len(claimed)


async def test_a_message_costs_no_statement_of_its_own(tmp_path: pathlib.Path) -> None:
    """Claims are read, and outcomes stored, by statements for all of them, without a savepoint for each."""
    queue = await embedded.open_queue(tmp_path / "queue", now=queues.Clock(), limits=queues.LIMITS)
    await _fill(queue)
    # Whoever reads has a connection only then, each thread one of its own.
    await asyncio.gather(*(queue.backlogs() for _ in range(8)))
    said: list[str] = []
    for connection in (*queue._readers._connections, queue._writer._connection):
        connection.set_trace_callback(said.append)
    assert await _deliver(queue) == _MESSAGES
    await queue.close()
    assert any("UPDATE recipients" in each for each in said)
    assert not [each for each in said if "SAVEPOINT" in each]
    assert sum(each.startswith("BEGIN") for each in said) < 12
    assert any("recipients_by_backlog" in each for each in said)
    assert len(said) < _MESSAGES / 4


@backends.SHARED_ALONE
async def test_a_message_costs_the_database_no_statement_of_its_own(
    queue: queues.WholeQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Claims, notes of what leaves at the same time, and outcomes are said to it for all of them together."""
    pool, said = typing.cast("shared_queue.SharedQueue", queue)._pool, list[str]()
    open_another = pool.open

    def listen(connection: typing.Any) -> None:
        connection.add_query_logger(lambda told: said.append(told.query))

    async def open_() -> typing.Any:
        connection = await open_another()
        listen(connection)
        return connection

    await _fill(queue)
    await queue.backlogs()
    for idle in pool._idle:
        listen(idle)
    monkeypatch.setattr(pool, "open", open_)
    assert await _deliver(queue) == _MESSAGES
    for table in ("notes", "recipients"):
        assert any(f"mailtier.{table}" in each for each in said), said
    assert len(said) < _MESSAGES / 4, said


async def test_a_message_costs_no_task_of_its_own(queue: queues.WholeQueue) -> None:
    """Nor does its claim, or its outcome."""
    await _fill(queue)
    loop = asyncio.get_running_loop()
    tasks: list[str] = []

    def count(
        loop: asyncio.AbstractEventLoop,
        coroutine: collections.abc.Coroutine[typing.Any, typing.Any, typing.Any],
        **options: typing.Any,
    ) -> asyncio.Task[typing.Any]:
        tasks.append(coroutine.__qualname__)
        return asyncio.Task(coroutine, loop=loop, **options)

    claimed = await queues.claim(queue)
    loop.set_task_factory(count)
    try:
        stored = await queue.settle(
            [queues.outcome(each.job.recipient_number, _S.FAILED, attempted=False) for each in claimed]
        )
    finally:
        loop.set_task_factory(None)
    assert not any(stored)
    assert len(claimed) == _MESSAGES
    assert len(tasks) < _MESSAGES // 8, tasks
