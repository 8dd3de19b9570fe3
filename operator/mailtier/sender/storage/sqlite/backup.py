"""Copies of a queue while a sender has it open, and putting one in a queue's place.

A copy is written table by table within one read transaction, rather than by SQLite's own backup, which copies pages: so
that a password recovery's text is at no time in the file (R11), nor what wiped pages may still hold.
"""

import contextlib
import datetime as dt
import os
import pathlib
import shutil
import sqlite3
from collections.abc import Iterator
from typing import BinaryIO, Final

from mailtier.api import vocabulary
from mailtier.mail import reasons
from mailtier.sender import ports
from mailtier.sender.queueing import restoring
from mailtier.sender.storage import reporting, volume
from mailtier.sender.storage.sqlite import embedded, memories, schema, settling

_RECOVERY: Final = vocabulary.Category.PASSWORD_RECOVERY.value
_AT_ONCE: Final = 500

_COLUMNS: Final = {
    "payloads": f"""
        notification,
        CASE (SELECT category FROM main.notifications n WHERE n.number = notification)
        WHEN '{_RECOVERY}' THEN NULL ELSE body END
    """  # noqa: S608  # The name of a category.
}
"""What is copied of a table where that is not everything."""


class BackupError(Exception):
    """There is no copy, or nothing was restored; the text says why and what to do."""


FAULTS: Final = (BackupError, schema.NewerSchemaError, schema.SealedError, schema.DamagedError, volume.InUseError)
"""Why there is no copy, or nothing was restored."""


def write(directory: pathlib.Path, target: pathlib.Path, *, now: dt.datetime) -> int:
    """Write a copy of a queue to a new file of mode 0600, synced; return its size in bytes.

    Password recoveries that wait have failed in it, with the reason NotInBackup, and it bears the mark by which
    whoever delivers from it holds everything first.

    Args:
        directory: Of the queue, open or not.
        target: Where no file is.
        now: Aware UTC time.

    Raises:
        BackupError: There is no queue, the target is there or its folder is not, or its volume has no room.
        schema.NewerSchemaError: A newer version of this program wrote the queue.
        schema.SealedError: It was moved to a database.
        schema.DamagedError: The queue cannot be read, or what of it was read makes no queue.
    """
    source = directory / embedded.DATABASE
    if not source.is_file():
        raise BackupError(f"there is no queue in {directory}: name the sender's data directory with --data-dir")
    if not target.parent.is_dir():
        raise BackupError(f"there is no folder {target.parent}")
    if target.exists():
        raise BackupError(f"{target} is there already: name a file that is not")
    unfinished = target.with_name(f".{target.name}.unfinished")
    try:
        os.close(os.open(unfinished, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600))
        _copy(source, unfinished)
        try:
            _complete(unfinished, now)
        except schema.DamagedError as error:
            raise schema.damaged(source, "what is read of it makes no queue") from error
        _sync(unfinished)
        unfinished.rename(target)
        _sync(target.parent)
    except OSError as error:
        raise BackupError(f"{target} cannot be written: {error.strerror}") from error
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
        schema.require_no_damage(error, source)
        if isinstance(error, sqlite3.IntegrityError):
            # No sender wrote what its own tables do not take.
            raise schema.damaged(source, str(error)) from error
        raise BackupError(f"the queue in {source} cannot be copied to {target}: {error}") from error
    finally:
        for path in _files(unfinished):
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
    return target.stat().st_size


def restore(file: pathlib.Path, directory: pathlib.Path, *, replace: bool = False) -> str:
    """Put a copy in the place of a queue, and return when it was made.

    Args:
        file: What `write` wrote.
        directory: Of the queue, which no sender has open; made if it is missing, in a folder that is there.
        replace: Whether a queue that is there is given up.

    Raises:
        BackupError: It is no copy of a queue, there is a queue already, or no folder to put it in, or no room.
        schema.NewerSchemaError: A newer version of this program wrote it.
        volume.InUseError: A sender has the queue open.
        OSError: The copy cannot be read, or the directory not written.
    """
    made_at = _inspect(file)
    if not directory.parent.is_dir():
        # A volume that is not mounted, or a name that is misspelt: no sender would find what is put there.
        raise BackupError(f"there is no folder {directory.parent}: mount the sender's volume, and name where it is")
    directory.mkdir(mode=0o700, exist_ok=True)
    with embedded.kept_closed(directory):
        database = directory / embedded.DATABASE
        if database.exists() and not replace:
            raise BackupError(f"there is a queue in {directory}: move it away, or say --replace to give it up")
        _require_room(directory, file.stat().st_size)
        unfinished = directory / f".{embedded.DATABASE}.unfinished"
        with _opened_privately(unfinished) as copy, file.open("rb") as source:
            shutil.copyfileobj(source, copy)
        _sync(unfinished)
        # From here on no sender opens what is there: without its log it would mail again what it had delivered.
        whole = unfinished.rename(schema.replacing(database))
        _sync(directory)
        # Before the copy is there: what these say is of another database, and would damage this one.
        for path in (*_files(database)[1:], directory / embedded.JOURNAL):
            path.unlink(missing_ok=True)
        _sync(directory)
        whole.rename(database)
        _sync(directory)
    return made_at


