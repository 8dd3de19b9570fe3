"""The one writer: a thread that commits everything that waits for it at once."""

import asyncio
import collections
import contextlib
import dataclasses
import datetime as dt
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, Protocol, TypeAlias, TypeVar

from mailtier.sender import ports
from mailtier.sender.storage import volume
from mailtier.sender.storage.sqlite import changes, schema
from mailtier.telemetry import metrics

_T = TypeVar("_T")
_T_co = TypeVar("_T_co", covariant=True)
_Item = TypeVar("_Item")
_Item_contra = TypeVar("_Item_contra", contravariant=True)

# What one transaction takes at most. The log grows by it before a checkpoint can empty it, and a full volume is
# noticed between two of them.
_BATCH_COMMANDS: Final = 128
_BATCH_BYTES: Final = 4 * 1024 * 1024

_RETRY_SECONDS: Final = 1.0
"""The pause between two attempts to write to a full volume, in which what is dispensable is refused untried, or to hold
the reserve again."""

_BUSY_RETRY_SECONDS: Final = 5.0
"""The pause before a log that a reader kept from being emptied is tried again; the attempt blocks the writer."""


class Work(Protocol[_Item_contra, _T_co]):
    """Work of one kind, which is done for many items at once: a statement for all of them costs far less than one each.

    It is a function of a module, or made once: commands that have the same one are done together.
    """

    def __call__(self, connection: sqlite3.Connection, items: Sequence[_Item_contra], /) -> Sequence[_T_co | Exception]:
        """Return what each item comes to, in their order, or why it alone comes to nothing and changes nothing."""


