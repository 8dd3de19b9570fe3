"""The queue in a directory of its own: what `ports.Queue` asks for, on SQLite."""

import asyncio
import contextlib
import dataclasses
import datetime as dt
import functools
import pathlib
import sqlite3
from collections.abc import Callable, Sequence
from typing import Final

from mailtier.sender.queueing import crashes, retention
from mailtier.sender.storage import journal, volume
from mailtier.sender.storage.sqlite import claims, readers, recovery, schema, writer
from mailtier.sender.storage.sqlite.halves import delivery_half, half, intake_half, news

_DATABASE: Final = "queue.sqlite3"
_JOURNAL: Final = "completions.journal"
_LOCK: Final = "queue.lock"
_RESERVE: Final = "reserve"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class VolumeLimits:
    """How the queue treats its volume.

    Attributes:
        full_at: Fraction of the volume in use at which new work is refused.
        reserve_bytes: Held back for recording what was finished.
        truncate_every: How long a wiped payload may stay in the write-ahead log (R11).
    """

    full_at: float = volume.FULL_AT
    reserve_bytes: int = volume.RESERVE_BYTES
    truncate_every: dt.timedelta = dt.timedelta(minutes=1)


async def open_queue(
    directory: pathlib.Path,
    *,
    now: Callable[[], dt.datetime],
    in_doubt: crashes.InDoubtDecision = crashes.decide_in_doubt,
    limits: VolumeLimits | None = None,
    keep_failed: dt.timedelta = retention.FAILED_KEPT,
) -> "EmbeddedQueue":
    """Return the open queue, with what a dead process left behind recovered.

    On a volume that is full, and whose reserve is used up, this waits until there is room for the recovery.

    Args:
        directory: On a local file system; made if it is missing.
        now: Returns the aware UTC time.
        in_doubt: Decides about those whose message may have been taken.
        limits: How the volume is treated.
        keep_failed: How long the payloads of notifications that failed are kept (R11); at most
            `retention.FAILED_KEPT`, and no time at all to wipe them at their end, and those that were kept.

    Raises:
        volume.InUseError: Another sender has it open.
        schema.NewerSchemaError: A newer version of this program wrote it.
        schema.DamagedError: Parts of it cannot be read.
    """
    async with contextlib.AsyncExitStack() as opened:
        room, connection, notes = await asyncio.to_thread(_prepare, directory, limits or VolumeLimits(), opened)
        told = news.News()
        commits = writer.Writer(
            connection,
            room=room,
            truncate_every=(limits or VolumeLimits()).truncate_every,
            on_change=told.announce,
        )
        opened.push_async_callback(commits.close)
        reads = readers.Readers(directory / _DATABASE)
        opened.push_async_callback(reads.close)
        # One by one, for the writer to fit them into what room there is.
        await asyncio.gather(
            *(
                commits.submit(
                    functools.partial(
                        recovery.answer, note=note, now=now(), in_doubt=in_doubt, keep_failed=keep_failed
                    ),
                    essential=True,
                )
                for note in notes
            )
        )
        while await commits.submit(claims.adopt, essential=True):
            pass
        epoch = await commits.submit(recovery.begin, essential=True)
        # Only now: a crash before the commit finds the notes again, and one after it finds that they are answered.
        completions = await asyncio.to_thread(journal.Journal.create, directory / _JOURNAL, epoch=epoch)
        opened.callback(completions.close)
        parts = half.Opened(commits=commits, reads=reads, room=room, told=told, closing=opened.pop_all())
        return EmbeddedQueue(parts, completions=completions, keep_failed=keep_failed)


def _prepare(
    directory: pathlib.Path, limits: VolumeLimits, opened: contextlib.AsyncExitStack
) -> tuple[volume.Room, sqlite3.Connection, Sequence[crashes.Note]]:
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = volume.Lock(directory / _LOCK)
    opened.callback(lock.release)
    room = volume.Room(directory / _RESERVE, full_at=limits.full_at, reserve_bytes=limits.reserve_bytes)
    opened.callback(room.close)
    return room, schema.open_writer(directory / _DATABASE), journal.read(directory / _JOURNAL)


class EmbeddedQueue(intake_half.IntakeHalf, delivery_half.DeliveryHalf):
    """Both halves. Made by `open_queue`; its methods are called on the event loop that it was opened on."""

    def __init__(self, opened: half.Opened, *, completions: journal.Journal, keep_failed: dt.timedelta) -> None:
        intake_half.IntakeHalf.__init__(self, opened)
        delivery_half.DeliveryHalf.__init__(self, opened, completions=completions, keep_failed=keep_failed)
