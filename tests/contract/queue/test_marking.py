"""A database that was restored is held once somebody says that it was."""

import asyncio
import collections.abc
import contextlib
import datetime as dt
import pathlib

import pytest

from kit import postgres, queues
from mailtier.sender.queueing import restoring
from mailtier.sender.roles import marking
from mailtier.sender.storage.postgres import shared_queue


@pytest.fixture(name="dsn")
async def dsn_of_a_database() -> collections.abc.AsyncIterator[str]:
    """Return the address of an empty database."""
    dsn = await asyncio.to_thread(postgres.new_database)
    yield dsn
    await asyncio.to_thread(postgres.drop_database, dsn)


async def test_a_restored_database_is_held_until_it_is_resumed(dsn: str, tmp_path: pathlib.Path) -> None:
    """Senders that run would not see the mark, and are told; those that start find it, and resuming removes it."""
    file = tmp_path / "dsn"
    file.write_text(dsn, encoding="utf-8")
    options = shared_queue.SharedOptions(dsn=lambda: dsn, name="sender-0")
    async with contextlib.AsyncExitStack() as stack:
        running = await shared_queue.open_queue(options, now=queues.Clock())
        stack.push_async_callback(running.close)
        with pytest.raises(marking.MarkError, match=r"sender-0.*stop them first"):
            await marking.mark_restored(file, made_at=None, now=queues.START)
        assert await running.restored() is None
    await marking.mark_restored(file, made_at=queues.START, now=queues.START)
    async with contextlib.AsyncExitStack() as stack:
        started = await shared_queue.open_queue(options, now=queues.Clock())
        stack.push_async_callback(started.close)
        assert await started.restored() == restoring.mark(queues.START)
        assert await started.resume() == restoring.mark(queues.START)
        assert await started.restored() is None


async def test_a_time_that_nobody_named_is_that_of_the_mark(dsn: str, tmp_path: pathlib.Path) -> None:
    """The operator's feed has a time all the same, and whoever reads why mail is held that it is not the backup's."""
    file = tmp_path / "dsn"
    file.write_text(dsn, encoding="utf-8")
    await marking.mark_restored(file, made_at=None, now=queues.START)
    options = shared_queue.SharedOptions(dsn=lambda: dsn, name="sender-0")
    async with contextlib.AsyncExitStack() as stack:
        started = await shared_queue.open_queue(options, now=queues.Clock())
        stack.push_async_callback(started.close)
        mark = await started.restored()
    assert mark is not None
    assert restoring.made_at(mark) == queues.START
    assert "nobody named" in restoring.explain(mark)


def test_times_are_told_in_one_form() -> None:
    """A backup's time is written as status and HTTPS write theirs, in UTC with a Z."""
    elsewhere = queues.START.astimezone(dt.timezone(dt.timedelta(hours=5)))
    assert restoring.mark(elsewhere) == queues.START.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert restoring.made_at(restoring.mark(elsewhere)) == queues.START
