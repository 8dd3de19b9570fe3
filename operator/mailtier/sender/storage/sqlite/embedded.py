"""The queue in a directory of its own: what `ports.Queue` asks for, on SQLite."""

import asyncio
import contextlib
import dataclasses
import datetime as dt
import functools
import pathlib
import sqlite3
import time
from collections.abc import Callable, Iterator
from typing import Final

from mailtier.sender.queueing import crashes, retention
from mailtier.sender.storage import journal, volume
from mailtier.sender.storage.sqlite import changes, checkpoints, claims, readers, recovery, schema, writer
from mailtier.sender.storage.sqlite.halves import checking, delivery_half, half, intake_half, news

DATABASE: Final = "queue.sqlite3"
JOURNAL: Final = "completions.journal"
DELIVERY_LOCK: Final = "queue.lock"
"""The name that a sender of one process had, so that neither runs beside the other."""
INTAKE_LOCK: Final = "intake.lock"
TURNS: Final = "writing.lock"
RESERVE: Final = "reserve"

_OPEN_AGAIN_SECONDS: Final = 0.1

LOCK_SECONDS: Final = 5.0
"""How long a process of before may have a role's lock still: it ends once it notices that its supervisor did."""


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
    """Return both halves of the queue in one process; see `open_delivery` and `open_intake`."""
    chosen = limits or VolumeLimits()
    async with contextlib.AsyncExitStack() as opened:
        await asyncio.to_thread(_lock, directory, INTAKE_LOCK, 0.0, opened)
        parts, completions = await _open_delivery(
            directory, opened, now=now, in_doubt=in_doubt, limits=chosen, keep_failed=keep_failed, is_alone=True
        )
        return EmbeddedQueue(parts, completions=completions, keep_failed=keep_failed)


async def open_delivery(
    directory: pathlib.Path,
    *,
    now: Callable[[], dt.datetime],
    in_doubt: crashes.InDoubtDecision = crashes.decide_in_doubt,
    limits: VolumeLimits | None = None,
    keep_failed: dt.timedelta = retention.FAILED_KEPT,
) -> delivery_half.DeliveryHalf:
    """Return delivery's half of the queue, with what a dead delivery left behind recovered.

    On a volume that is full, this gives the reserve up to open the file; where that is used up already, but the file
    can be opened, it waits until there is room for the recovery.

    Args:
        directory: On a local file system; made if it is missing.
        now: Returns the aware UTC time.
        in_doubt: Decides about those whose message may have been taken.
        limits: How the volume is treated.
        keep_failed: How long the payloads of notifications that failed are kept (R11); at most
            `retention.FAILED_KEPT`, and no time at all to wipe them at their end, and those that were kept.

    Raises:
        volume.InUseError: Another delivery has it open.
        schema.NewerSchemaError: A newer version of this program wrote it.
        schema.SealedError: It was moved to a database.
        schema.DamagedError: Parts of it cannot be read.
        schema.UnopenedError: SQLite does not open it.
        volume.FullError: The volume has no room for the files beside it, also without the reserve.
    """
    async with contextlib.AsyncExitStack() as opened:
        parts, completions = await _open_delivery(
            directory,
            opened,
            now=now,
            in_doubt=in_doubt,
            limits=limits or VolumeLimits(),
            keep_failed=keep_failed,
            is_alone=False,
        )
        return delivery_half.DeliveryHalf(parts, completions=completions, keep_failed=keep_failed)


async def open_intake(directory: pathlib.Path, *, limits: VolumeLimits | None = None) -> intake_half.IntakeHalf:
    """Return the intake's half of the queue, whether or not there is a delivery beside it.

    Args:
        directory: As above.
        limits: How the volume is treated.

    Raises:
        volume.InUseError: Another intake has it open.
        schema.NewerSchemaError, schema.SealedError, schema.DamagedError, volume.FullError: As above.
    """
    chosen = limits or VolumeLimits()
    async with contextlib.AsyncExitStack() as opened:
        await asyncio.to_thread(_lock, directory, INTAKE_LOCK, LOCK_SECONDS, opened)
        room = volume.SharedRoom(directory / RESERVE, full_at=chosen.full_at)
        # Delivery has the reserve, and is given the time to give it up.
        turns, connection = await asyncio.to_thread(
            _connect, directory, opened, room, half_name="intake", patience_seconds=LOCK_SECONDS
        )
        told = news.News()
        commits = writer.Writer(
            connection, room=room, turns=turns, truncate_every=None, is_alone=False, on_change=told.announce
        )
        opened.push_async_callback(commits.close)
        reads = readers.Readers(directory / DATABASE)
        opened.push_async_callback(reads.close)
        told.announce(await reads.read(changes.current_cursor))
        return intake_half.IntakeHalf(
            half.Opened(commits=commits, reads=reads, room=room, told=told, closing=opened.pop_all())
        )


