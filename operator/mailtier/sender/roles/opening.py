"""Opening the queue that the command line names: the embedded one, or a database that several senders share.

Each role opens its own half. What the two of one pod tell each other by the bell, those of several senders tell each
other through the database too: who takes in knows not which sender delivers.
"""

import asyncio
import contextlib
import datetime as dt
import functools
import pathlib
from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Iterable, Mapping, Sequence
from typing import Any, NoReturn

from mailtier.sender import ports
from mailtier.sender.between import owning
from mailtier.sender.queueing import crashes
from mailtier.sender.roles import options, sides
from mailtier.sender.storage.postgres import shared_queue
from mailtier.sender.storage.sqlite import embedded

Ring = Callable[[Iterable[ports.Pending]], None]
LookAnew = Callable[[], None]
Parts = Mapping[str, Coroutine[Any, Any, object]]


class OpenIntake:
    """The intake's half.

    Args:
        queue: What is asked.
        note_cursor: Takes the feed's cursor as the bell tells it.
        shared: The queue, where others may have it open.
    """

    def __init__(
        self,
        queue: sides.IntakeSide,
        *,
        note_cursor: Callable[[int], None],
        shared: shared_queue.SharedQueue | None = None,
    ) -> None:
        self.queue = queue
        self.note_cursor = note_cursor
        self._shared = shared
        self._queued: asyncio.Queue[Sequence[ports.Pending]] = asyncio.Queue()

    def ring(self, pending: Iterable[ports.Pending]) -> None:
        """Tell other senders what was queued, where there may be any."""
        if self._shared is not None:
            self._queued.put_nowait(list(pending))

    def running(self) -> Parts:
        """Return what runs beside the intake."""
        return {} if self._shared is None else {"announcing": self._announce(self._shared)}

    async def _announce(self, shared: shared_queue.SharedQueue) -> NoReturn:
        # An intake before this one may have ended between a commit and its announcement.
        await shared.announce_anew()
        while True:
            queued = list(await self._queued.get())
            # What came meanwhile goes with it: announcements are committed one after the other in all of a database.
            while not self._queued.empty():
                queued += self._queued.get_nowait()
            await shared.announce(queued)


class OpenDelivery:
    """Delivery's half, and whether there may be others.

    Args:
        queue: What is asked.
        listen: Has somebody told the feed's cursor when it moves.
        shared: The queue, where others may have it open.

    Attributes:
        owning: What says whose mail is whose; None of an embedded queue, which has one sender.
    """

    def __init__(
        self,
        queue: sides.DeliverySide,
        *,
        listen: Callable[[Callable[[int], None]], None],
        shared: shared_queue.SharedQueue | None = None,
    ) -> None:
        self.queue = queue
        self.listen = listen
        self.owning: owning.OwningQueue | None = shared
        self._shared = shared

    def beside_others(self, parts: Parts, *, for_one: Collection[str], ring: Ring, look_anew: LookAnew) -> Parts:
        """Return what runs where there may be other senders.

        Args:
            parts: What runs in each, and ends when its lease is over.
            for_one: Names of those that one sender does for all, which is the oldest.
            ring: Takes what others queue.
            look_anew: Called where they may have queued more than that.
        """
        if self._shared is None:
            return parts
        turn = self._shared.turn()
        waiting = {name: _after(turn, part) if name in for_one else part for name, part in parts.items()}
        return {**waiting, "bell": self._shared.hear(ring, look_anew), "lease": self._shared.lost()}


@contextlib.asynccontextmanager
async def opened_intake(chosen: options.SenderOptions, *, now: Callable[[], dt.datetime]) -> AsyncIterator[OpenIntake]:
    """Open the intake's half, and close it at the end.

    Raises:
        InUseError: Another intake has the embedded queue.
        NewerSchemaError, NewerTablesError: A newer version of this program wrote it.
        DamagedError: Parts of it cannot be read.
        NoDatabaseError: The database cannot be used.
    """
    async with contextlib.AsyncExitStack() as stack:
        if chosen.queue_dsn_file is None:
            half = await embedded.open_intake(
                chosen.data_dir / options.QUEUE_FOLDER, limits=embedded.VolumeLimits(full_at=chosen.full_at)
            )
            stack.push_async_callback(half.close)
            yield OpenIntake(half, note_cursor=half.news.announce)
        else:
            shared = await shared_queue.open_queue(
                _shared_options(chosen, chosen.queue_dsn_file), now=now, only_takes_in=True
            )
            stack.push_async_callback(shared.close)
            # It hears of its feed from the database.
            yield OpenIntake(shared, note_cursor=_ignore, shared=shared)


@contextlib.asynccontextmanager
async def opened_delivery(
    chosen: options.SenderOptions, *, now: Callable[[], dt.datetime]
) -> AsyncIterator[OpenDelivery]:
    """Open delivery's half, and close it at the end.

    Raises:
        InUseError, NewerSchemaError, NewerTablesError, DamagedError, NoDatabaseError: As `opened_intake`.
    """
    in_doubt = functools.partial(crashes.decide_in_doubt, delays=chosen.in_doubt_delays)
    async with contextlib.AsyncExitStack() as stack:
        if chosen.queue_dsn_file is None:
            half = await embedded.open_delivery(
                chosen.data_dir / options.QUEUE_FOLDER,
                now=now,
                in_doubt=in_doubt,
                limits=embedded.VolumeLimits(full_at=chosen.full_at),
                keep_failed=chosen.keep_failed,
            )
            stack.push_async_callback(half.close)
            yield OpenDelivery(half, listen=half.news.listen)
        else:
            shared = await shared_queue.open_queue(
                _shared_options(chosen, chosen.queue_dsn_file),
                now=now,
                in_doubt=in_doubt,
                keep_failed=chosen.keep_failed,
            )
            stack.push_async_callback(shared.close)
            yield OpenDelivery(shared, listen=_ignore, shared=shared)


def _shared_options(chosen: options.SenderOptions, dsn_file: pathlib.Path) -> shared_queue.SharedOptions:
    return shared_queue.SharedOptions(dsn=functools.partial(read_dsn, dsn_file), name=chosen.sender_name)


def read_dsn(path: pathlib.Path) -> str:
    """Return the address of a database, with its password."""
    # Read for each connection: a Secret that is mounted changes with its password. It is small, and local.
    return path.read_text(encoding="utf-8").strip()


def _ignore(_: object) -> None:
    """Do nothing with it."""


async def _after(turn: asyncio.Event, part: Coroutine[Any, Any, object]) -> object:
    try:
        await turn.wait()
    except BaseException:
        part.close()
        raise
    return await part