Step: TypeAlias = Callable[[sqlite3.Connection], _T]
"""Work that is done alone."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Command:
    """One piece of work for a transaction, and who waits for it."""

    work: Work[Any, Any]
    item: Any
    future: asyncio.Future[Any]
    committed: Callable[[], None] | None
    essential: bool
    weight_bytes: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Result:
    """What became of a command; `error` is None if it is committed."""

    command: _Command
    value: Any
    error: Exception | None


class Writer:
    """Runs commands in the order of their submission, as many as wait in one transaction with one sync.

    Those of one kind are done together, so that kinds keep no order among one another. One that fails takes no other
    with it: what was done is rolled back, and each is done again by itself, in a savepoint. When the volume is full,
    essential commands (what was finished, R13) go first: the reserve is given up for them, and they are tried until
    they are stored. All others are refused meanwhile, and for a moment where nothing essential waits; whoever comes
    then finds out whether there is room again.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        *,
        room: volume.WorkRoom,
        turns: volume.WriteTurns,
        truncate_every: dt.timedelta | None,
        is_alone: bool = True,
        on_change: Callable[[int], None],
    ) -> None:
        """Start the thread.

        Args:
            connection: Given over to the thread, which closes it.
            room: Given over likewise, but not closed.
            turns: Given over likewise: another process may write to the same file.
            truncate_every: How long a payload may stay in the write-ahead log after it was wiped; None where another
                process sees to that.
            is_alone: Whether nobody else writes, so that there is nothing to truncate where nothing was written here.
            on_change: Told the cursor of the feed after each commit that moved it, on the event loop.
        """
        self._connection = connection
        self._room = room
        self._turns = turns
        self._truncate_every = None if truncate_every is None else truncate_every.total_seconds()
        self._is_alone = is_alone
        self._on_change = on_change
        self._loop = asyncio.get_running_loop()
        self._submitted: queue.SimpleQueue[_Command | None] = queue.SimpleQueue()
        self._backlog: collections.deque[_Command] = collections.deque()
        self._closed = False
        self._closing = False
        self._batch_commands = _BATCH_COMMANDS
        # Times on the monotonic clock; None while there is no cause.
        self._retry_at: float | None = None
        self._restore_at: float | None = None if room.reserved else time.monotonic()
        self._truncate_at = None if is_alone else self._next_truncation()
        self._broken: Exception | None = None
        # A daemon: a process that fails to close the queue must end nevertheless, as after SIGKILL.
        self._thread = threading.Thread(target=self._main, name="queue-writer", daemon=True)
        self._thread.start()

    def submit(self, run: Step[_T], *, essential: bool = False, weight_bytes: int = 0) -> asyncio.Future[_T]:
        """Return what the command will have returned once it is committed; it is done in its place, alone.

        Args:
            run: Called on the writer's thread, in a transaction; runs again if that could not be committed.
            essential: Whether it is tried until it is stored when the volume is full.
            weight_bytes: About how much it stores.

        Raises:
            RuntimeError: The writer was closed.
        """
        return self.submit_item(_steps, run, essential=essential, weight_bytes=weight_bytes)

    def submit_item(
        self,
        work: Work[_Item, _T],
        item: _Item,
        *,
        essential: bool = False,
        weight_bytes: int = 0,
        committed: Callable[[], None] | None = None,
    ) -> asyncio.Future[_T]:
        """Return what the work will have returned for an item once it is committed.

        Args:
            work: Called on the writer's thread, in a transaction, for this item and others; called again if that
                could not be committed.
            item: What is to be done.
            essential: Whether it is tried until it is stored when the volume is full.
            weight_bytes: About how much it stores.
            committed: Called on the event loop after the commit, also if nobody waits for the result any more.

        Raises:
            RuntimeError: The writer was closed.
        """
        if self._closed:
            raise RuntimeError("the queue is closed")
        future: asyncio.Future[_T] = self._loop.create_future()
        self._submitted.put(
            _Command(
                work=work,
                item=item,
                future=future,
                committed=committed,
                essential=essential,
                weight_bytes=weight_bytes,
            )
        )
        return future

    async def close(self) -> None:
        """Commit what was submitted, leave no write-ahead log behind, and end the thread."""
        self._closed = True
        self._submitted.put(None)
        await asyncio.to_thread(self._thread.join)

    def _main(self) -> None:
        try:
            while not (self._closing and not self._backlog):
                self._take()
                if self._backlog:
                    self._work()
                self._tend()
        finally:
            if self._truncate_every is not None:
                self._truncate()
            self._connection.close()

    def _take(self) -> None:
        """Move what was submitted to the backlog; wait if there is nothing to do yet."""
        with contextlib.suppress(queue.Empty):
            command = self._submitted.get(timeout=self._patience())
            while True:
                if command is None:
                    self._closing = True
                else:
                    self._backlog.append(command)
                command = self._submitted.get_nowait()

    def _patience(self) -> float | None:
        if self._backlog and self._retry_at is None:
            return 0
        # The reserve is held again once nothing waits for room.
        next_try = self._restore_at if self._retry_at is None else self._retry_at
        times = [at for at in (next_try, self._truncate_at) if at is not None]
        return max(min(times) - time.monotonic(), 0) if times else None

    def _work(self) -> None:
        if self._broken is not None:
            self._refuse_all(self._broken)
            return
        if self._retry_at is not None:
            is_early = time.monotonic() < self._retry_at and not self._closing
            if is_early or any(command.essential for command in self._backlog):
                self._refuse_dispensable()
            if is_early:
                return
        batch = self._next_batch()
        if not batch:
            return
        started = time.monotonic()
        try:
            with self._turns.turn():
                results, cursor = self._transact(batch)
        except Exception as error:  # noqa: BLE001  # Those who wait must be told, or they would wait for ever.
            self._backlog.extendleft(reversed(batch))
            self._fail(error, batch_commands=len(batch))
        else:
            now = time.monotonic()
            metrics.observe_commit(operations=len(batch), seconds=now - started)
            self._retry_at = None
            self._truncate_at = self._truncate_at or self._next_truncation()
            self._deliver(results, cursor)

    def _next_batch(self) -> list[_Command]:
        batch: list[_Command] = []
        weight_bytes = 0
        while self._backlog and len(batch) < self._batch_commands and weight_bytes < _BATCH_BYTES:
            weight_bytes += self._backlog[0].weight_bytes
            batch.append(self._backlog.popleft())
        return batch

    def _transact(self, batch: list[_Command]) -> tuple[list[_Result], int]:
        """Return what became of commands that are committed, and the feed's cursor."""
        connection = self._connection
        schema.begin(connection)
        try:
            results = [result for portion in _portions(batch) for result in self._run(portion)]
        except Exception as error:
            if _is_of_storage(error):
                raise
            # One of them fails; which one is found by doing each by itself.
            connection.execute("ROLLBACK")
            schema.begin(connection)
            results = [self._run_alone(command) for command in batch]
        cursor = changes.current_cursor(connection)
        connection.execute("COMMIT")
        return results, cursor

    def _next_truncation(self) -> float | None:
        return None if self._truncate_every is None else time.monotonic() + self._truncate_every

    def _run(self, portion: Sequence[_Command]) -> Iterator[_Result]:
        values = portion[0].work(self._connection, [command.item for command in portion])
        for command, value in zip(portion, values, strict=True):
            if isinstance(value, Exception):
                yield _Result(command=command, value=None, error=value)
            else:
                yield _Result(command=command, value=value, error=None)

    def _run_alone(self, command: _Command) -> _Result:
        self._connection.execute("SAVEPOINT command")
        try:
            (result,) = self._run((command,))
        except Exception as error:  # Whatever it is, it belongs to whoever waits for this command.
            if _is_of_storage(error):
                raise
            result = _Result(command=command, value=None, error=error)
            self._connection.execute("ROLLBACK TO command")
        self._connection.execute("RELEASE command")
        return result

    def _fail(self, error: Exception, *, batch_commands: int) -> None:
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")
        if not schema.is_full(error):
            # A failed sync is not tried again: the kernel may have dropped the pages and report success.
            self._broken = error
            return
        # Wiping a payload writes as much as storing it did: what did not fit at once may fit in parts.
        exhausted = self._batch_commands == 1
        self._batch_commands = max(batch_commands // 4, 1)
        self._restore_at = time.monotonic() + _RETRY_SECONDS
        self._refuse_dispensable()
        if self._backlog:
            self._room.give_up()
        if self._truncate_every is not None:
            self._truncate()
        self._retry_at = time.monotonic() + (_RETRY_SECONDS if exhausted or not self._backlog else 0)
        if self._closing and exhausted:
            self._refuse_all(error)

    def _refuse_dispensable(self) -> None:
        refused = [command for command in self._backlog if not command.essential]
        self._backlog = collections.deque(command for command in self._backlog if command.essential)
        self._refuse(refused, None)

    def _refuse_all(self, cause: Exception) -> None:
        self._refuse(list(self._backlog), cause)
        self._backlog.clear()

    def _refuse(self, commands: list[_Command], cause: Exception | None) -> None:
        self._deliver([_Result(command=command, value=None, error=self._refusal(cause)) for command in commands], None)

    def _refusal(self, cause: Exception | None) -> Exception:
        error: Exception = (
            ports.StorageFullError("the queue's volume is full: free space or enlarge it")
            if self._broken is None
            else ports.StorageBrokenError("the queue's volume failed: restart the sender, and look at the volume")
        )
        error.__cause__ = cause
        return error

    def _deliver(self, results: list[_Result], cursor: int | None) -> None:
        # The loop is closed if the process ends without closing the queue; then nobody waits.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._resolve, results, cursor)

    def _resolve(self, results: list[_Result], cursor: int | None) -> None:
        for result in results:
            command = result.command
            if result.error is None and command.committed is not None:
                command.committed()
            if command.future.cancelled():
                continue
            if result.error is None:
                command.future.set_result(result.value)
            else:
                command.future.set_exception(result.error)
        if cursor is not None:
            self._on_change(cursor)

    def _tend(self) -> None:
        now = time.monotonic()
        if self._truncate_at is not None and now >= self._truncate_at:
            if not self._truncate():
                self._truncate_at = now + _BUSY_RETRY_SECONDS
            else:
                self._truncate_at = None if self._is_alone else self._next_truncation()
        if self._retry_at is not None and not self._backlog and now >= self._retry_at:
            self._retry_at = None
        if self._retry_at is None and self._restore_at is not None and now >= self._restore_at:
            self._room.restore()
            self._restore_at = now + _RETRY_SECONDS
            if self._room.reserved:
                self._restore_at = None
                self._batch_commands = _BATCH_COMMANDS

    def _truncate(self) -> bool:
        """Return whether the log was emptied; a reader in the middle of something prevents it, or a full volume."""
        try:
            # Beside others, so that the turn has little left to do.
            self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            with self._turns.turn():
                busy, _, _ = self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        except sqlite3.OperationalError:
            # The next commit meets it too, and tells those who wait.
            return False
        return not busy


def _steps(connection: sqlite3.Connection, steps: Sequence[Step[Any]]) -> Sequence[Any]:
    """Do what is done alone, each in its place."""
    return [step(connection) for step in steps]


def _portions(batch: Sequence[_Command]) -> Iterator[Sequence[_Command]]:
    """Yield commands of one kind together; what is done alone stays where it is, as it may ask for what came before."""
    together: dict[Work[Any, Any], list[_Command]] = {}
    for command in batch:
        if command.work is _steps:
            yield from together.values()
            together.clear()
            yield (command,)
        else:
            together.setdefault(command.work, []).append(command)
    yield from together.values()


def _is_of_storage(error: Exception) -> bool:
    """Return whether an error is the volume's or the file's; SQLite may have rolled everything back."""
    if isinstance(error, sqlite3.OperationalError):
        return True
    return isinstance(error, sqlite3.DatabaseError) and schema.is_damage(error)
