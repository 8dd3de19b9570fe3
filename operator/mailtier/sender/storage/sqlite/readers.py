"""Reading in threads of their own, so that no statement runs on the event loop."""

import asyncio
import concurrent.futures
import pathlib
import sqlite3
import threading
from collections.abc import Callable
from typing import Final, TypeVar

from mailtier.sender import ports
from mailtier.sender.storage.sqlite import schema

_T = TypeVar("_T")

# A statement holds the interpreter only between its steps; a second thread keeps a long answer (a feed from the
# beginning) from delaying deliveries.
_THREADS: Final = 2


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

    async def close(self) -> None:
        """Finish what is being read and close the connections."""
        await asyncio.to_thread(self._threads.shutdown)
        for connection in self._connections:
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
