"""Moving what is in the write-ahead log into the database, beside whoever writes.

SQLite does so at the end of a commit that finds the log long. That commit takes ten times as long as others, and so do
all that wait for its process, or behind it for their turn. Here a thread moves nearly all of it while others write, and
takes a turn only for what they wrote meanwhile, after which the log begins anew.
"""

import contextlib
import os
import pathlib
import sqlite3
import threading
from typing import Final

from mailtier.sender.storage import volume
from mailtier.sender.storage.sqlite import schema

_LONG_PAGES: Final = 1_000
"""Of the log, some 4 MiB: as SQLite has it by itself."""
_LOOK_SECONDS: Final = 0.05
_AGAIN_SECONDS: Final = 1.0
"""After an attempt that a reader was in the way of."""

# Of the log: what its head and that of each page in it say, by which pages of this log are told from a former one's.
_HEAD_BYTES: Final = 32
_PAGE_HEAD_BYTES: Final = 24
_SALTS_AT: Final = 16
_PAGE_SALTS_AT: Final = 8
_SALTS_BYTES: Final = 8


class Checkpoints:
    """A thread that does it for all processes.

    Args:
        path: The database.
        turns: Given over; of this thread alone.
    """

    def __init__(self, path: pathlib.Path, turns: volume.WriteTurns) -> None:
        self._path = path
        self._turns = turns
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._main, name="queue-checkpoints", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread. It blocks for as long as a checkpoint takes."""
        self._ended.set()
        self._thread.join()
        self._turns.close()

    def _main(self) -> None:
        pause, moved = _LOOK_SECONDS, b""
        log = self._path.with_name(f"{self._path.name}-wal")
        # Nothing locks the log: of the database and the index, to close a file would end the locks of this process.
        with contextlib.closing(schema.open_checkpointer(self._path)) as connection, log.open("rb") as opened:
            while not self._ended.wait(pause):
                pause, long = _LOOK_SECONDS, _long_log(opened.fileno())
                if long is None or long == moved:
                    continue
                if self._move(connection):
                    # It begins anew with the next commit.
                    moved = long
                else:
                    pause = _AGAIN_SECONDS

    def _move(self, connection: sqlite3.Connection) -> bool:
        """Return whether all of the log is moved, so that it begins anew."""
        try:
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            with self._turns.turn():
                busy, _, _ = connection.execute("PRAGMA wal_checkpoint(RESTART)").fetchone()
        except sqlite3.DatabaseError:
            # A volume that is full or broken: the writers meet that too, and say so.
            return False
        return not busy


def _long_log(log: int) -> bytes | None:
    """Return the name that a log has given itself, if it is long; else None.

    Source:
        sqlite.org/fileformat2.html, section 4.1.
    """
    name = os.pread(log, _SALTS_BYTES, _SALTS_AT)
    last = _HEAD_BYTES + (_LONG_PAGES - 1) * (_PAGE_HEAD_BYTES + schema.PAGE_BYTES)
    found = os.pread(log, _SALTS_BYTES, last + _PAGE_SALTS_AT)
    return name if name and name == found else None
