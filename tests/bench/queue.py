"""How fast the queue stores, beside what the volume can sync and what its statements alone take, in the same run.

Run by `make bench`, or alone as `python -m bench.queue [DIRECTORY]` with a directory on the volume in question; the
system's temporary directory otherwise.
"""

import asyncio
import collections
import collections.abc
import functools
import os
import pathlib
import sqlite3
import sys
import tempfile
import time
import typing

from kit import queues
from mailtier.api import vocabulary
from mailtier.mail import states
from mailtier.sender import ports
from mailtier.sender.queueing import payloads, retention
from mailtier.sender.storage import reporting, volume
from mailtier.sender.storage.sqlite import commands, embedded, intake, schema, settling

_Item = typing.TypeVar("_Item")
_T = typing.TypeVar("_T")

_CONCURRENCY = 64
_TOGETHER = 128
_NOTIFICATIONS = 6_400
_SYNCS = 400
_PENDING = 20_000
_TEXT = "A line of the report.\n" * 20
_QUOTA = ports.QueueQuota(messages=1_000_000, payload_bytes=10**10)


def syncs_per_second(directory: pathlib.Path) -> float:
    """Return how often a page can be written and synced in a second, one after the other: the physical limit."""
    descriptor = os.open(directory / "syncs", os.O_WRONLY | os.O_CREAT)
    try:
        os.posix_fallocate(descriptor, 0, 4096 * _SYNCS)
        os.fsync(descriptor)
        started = time.perf_counter()
        for number in range(_SYNCS):
            os.pwrite(descriptor, bytes(4096), number * 4096)
            os.fdatasync(descriptor)
        return _SYNCS / (time.perf_counter() - started)
    finally:
        os.close(descriptor)