async def _open_delivery(
    directory: pathlib.Path,
    opened: contextlib.AsyncExitStack,
    *,
    now: Callable[[], dt.datetime],
    in_doubt: crashes.InDoubtDecision,
    limits: VolumeLimits,
    keep_failed: dt.timedelta,
    is_alone: bool,
) -> tuple[half.Opened, journal.Journal]:
    await asyncio.to_thread(_lock, directory, DELIVERY_LOCK, 0.0 if is_alone else LOCK_SECONDS, opened)
    room = await asyncio.to_thread(_hold_room, directory, limits)
    opened.callback(room.close)
    turns, connection = await asyncio.to_thread(
        _connect, directory, opened, room, half_name=None if is_alone else "delivery", patience_seconds=0.0
    )
    notes = await asyncio.to_thread(journal.read, directory / JOURNAL)
    told = news.News()
    commits = writer.Writer(
        connection,
        room=room,
        turns=turns,
        truncate_every=limits.truncate_every,
        is_alone=is_alone,
        on_change=told.announce,
    )
    opened.push_async_callback(commits.close)
    moving = checkpoints.Checkpoints(directory / DATABASE, volume.WriteTurns(directory / TURNS))
    opened.push_async_callback(asyncio.to_thread, moving.close)
    reads = readers.Readers(directory / DATABASE)
    opened.push_async_callback(reads.close)
    # One by one, for the writer to fit them into what room there is.
    await asyncio.gather(
        *(
            commits.submit(
                functools.partial(recovery.answer, note=note, now=now(), in_doubt=in_doubt, keep_failed=keep_failed),
                essential=True,
            )
            for note in notes
        )
    )
    while await commits.submit(claims.adopt, essential=True):
        pass
    epoch = await commits.submit(recovery.begin, essential=True)
    # Only now: a crash before the commit finds the notes again, and one after it finds that they are answered.
    completions = await asyncio.to_thread(journal.Journal.create, directory / JOURNAL, epoch=epoch)
    opened.callback(completions.close)
    return half.Opened(commits=commits, reads=reads, room=room, told=told, closing=opened.pop_all()), completions


@contextlib.contextmanager
def kept_closed(directory: pathlib.Path) -> Iterator[None]:
    """Let no sender open a queue meanwhile.

    Raises:
        volume.InUseError: One has it open.
    """
    with contextlib.ExitStack() as held:
        for name in (DELIVERY_LOCK, INTAKE_LOCK):
            try:
                held.callback(volume.Lock(directory / name).release)
            except volume.InUseError:
                raise volume.InUseError(f"a sender has the queue in {directory} open: stop the sender first") from None
        yield


def _lock(directory: pathlib.Path, name: str, patience_seconds: float, opened: contextlib.AsyncExitStack) -> None:
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    opened.callback(volume.Lock(directory / name, patience_seconds=patience_seconds).release)


def _hold_room(directory: pathlib.Path, limits: VolumeLimits) -> volume.Room:
    return volume.Room(directory / RESERVE, full_at=limits.full_at, reserve_bytes=limits.reserve_bytes)


def _connect(
    directory: pathlib.Path,
    opened: contextlib.AsyncExitStack,
    room: volume.WorkRoom,
    *,
    half_name: str | None,
    patience_seconds: float,
) -> tuple[volume.WriteTurns, sqlite3.Connection]:
    turns = volume.WriteTurns(directory / TURNS)
    opened.callback(turns.close)
    until = time.monotonic() + patience_seconds
    while True:
        try:
            with checking.one_for_both(directory, half=half_name, database=directory / DATABASE) as is_whole:
                return turns, schema.open_writer(directory / DATABASE, turns, is_whole=is_whole)
        except sqlite3.OperationalError as error:
            # Merely opening it takes room: the log's index is a file that is made anew.
            if not schema.is_full(error):
                raise schema.UnopenedError(f"the queue in {directory} cannot be opened: {error}") from error
            if isinstance(room, volume.Room) and room.reserved:
                room.give_up()
            elif time.monotonic() >= until:
                raise volume.FullError(
                    f"the volume of {directory} is full, and the queue on it cannot be opened: free space or enlarge it"
                ) from error
            else:
                time.sleep(_OPEN_AGAIN_SECONDS)


class EmbeddedQueue(intake_half.IntakeHalf, delivery_half.DeliveryHalf):
    """Both halves. Made by `open_queue`; its methods are called on the event loop that it was opened on."""

    def __init__(self, opened: half.Opened, *, completions: journal.Journal, keep_failed: dt.timedelta) -> None:
        intake_half.IntakeHalf.__init__(self, opened)
        delivery_half.DeliveryHalf.__init__(self, opened, completions=completions, keep_failed=keep_failed)
