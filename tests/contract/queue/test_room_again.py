"""A volume that is full for a moment: whoever met that goes on once there is room, in the process that it is."""

import asyncio
import collections.abc
import contextlib
import pathlib
import resource
import sqlite3
import time

import pytest

from kit import queues, wait
from mailtier.sender import ports
from mailtier.sender.storage.sqlite import embedded
from mailtier.sender.storage.sqlite.halves import delivery_half, half, intake_half

_LARGE = "x" * 100_000

Halves = tuple[delivery_half.DeliveryHalf, intake_half.IntakeHalf]


@pytest.fixture
async def halves(tmp_path: pathlib.Path) -> collections.abc.AsyncIterator[Halves]:
    """Return delivery's half of a queue and the intake's, as two processes have them, with a notification in it."""
    async with contextlib.AsyncExitStack() as stack:
        delivery = await embedded.open_delivery(tmp_path / "queue", now=queues.Clock(), limits=queues.LIMITS)
        stack.push_async_callback(delivery.close)
        intake = await embedded.open_intake(tmp_path / "queue", limits=queues.LIMITS)
        stack.push_async_callback(intake.close)
        await queues.enqueue(intake, queues.notification(id="before"), quota=queues.QUOTA)
        yield delivery, intake


@contextlib.asynccontextmanager
async def _full(queue: half.Half) -> collections.abc.AsyncIterator[None]:
    """Let the file not grow within this context, as on a volume where somebody else took the room."""

    def limit(connection: sqlite3.Connection, pages: int) -> None:
        connection.execute(f"PRAGMA max_page_count = {pages}")

    (largest,) = await queue._writer.submit(lambda connection: connection.execute("PRAGMA max_page_count").fetchone())
    await queue._writer.submit(lambda connection: limit(connection, 1))
    yield
    # Nothing is submitted: that could be refused. The connection is the thread's, which has nothing to do.
    limit(queue._writer._connection, largest)


def _spent_seconds(queue: half.Half) -> float:
    """Return what the writer's thread has spent of a processor."""
    assert queue._writer._thread.ident is not None, "it runs"
    return time.clock_gettime(time.pthread_getcpuclockid(queue._writer._thread.ident))


async def test_an_intake_takes_work_again(halves: Halves) -> None:
    """One refusal for want of room is not the last word, and the writer waits meanwhile rather than turn (R13)."""
    delivery, intake = halves
    async with _full(intake):
        with pytest.raises(ports.StorageFullError):
            await queues.enqueue(intake, queues.notification(text=_LARGE), quota=queues.QUOTA)
    before = _spent_seconds(intake)

    async def takes_work() -> bool:
        with contextlib.suppress(ports.StorageFullError):
            await queues.enqueue(intake, queues.notification(id="after"), quota=queues.QUOTA)
        return await intake.find(queues.LANE, "after") is not None

    await wait.until_async(takes_work, within_seconds=10, why="an intake with room takes work again")
    assert _spent_seconds(intake) - before < 0.5
    assert sorted(each.job.notification_id for each in await queues.claim(delivery)) == ["after", "before"]


async def test_a_delivery_remembers_again(halves: Halves) -> None:
    """What is dispensable is stored again once there is room, and no reserve was given up for it (R13)."""
    delivery, intake = halves
    async with _full(delivery):
        with pytest.raises(ports.StorageFullError):
            await delivery.remember("route", _LARGE)
        assert intake._room.reserved

    async def remembers() -> bool:
        with contextlib.suppress(ports.StorageFullError):
            await delivery.remember("route", "short")
        return await delivery.recall("route") == "short"

    before = _spent_seconds(delivery)
    await wait.until_async(remembers, within_seconds=10, why="a delivery with room remembers again")
    assert _spent_seconds(delivery) - before < 0.5
    await queues.enqueue(intake, queues.notification(), quota=queues.QUOTA)


async def test_a_first_dot_waits_for_room(halves: Halves) -> None:
    """Settings that a message is sent with for the first time are stored as outcomes are, and the reserve comes back.

    Nothing is delivered without them, and only what is delivered makes room (R13).
    """
    delivery, intake = halves
    (claimed,) = await queues.claim(delivery)
    async with _full(delivery):
        with pytest.raises(ports.StorageFullError):
            await delivery.remember("route", _LARGE)
        noting = asyncio.ensure_future(
            delivery.note_dot(claimed.job.recipient_number, ports.Snapshot(settings=f'{{"from":"{_LARGE}"}}'))
        )
        await wait.until_async(lambda: not intake._room.reserved, within_seconds=10, why="the reserve is given up")
    await asyncio.wait_for(noting, 10)
    await wait.until_async(lambda: intake._room.reserved, within_seconds=10, why="the reserve is held again")
    await queues.enqueue(intake, queues.notification(), quota=queues.QUOTA)


async def test_a_write_that_fails_is_not_called_a_full_volume(halves: Halves) -> None:
    """A quota, a limit of a file's size and a disk that fails are one error to SQLite: it is told as what it may be."""
    delivery, _ = halves
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64 * 1024, hard))
    try:
        with pytest.raises(ports.StorageFullError, match="over a quota, or it fails"):
            await delivery.remember("route", _LARGE)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
