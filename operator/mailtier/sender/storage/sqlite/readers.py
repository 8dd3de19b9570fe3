"""Reading in threads of their own, so that no statement runs on the event loop."""

import asyncio
import concurrent.futures
import contextlib
import pathlib
import sqlite3
import threading
from collections.abc import AsyncGenerator, Callable
from typing import Any, Final, TypeVar

from mailtier.sender import ports
from mailtier.sender.storage.sqlite import schema

_T = TypeVar("_T")

# A statement holds the interpreter only between its steps; a second thread keeps a long answer (a feed from the
# beginning) from delaying deliveries.
_THREADS: Final = 2

_CHUNK_ROWS: Final = 1_000


class Readers:
    """Connections that cannot write, one in each thread."""

    def __init__(self, path: pathlib.Path) -> None:
        self._path = path
        self._connections: list[sqlite3.Connection] = []
        self._local = threading.local()
        self._threads = concurrent.futures.ThreadPoolExecutor(
            max_workers=_THREADS, thread_name_prefix="queue-reader", initializer=self._connect
        )

    async def read(self, query: Callable[[sqlite3.Connection], _T]) -> _T:
        """Return what a query returns; all its statements see one state of the database.

        Raises:
            StorageBrokenError: The file was damaged while it was open.
        """
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._read, query)

    async def stream(self, statement: str) -> AsyncGenerator[tuple[Any, ...], None]:
        """Yield the rows of a statement as they are at its beginning, however long the caller takes over them."""
        loop = asyncio.get_running_loop()
        opened: list[sqlite3.Connection] = []
        # Whoever is cancelled while it is opened, or while rows are fetched, goes on to close at once, in the other
        # thread: what is opened later then is not opened at all.
        lock, ended = threading.Lock(), threading.Event()

        def begin() -> sqlite3.Cursor | None:
            with lock:
                if ended.is_set():
                    return None
                opened.append(schema.open_reader(self._path))
                # A queue that is closed before the caller has read to the end closes this one, too.
                self._connections.append(opened[0])
                return opened[0].execute(statement)

        def fetch(cursor: sqlite3.Cursor) -> list[tuple[Any, ...]]:
            with lock:
                chunk: list[tuple[Any, ...]] = cursor.fetchmany(_CHUNK_ROWS)
                return chunk

        def close() -> None:
            with lock:
                ended.set()
                for connection in opened:
                    connection.close()
                    with contextlib.suppress(ValueError):
                        self._connections.remove(connection)

        try:
            cursor = await loop.run_in_executor(self._threads, begin)
            while cursor and (chunk := await loop.run_in_executor(self._threads, fetch, cursor)):
                for row in chunk:
                    yield row
        finally:
            try:
                closing = loop.run_in_executor(self._threads, close)
            except RuntimeError:
                # The threads have ended before the caller did.
                close()
            else:
                await closing

    async def close(self) -> None:
        """Finish what is being read and close the connections."""
        await asyncio.to_thread(self._threads.shutdown)
        for connection in list(self._connections):
            connection.close()

    def _connect(self) -> None:
        connection = schema.open_reader(self._path)
        self._local.connection = connection
        self._connections.append(connection)

    def _read(self, query: Callable[[sqlite3.Connection], _T]) -> _T:
        try:
            return self._read_at_once(query)
        except sqlite3.DatabaseError as error:
            if schema.is_damage(error):
                raise ports.StorageBrokenError(
                    "the queue's file is damaged: look at the volume, and restart the sender, which says what to do"
                ) from error
            raise

    def _read_at_once(self, query: Callable[[sqlite3.Connection], _T]) -> _T:
        connection: sqlite3.Connection = self._local.connection
        connection.execute("BEGIN")
        try:
            return query(connection)
        finally:
            connection.execute("COMMIT")
