"""How a connection to the embedded queue's file is opened, and what its errors mean."""

import os
import pathlib
import sqlite3
from typing import Final

from mailtier.sender.storage import volume
from mailtier.sender.storage.sqlite.tables import migrations, sealing

VERSION: Final = migrations.VERSION
NewerSchemaError = migrations.NewerSchemaError
SealedError = sealing.SealedError

# A checkpoint waits this long for readers, whose statements take milliseconds; it is tried again a minute later.
_BUSY_SECONDS: Final = 0.2
_BUSY_TRIES: Final = 50


_CHECKPOINT_SECONDS: Final = 0.005

_LOG_PAGES: Final = 2_000
"""How long the log may be until a commit moves it by itself: twice what it becomes while `checkpoints` sees to it."""

PAGE_BYTES: Final = 4096
"""SQLite's usual page size."""


# A write beyond a quota or a file size limit is IOERR_WRITE, not FULL. SHMSIZE: the log's index could not grow.
_FULL: Final = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_SHMSIZE})
_DAMAGED: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_PRIMARY: Final = 0xFF
"""Extended result codes have the primary one in their lowest byte."""


class DamagedError(Exception):
    """The queue's file is damaged; nothing was changed."""


class UnopenedError(Exception):
    """The queue's file cannot be opened; the text has what SQLite says of it."""


def open_writer(
    path: pathlib.Path, turns: volume.WriteTurns, *, even_sealed: bool = False, is_whole: bool = False
) -> sqlite3.Connection:
    """Return the one connection of this process that writes, with the tables brought to this program's version.

    Every page is looked at first: what a damaged one holds could neither be delivered nor given up, and would be tried
    again for ever.

    Args:
        path: The file; made where it is missing.
        turns: At writing.
        even_sealed: Whether it is no sender that asks.
        is_whole: Whether somebody has just looked at every page.

    Raises:
        NewerSchemaError: The tables have a version on which this program does not run.
        SealedError: The queue was moved to a database, or is on its way.
        DamagedError: The file is no database, or parts of it cannot be read; or a copy was to take its place.
    """
    if replacing(path).exists():
        raise DamagedError(
            f"the restore of a backup into {path.parent} was interrupted, and half of what was there is gone: run"
            " `mailtier sender restore --replace` again"
        )
    # SQLite gives the files beside the database the same mode. Payloads hold reset links.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    connection = _connect(path)
    try:
        with turns.turn():
            connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
            connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA wal_autocheckpoint = {_LOG_PAGES}")
        connection.execute("PRAGMA secure_delete = ON")
        connection.execute("PRAGMA foreign_keys = ON")
        if not is_whole:
            _require_whole(connection, path)
        # Whoever comes first brings them up to date; the other finds them so.
        with turns.turn():
            migrations.migrate(connection, even_sealed=even_sealed)
    except BaseException as error:
        connection.close()
        require_no_damage(error, path)
        raise
    return connection


def replacing(path: pathlib.Path) -> pathlib.Path:
    """Return where a copy is from when on what stands in its place is given up, until it is in place itself."""
    return path.with_name(f".{path.name}.replacing")


def is_damage(error: sqlite3.DatabaseError) -> bool:
    """Return whether an error says that the file is damaged."""
    return getattr(error, "sqlite_errorcode", 0) & _PRIMARY in _DAMAGED


def require_no_damage(error: BaseException, path: pathlib.Path) -> None:
    """Return where an error says nothing of damage.

    Args:
        error: What opening or reading a queue's file met.
        path: The file.

    Raises:
        DamagedError: It does.
    """
    if isinstance(error, UnicodeDecodeError) or (
        isinstance(error, sqlite3.OperationalError) and not hasattr(error, "sqlite_errorcode")
    ):
        # Python cannot decode a value, or what SQLite quotes of one in its error.
        raise damaged(path, "text in it cannot be decoded") from error
    if isinstance(error, sqlite3.DatabaseError) and is_damage(error):
        raise damaged(path, str(error)) from error


def is_full(error: Exception) -> bool:
    """Return whether an error says that the volume has no room for a write."""
    return getattr(error, "sqlite_errorcode", None) in _FULL


def explain_full(error: Exception) -> str:
    """Return what such an error means, and what to do."""
    if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_IOERR_WRITE:
        return "the queue's volume cannot be written to: it is over a quota, or it fails; free space, or look at it"
    return "the queue's volume is full: free space or enlarge it"


def _require_whole(connection: sqlite3.Connection, path: pathlib.Path) -> None:
    (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if found != "ok":
        raise damaged(path, str(found))


def damaged(path: pathlib.Path, found: str) -> DamagedError:
    """Return what says that a queue's file is damaged, by what was found, and what to do."""
    # SQLite names pages and tables, never what is in them; it may take several lines for it.
    return DamagedError(
        f"the queue in {path} is damaged ({' '.join(found.split())}), and nothing was changed: look at the volume,"
        " and put a backup in its place (`mailtier sender restore FILE --replace`); or move it away and start with an"
        " empty queue, and what it held is not delivered"
    )


def begin(connection: sqlite3.Connection) -> None:
    """Begin to write. In our turn only connections of the other process are in the way that just open, or close."""
    for left in reversed(range(_BUSY_TRIES)):
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if not left or error.sqlite_errorcode & _PRIMARY != sqlite3.SQLITE_BUSY:
                raise
        else:
            return


def reusable_bytes(connection: sqlite3.Connection) -> int:
    """Return the size of the pages that are free within the database."""
    (pages,) = connection.execute("PRAGMA freelist_count").fetchone()
    return int(pages) * PAGE_BYTES


def open_checkpointer(path: pathlib.Path) -> sqlite3.Connection:
    """Return a connection for moving the log, which waits next to nothing for readers: others wait for it."""
    connection = sqlite3.connect(path, timeout=_CHECKPOINT_SECONDS, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA synchronous = FULL")
    return connection


def open_reader(path: pathlib.Path) -> sqlite3.Connection:
    """Return a connection that cannot write; any thread may use it, one at a time."""
    connection = _connect(path)
    connection.execute("PRAGMA query_only = ON")
    return connection


def _connect(path: pathlib.Path) -> sqlite3.Connection:
    connection = sqlite3.connect(
        path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False, cached_statements=256
    )
    # Sorting and savepoints spill into files otherwise, where a payload could stay.
    connection.execute("PRAGMA temp_store = MEMORY")
    return connection
