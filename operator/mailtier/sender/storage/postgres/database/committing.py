"""Committing together what comes at the same time: one transaction, and one wait for the disk, for all of it."""

import asyncio
import collections
import contextlib
import dataclasses
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, Generic, Protocol, TypeVar

from mailtier.sender import ports
from mailtier.sender.storage.postgres.database import connections
from mailtier.telemetry import logs, metrics

_Item = TypeVar("_Item")
_Item_contra = TypeVar("_Item_contra", contravariant=True)
_T = TypeVar("_T")
_T_co = TypeVar("_T_co", covariant=True)

# What one transaction takes at most: others wait for rows that it has locked.
_BATCH_ITEMS: Final = 256
_BATCH_BYTES: Final = 4 * 1024 * 1024

_FIRST_PAUSE_SECONDS: Final = 0.05
_LONGEST_PAUSE_SECONDS: Final = 1.0

_GIVEN_UP_SECONDS: Final = 60.0
"""How long what is no outcome is tried while the database is away. Whoever waits has been told long before that it may
be stored, or not."""

_log = logs.get_logger(__name__)


class BatchedWork(Protocol[_Item_contra, _T_co]):
    """What is done for many items at once, in a transaction."""

    def __call__(
        self, session: connections.DatabaseSession, items: Sequence[_Item_contra], /, *, is_again: bool
    ) -> Awaitable[Sequence[_T_co | Exception]]:
        """Return what each item comes to, in their order, or why it alone comes to nothing and changes nothing.

        Args:
            session: In a transaction.
            items: What is to be done.
            is_again: Whether an earlier commit of these items was not answered: what is stored already has to be found.
        """


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Command(Generic[_Item, _T]):
    """An item, and who waits for it."""

    item: _Item
    future: asyncio.Future[_T]
    weight_bytes: int


class Committer(Generic[_Item, _T]):
    """Does one kind of work in the order in which it comes, as much as waits in one transaction.

    One item that fails takes no other with it: each is then done again by itself. While the database is away, or a
    commit was not answered, the same items are tried again.

    Args:
        pool: Connections.
        work: What is done.
        essential: Whether it is tried for ever, also while the server's disk is full (R13).
        committed: Told what is stored, with what it came to, also where nobody waits for that any more.
    """

    def __init__(
        self,
        pool: connections.Connections,
        work: BatchedWork[_Item, _T],
        *,
        essential: bool,
        committed: Callable[[_Item, _T], None] | None = None,
    ) -> None:
        self._pool = pool
        self._work = work
        self._essential = essential
        self._committed = committed
        self._waiting: collections.deque[_Command[_Item, _T]] = collections.deque()
        self._task: asyncio.Task[None] | None = None
        self._closing = False

    def submit(self, item: _Item, *, weight_bytes: int = 0) -> asyncio.Future[_T]:
        """Return what the work will have returned for an item once it is committed."""
        if self._closing:
            raise RuntimeError("the queue is closed")
        future: asyncio.Future[_T] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Command(item=item, future=future, weight_bytes=weight_bytes))
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="queue-committer")
        return future

    async def close(self) -> None:
        """Commit what was submitted."""
        self._closing = True
        if self._task is not None:
            await self._task

    async def abandon(self) -> None:
        """Stop at once, as a process that dies does."""
        self._closing = True
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        try:
            while self._waiting:
                batch = self._next_batch()
                started = time.monotonic()
                try:
                    await self._commit(batch)
                except Exception as error:  # noqa: BLE001 - those who wait must be told, or they would wait for ever.
                    _refuse(batch, error)
                else:
                    metrics.observe_commit(operations=len(batch), seconds=time.monotonic() - started)
        finally:
            self._task = None

    def _next_batch(self) -> list[_Command[_Item, _T]]:
        batch: list[_Command[_Item, _T]] = []
        weight_bytes = 0
        while self._waiting and len(batch) < _BATCH_ITEMS and weight_bytes < _BATCH_BYTES:
            weight_bytes += self._waiting[0].weight_bytes
            batch.append(self._waiting.popleft())
        return batch

    async def _commit(self, batch: Sequence[_Command[_Item, _T]]) -> None:
        try:
            found = await self._persist([command.item for command in batch])
        except Exception as error:
            if len(batch) == 1 or _is_of_storage(error):
                raise
            # One of them fails; which one is found by doing each by itself.
            for command in batch:
                await self._commit_alone(command)
            return
        for command, value in zip(batch, found, strict=True):
            self._resolve(command, value)

    async def _commit_alone(self, command: _Command[_Item, _T]) -> None:
        try:
            (value,) = await self._persist([command.item])
        except Exception as error:  # noqa: BLE001 - whatever it is, it belongs to whoever waits for this one.
            _refuse([command], error)
        else:
            self._resolve(command, value)

    async def _persist(self, items: Sequence[_Item]) -> Sequence[_T | Exception]:
        """Return what the items come to once they are committed."""
        is_again = False
        pause = _FIRST_PAUSE_SECONDS
        deadline = time.monotonic() + _GIVEN_UP_SECONDS
        while True:
            try:
                async with self._pool.transaction() as session:
                    found = await self._work(session, items, is_again=is_again)
            except connections.CommitUnknownError as error:
                is_again = True
                cause: Exception = error
            except Exception as error:  # noqa: BLE001 - it is judged.
                self._judge(error)
                cause = error
            else:
                return found
            if not self._essential and time.monotonic() >= deadline:
                raise ports.StorageBrokenError("the queue's database does not answer: look at it") from cause
            _log.warning("the queue's database did not store; trying again", error=connections.describe(cause))
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)

    def _resolve(self, command: _Command[_Item, _T], value: _T | Exception) -> None:
        if isinstance(value, Exception):
            _refuse([command], value)
            return
        if self._committed is not None:
            self._committed(command.item, value)
        if not command.future.done():
            command.future.set_result(value)

    def _judge(self, error: Exception) -> None:
        """Return where another try may help.

        Raises:
            StorageFullError: The server's disk is full, and this is no outcome.
            StorageBrokenError: Tables are damaged.
        """
        if connections.is_full(error):
            if not self._essential:
                raise ports.StorageFullError("the disk of the queue's database is full: try again later") from error
        elif connections.is_damage(error):
            raise ports.StorageBrokenError("tables of the queue are damaged: look at the database") from error
        elif not connections.is_passing(error):
            raise error


def _is_of_storage(error: Exception) -> bool:
    return isinstance(error, (ports.StorageFullError, ports.StorageBrokenError))


def _refuse(commands: Sequence[_Command[Any, Any]], error: Exception) -> None:
    for command in commands:
        if not command.future.done():
            command.future.set_exception(error)


Step = Callable[[connections.DatabaseSession], Awaitable[_T]]
"""Work that is done alone, and may be done twice."""


async def step(pool: connections.Connections, run: Step[_T]) -> _T:
    """Return what a step returns once it is committed; it is done again where that is not certain.

    Raises:
        StorageAwayError: The database does not answer.
        StorageFullError: Its disk is full.
        StorageBrokenError: It is damaged.
    """

    async def attempt() -> _T:
        try:
            async with pool.transaction() as session:
                return await run(session)
        except connections.CommitUnknownError as error:
            raise ConnectionError("the commit was not answered") from error
        except Exception as error:
            if connections.is_full(error):
                raise ports.StorageFullError("the disk of the queue's database is full: try again later") from error
            raise

    return await pool.patiently(attempt)
