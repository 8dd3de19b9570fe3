"""The one writer: a thread that commits everything that waits for it at once."""

import asyncio
import collections
import contextlib
import datetime as dt
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, TypeVar

from mailtier.sender import ports
from mailtier.sender.storage import volume
from mailtier.sender.storage.sqlite import changes, commands, schema
from mailtier.telemetry import metrics

_T = TypeVar("_T")
_Item = TypeVar("_Item")

_RETRY_SECONDS: Final = 1.0
"""The pause between two attempts to write to a full volume, in which what is dispensable is refused untried, or to hold
the reserve again."""

_BUSY_RETRY_SECONDS: Final = 5.0
"""The pause before a log that a reader kept from being emptied is tried again; the attempt blocks the writer."""


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
        self._submitted: queue.SimpleQueue[commands.Command | None] = queue.SimpleQueue()
        self._backlog: collections.deque[commands.Command] = collections.deque()
        self._closed = False
        self._closing = False
        self._batch_items = commands.BATCH_ITEMS
        # Times on the monotonic clock; None while there is no cause.
        self._retry_at: float | None = None
        self._restore_at: float | None = None if room.reserved else time.monotonic()
        self._truncate_at = None if is_alone else self._next_truncation()
        self._broken: Exception | None = None
        self._no_room = ""
        # A daemon: a process that fails to close the queue must end nevertheless, as after SIGKILL.
        self._thread = threading.Thread(target=self._main, name="queue-writer", daemon=True)
        self._thread.start()

    def submit(self, run: commands.Step[_T], *, essential: bool = False, weight_bytes: int = 0) -> asyncio.Future[_T]:
        """Return what the command will have returned once it is committed; it is done in its place, alone.

        Args:
            run: Called on the writer's thread, in a transaction; runs again if that could not be committed.
            essential: Whether it is tried until it is stored when the volume is full.
            weight_bytes: About how much it stores.

        Raises:
            RuntimeError: The writer was closed.
        """
        return self.submit_item(commands.steps, run, essential=essential, weight_bytes=weight_bytes)

    def submit_item(
        self, work: commands.Work[_Item, _T], item: _Item, *, essential: bool = False, weight_bytes: int = 0
    ) -> asyncio.Future[_T]:
        """Return what the work will have returned for an item once it is committed.

        Args:
            work: Called on the writer's thread, in a transaction, for this item and others; called again if that
                could not be committed.
            item: What is to be done.
            essential: Whether it is tried until it is stored when the volume is full.
            weight_bytes: About how much it stores.

        Raises:
            RuntimeError: The writer was closed.
        """
        future: asyncio.Future[_T] = self._loop.create_future()

        def tell(_items: Sequence[_Item], found: Sequence[_T | Exception]) -> None:
            if future.cancelled():
                return
            (value,) = found
            if isinstance(value, Exception):
                future.set_exception(value)
            else:
                future.set_result(value)

        self.submit_items(work, (item,), tell, essential=essential, weight_bytes=weight_bytes)
        return future

    def submit_items(
        self,
        work: commands.Work[_Item, _T],
        items: Sequence[_Item],
        tell: Callable[[Sequence[_Item], Sequence[_T | Exception]], None],
        *,
        essential: bool = False,
        weight_bytes: int = 0,
    ) -> None:
        """Have items done in their order, in one commit where they fit into one.

        Args:
            work: As above.
            items: What is to be done; at least one.
            tell: Called on the event loop with some of them after their commit, and with what each comes to, or why it
                comes to nothing; until all of them were told of, in their order.
            essential: As above.
            weight_bytes: About how much each of them stores.

        Raises:
            RuntimeError: The writer was closed.
        """
        if self._closed:
            raise RuntimeError("the queue is closed")
        self._submitted.put(
            commands.Command(work=work, items=items, tell=tell, essential=essential, weight_bytes=weight_bytes)
        )

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
        batch = commands.take_batch(self._backlog, most=self._batch_items)
        if not batch:
            return
        started = time.monotonic()
        try:
            with self._turns.turn():
                results, cursor = self._transact(batch)
        except Exception as error:  # noqa: BLE001  # Those who wait must be told, or they would wait for ever.
            self._backlog.extendleft(reversed(batch))
            self._fail(error, batch_items=commands.count(batch))
        else:
            now = time.monotonic()
            metrics.observe_commit(operations=commands.count(batch), seconds=now - started)
            self._retry_at = None
            self._truncate_at = self._truncate_at or self._next_truncation()
            self._deliver(results, cursor)

    def _transact(self, batch: list[commands.Command]) -> tuple[list[commands.Result], int]:
        """Return what became of commands that are committed, and the feed's cursor."""
        connection = self._connection
        schema.begin(connection)
        try:
            results = [result for portion in commands.portions(batch) for result in self._run(portion)]
        except Exception as error:
            if _is_of_storage(error):
                raise
            # One of them fails; which one is found by doing each by itself.
            connection.execute("ROLLBACK")
            schema.begin(connection)
            results = [self._run_each(command) for command in batch]
        cursor = changes.current_cursor(connection)
        connection.execute("COMMIT")
        return results, cursor

    def _next_truncation(self) -> float | None:
        return None if self._truncate_every is None else time.monotonic() + self._truncate_every

    def _run(self, portion: Sequence[commands.Command]) -> Iterator[commands.Result]:
        items = [item for command in portion for item in command.items]
        found = portion[0].work(self._connection, items)
        assert len(found) == len(items), "a work says what each of its items comes to"
        start = 0
        for command in portion:
            end = start + len(command.items)
            yield commands.Result(command=command, found=found[start:end])
            start = end

    def _run_each(self, command: commands.Command) -> commands.Result:
        """Return what each item of a command comes to by itself."""
        return commands.Result(command=command, found=[self._run_alone(command.work, item) for item in command.items])

    def _run_alone(self, work: commands.Work[Any, Any], item: Any) -> Any:
        self._connection.execute("SAVEPOINT item")
        try:
            (found,) = work(self._connection, (item,))
        except Exception as error:  # Whatever it is, it belongs to whoever waits for this item.
            if _is_of_storage(error):
                raise
            found = error
            self._connection.execute("ROLLBACK TO item")
        self._connection.execute("RELEASE item")
        return found

    def _fail(self, error: Exception, *, batch_items: int) -> None:
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")
        if not schema.is_full(error):
            # A failed sync is not tried again: the kernel may have dropped the pages and report success.
            self._broken = error
            return
        # Wiping a payload writes as much as storing it did: what did not fit at once may fit in parts.
        exhausted = self._batch_items == 1
        self._batch_items = max(batch_items // 4, 1)
        self._restore_at = time.monotonic() + _RETRY_SECONDS
        self._no_room = schema.explain_full(error)
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

    def _refuse(self, refused: list[commands.Command], cause: Exception | None) -> None:
        told = [
            commands.Result(command=command, found=[self._refusal(cause) for _ in command.items]) for command in refused
        ]
        self._deliver(told, None)

    def _refusal(self, cause: Exception | None) -> Exception:
        error: Exception = (
            ports.StorageFullError(self._no_room)
            if self._broken is None
            else ports.StorageBrokenError("the queue's volume failed: restart the sender, and look at the volume")
        )
        error.__cause__ = cause
        return error

    def _deliver(self, results: list[commands.Result], cursor: int | None) -> None:
        # The loop is closed if the process ends without closing the queue; then nobody waits.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._resolve, results, cursor)

    def _resolve(self, results: list[commands.Result], cursor: int | None) -> None:
        for result in results:
            result.command.tell(result.command.items, result.found)
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
                self._batch_items = commands.BATCH_ITEMS

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


def _is_of_storage(error: Exception) -> bool:
    """Return whether an error is the volume's or the file's; SQLite may have rolled everything back."""
    if isinstance(error, sqlite3.OperationalError):
        return True
    return isinstance(error, sqlite3.DatabaseError) and schema.is_damage(error)