def _copy(source: pathlib.Path, target: pathlib.Path) -> None:
    with contextlib.closing(sqlite3.connect(source, isolation_level=None, timeout=30)) as connection:
        connection.execute("PRAGMA temp_store = MEMORY")
        # Before there are two files that an error could mean.
        connection.execute("SELECT count(*) FROM main.sqlite_schema").fetchone()
        connection.execute("ATTACH ? AS copy", (str(target),))
        # It counts only once it is whole.
        connection.execute("PRAGMA copy.journal_mode = OFF")
        connection.execute("PRAGMA copy.synchronous = OFF")
        connection.execute("BEGIN")
        (version,) = connection.execute("PRAGMA main.user_version").fetchone()
        (pages,) = connection.execute("SELECT page_count FROM pragma_page_count('main')").fetchone()
        if not version:
            raise BackupError(f"there is no queue in {source.parent}: {source.name} is empty, or another program's")
        _require_room(target.parent, int(pages) * schema.PAGE_BYTES)
        made = connection.execute(
            "SELECT type, name, sql FROM main.sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite\\_%' "
            "ESCAPE '\\' ORDER BY type DESC"
        ).fetchall()
        for kind, name, statement in made:
            # "CREATE TABLE name" and "CREATE [UNIQUE] INDEX name": tables come first, indexes once there are rows.
            connection.execute(statement.replace(f" {name} ", f" copy.{name} ", 1))
            if kind == "table":
                columns = _COLUMNS.get(name, "*")
                connection.execute(f"INSERT INTO copy.{name} SELECT {columns} FROM main.{name}")  # noqa: S608  # Names of tables.
        connection.execute("DELETE FROM copy.sqlite_sequence")
        connection.execute("INSERT INTO copy.sqlite_sequence SELECT * FROM main.sqlite_sequence")
        connection.execute("COMMIT")
        connection.execute(f"PRAGMA copy.user_version = {int(version)}")


def _complete(copy: pathlib.Path, now: dt.datetime) -> None:
    """End what cannot be delivered from a copy, and mark it as one."""
    with (
        contextlib.closing(volume.WriteTurns(copy.with_name(f"{copy.name}-turns"))) as turns,
        contextlib.closing(schema.open_writer(copy, turns)) as connection,
    ):
        while waiting := _waiting_recoveries(connection):
            connection.execute("BEGIN IMMEDIATE")
            reports = [reporting.ReportedOutcome(outcome=_not_here(number, now), note=None) for number in waiting]
            for error in settling.settle(connection, reports, keep_failed=dt.timedelta(0)):
                if error is not None:
                    raise error
            connection.execute("COMMIT")
        memories.store(connection, restoring.KEY, restoring.mark(now))
        # One file, that may be carried about; opening it as a queue sets this again.
        connection.execute("PRAGMA journal_mode = DELETE")


def _waiting_recoveries(connection: sqlite3.Connection) -> list[int]:
    found = connection.execute(
        "SELECT r.number FROM recipients r JOIN notifications n ON n.number = r.notification "
        "WHERE r.due_at IS NOT NULL AND n.category = ? LIMIT ?",
        (_RECOVERY, _AT_ONCE),
    )
    return [number for (number,) in found]


def _not_here(recipient: int, now: dt.datetime) -> ports.Outcome:
    reason = reasons.DeliveryReason.NOT_IN_BACKUP
    return ports.Outcome(
        recipient_number=recipient,
        state=vocabulary.RecipientState.FAILED,
        due_at=None,
        attempted=False,
        reason=reason,
        message=reasons.MEANINGS[reason],
        at=now,
    )


def _inspect(file: pathlib.Path) -> str:
    """Return when a copy was made, once all of it can be read."""
    if not file.is_file():
        raise BackupError(f"there is no file {file}")
    try:
        with contextlib.closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            (found,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            made_at = memories.read(connection, restoring.KEY) if found == "ok" else None
    except sqlite3.OperationalError as error:
        # Another program's tables, where what a copy remembers is missing.
        raise BackupError(f"{file} is no backup of mailtier: {error}") from error
    except sqlite3.DatabaseError as error:
        raise BackupError(f"{file} is no whole backup of a queue: {error}") from error
    if found != "ok":
        raise BackupError(f"{file} is no whole backup of a queue: {found}")
    if made_at is None:
        raise BackupError(f"{file} was not written by `mailtier sender backup`: a copied queue file is no backup")
    if version > schema.VERSION:
        raise schema.NewerSchemaError(
            f"the backup has schema version {version} and this program knows {schema.VERSION}: restore it with the"
            " version that wrote it"
        )
    return made_at


def _require_room(directory: pathlib.Path, size_bytes: int) -> None:
    found = os.statvfs(directory)
    free_bytes = found.f_bavail * found.f_frsize
    if size_bytes > free_bytes:
        raise BackupError(f"the volume of {directory} has {free_bytes} bytes left, and up to {size_bytes} are needed")


@contextlib.contextmanager
def _opened_privately(path: pathlib.Path) -> Iterator[BinaryIO]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        yield file


def _files(database: pathlib.Path) -> list[pathlib.Path]:
    return [
        database,
        *(database.with_name(f"{database.name}{suffix}") for suffix in ("-wal", "-shm", "-journal", "-turns")),
    ]


def _sync(path: pathlib.Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