async def enqueue(queue: ports.Queue, notifications: int, *, concurrency: int) -> list[int]:
    """Return the recipients of so many notifications, enqueued by so many callers at once."""
    recipients: list[int] = []

    async def call() -> None:
        for _ in range(notifications // concurrency):
            new = queues.notification(text=_TEXT)
            enqueued = await queues.enqueue(queue, new, quota=_QUOTA)
            recipients.append(enqueued.pending[0].recipient_number)

    await asyncio.gather(*(call() for _ in range(concurrency)))
    return recipients


async def deliver(queue: ports.Queue, *, connections: int) -> None:
    """Claim, note and settle each recipient as the delivery loop does, without a server."""
    claimed: collections.deque[ports.Claimed] = collections.deque()
    under_way: list[asyncio.Future[collections.abc.Sequence[Exception | None]]] = []
    (backlog,) = await queue.backlogs()
    demand = ports.Demand(backlog=backlog, due_by=None, states=states.UNFINISHED, limit=312, limit_bytes=2**20)
    claiming = asyncio.Lock()

    async def connection() -> None:
        while True:
            async with claiming:
                if not claimed:
                    claimed.extend((await queue.claim([demand])).claimed)
            if not claimed:
                return
            recipient_number = claimed.popleft().pending.recipient_number
            await queue.note_dot(recipient_number, queues.SNAPSHOT)
            queue.note_accepted(recipient_number)
            under_way.append(queue.settle([queues.outcome(recipient_number, vocabulary.RecipientState.ACCEPTED)]))

    await asyncio.gather(*(connection() for _ in range(connections)))
    await asyncio.gather(*under_way)


def statements(directory: pathlib.Path) -> tuple[float, float]:
    """Return the microseconds of CPU that inserting and finishing a notification take, without loop and threads."""
    room = volume.Room(directory / "reserve", full_at=2.0, reserve_bytes=4096)
    connection = schema.open_writer(directory / "statements.sqlite3", volume.WriteTurns(directory / "turns"))
    offers = [
        intake.Offering(
            entries=[intake.Entry(notification=new, payload=payloads.encode(new), quota=_QUOTA)],
            read=0,
        )
        for new in (queues.notification(text=_TEXT) for _ in range(_NOTIFICATIONS))
    ]
    started = time.process_time()
    taken = [each for part in _commits(connection, functools.partial(intake.take, room=room), offers) for each in part]
    inserting = time.process_time() - started
    verdicts = [verdict for found in taken if not isinstance(found, Exception) for verdict in found]
    accepted = vocabulary.RecipientState.ACCEPTED
    reports = [
        reporting.ReportedOutcome(outcome=queues.outcome(pending.recipient_number, accepted), note=None)
        for verdict in verdicts
        for pending in (verdict.pending if isinstance(verdict, ports.Enqueued) else ())
    ]
    settle = functools.partial(settling.settle, keep_failed=retention.FAILED_KEPT)
    started = time.process_time()
    assert [each for part in _commits(connection, settle, reports) for each in part] == [None] * len(offers)
    finishing = time.process_time() - started
    connection.close()
    room.close()
    return inserting / _NOTIFICATIONS * 1e6, finishing / _NOTIFICATIONS * 1e6


def _commits(
    connection: sqlite3.Connection, work: commands.Work[_Item, _T], items: collections.abc.Sequence[_Item]
) -> collections.abc.Iterator[collections.abc.Sequence[_T | Exception]]:
    """Yield what each commit's items come to."""
    for first in range(0, len(items), _TOGETHER):
        connection.execute("BEGIN IMMEDIATE")
        yield work(connection, items[first : first + _TOGETHER])
        connection.execute("COMMIT")


async def measure(directory: pathlib.Path) -> None:
    """Print what was measured on a volume."""
    syncs = syncs_per_second(directory)
    print(f"write + fdatasync, one after the other: {syncs:.0f} /s (physical limit of a commit)")
    inserting, finishing = statements(directory)
    print(f"statements alone, {_TOGETHER} a commit: insert {inserting:.1f}, finish {finishing:.1f} µs CPU each")
    queue = await embedded.open_queue(directory / "queue", now=queues.Clock())
    for concurrency in (1, _CONCURRENCY):
        notifications = _NOTIFICATIONS if concurrency > 1 else _SYNCS
        started, cpu = time.perf_counter(), time.process_time()
        recipients = await enqueue(queue, notifications, concurrency=concurrency)
        elapsed, cpu = time.perf_counter() - started, time.process_time() - cpu
        print(
            f"enqueue, concurrency {concurrency}: {notifications / elapsed:.0f} /s, "
            f"{notifications / elapsed / syncs:.1f} for each sync the volume can do, "
            f"{cpu / notifications * 1e6:.0f} µs CPU each"
        )
    started, cpu = time.perf_counter(), time.process_time()
    await deliver(queue, connections=32)
    elapsed, cpu = time.perf_counter() - started, time.process_time() - cpu
    print(
        f"claim, note, settle, 32 connections: {len(recipients) / elapsed:.0f} /s, "
        f"{len(recipients) / elapsed / syncs:.1f} for each sync, "
        f"{cpu / len(recipients) * 1e6:.0f} µs CPU each"
    )
    started = time.perf_counter()
    for recipient_number in range(10_000):
        queue.note_accepted(10**9 + recipient_number % 100)
    print(f"a note in the journal: {(time.perf_counter() - started) / 10_000 * 1e6:.1f} µs")
    await enqueue(queue, _PENDING, concurrency=128)
    started = time.perf_counter()
    found = len(await queue.backlogs())
    print(f"backlogs: {found} with {_PENDING} recipients in {(time.perf_counter() - started) * 1e3:.1f} ms")
    await queue.close()


def main(argv: list[str]) -> None:
    """Measure on the volume of the directory that is given."""
    with tempfile.TemporaryDirectory(dir=argv[0] if argv else None) as directory:
        asyncio.run(measure(pathlib.Path(directory)))


if __name__ == "__main__":
    main(sys.argv[1:])
