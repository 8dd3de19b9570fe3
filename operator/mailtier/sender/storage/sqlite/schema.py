"""The tables of the embedded queue, how they came to be, and how a connection to them is opened.

Payloads stand in a table of their own, whose rows are overwritten with NULL and never deleted beside a row that
still has its payload: deleting makes SQLite merge pages, and secure_delete zeroes what it frees, but not the copies
that a merge leaves behind in a page's unused middle (a test that greps the files found them).
"""

import os
import pathlib
import sqlite3
from typing import Final

from mailtier.sender.storage import volume

_MIGRATIONS: Final[tuple[tuple[str, ...], ...]] = (
    (
        """
        CREATE TABLE counters (
            name TEXT PRIMARY KEY,
            value INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID
        """,
        # change: the cursor of the feed. epoch: how often the queue was opened; the journal's serials begin with it.
        "INSERT INTO counters (name, value) VALUES ('change', 0), ('epoch', 0)",
        # AUTOINCREMENT, here and below: a number is never given twice, so that neither a stale note in the journal
        # nor a payload row that outlives its notification can be taken for another's.
        """
        CREATE TABLE notifications (
            number INTEGER PRIMARY KEY AUTOINCREMENT,
            id TEXT NOT NULL UNIQUE,
            namespace_uid TEXT NOT NULL,
            namespace TEXT NOT NULL,
            organization TEXT NOT NULL,
            category TEXT NOT NULL,
            severity TEXT NOT NULL,
            accepted_at INTEGER NOT NULL,
            expires_at INTEGER NOT NULL,
            payload_bytes INTEGER NOT NULL,
            unfinished INTEGER NOT NULL,
            keep_until INTEGER,
            idempotency_key TEXT,
            digest TEXT NOT NULL,
            object_name TEXT,
            object_uid TEXT,
            spec_hash TEXT,
            change INTEGER
        ) STRICT
        """,
        """
        CREATE UNIQUE INDEX notifications_by_key ON notifications (namespace_uid, organization, idempotency_key)
        WHERE idempotency_key IS NOT NULL
        """,
        """
        CREATE UNIQUE INDEX notifications_by_object ON notifications (namespace_uid, object_name, spec_hash)
        WHERE object_name IS NOT NULL
        """,
        "CREATE INDEX notifications_by_change ON notifications (change) WHERE change IS NOT NULL",
        "CREATE INDEX notifications_by_retention ON notifications (keep_until) WHERE keep_until IS NOT NULL",
        # No foreign key: these rows are removed later than their notifications (see the module's docstring).
        """
        CREATE TABLE payloads (
            notification INTEGER PRIMARY KEY,
            body BLOB
        ) STRICT
        """,
        """
        CREATE TABLE snapshots (
            number INTEGER PRIMARY KEY AUTOINCREMENT,
            digest TEXT NOT NULL UNIQUE,
            settings TEXT NOT NULL
        ) STRICT
        """,
        # due_at is NULL exactly when the state is final. noted: the serial of the last note in the journal that a
        # commit has answered; older notes of this recipient say nothing any more.
        """
        CREATE TABLE recipients (
            number INTEGER PRIMARY KEY AUTOINCREMENT,
            notification INTEGER NOT NULL REFERENCES notifications (number),
            address TEXT NOT NULL,
            state TEXT NOT NULL,
            due_at INTEGER,
            attempts INTEGER NOT NULL DEFAULT 0,
            doubts INTEGER NOT NULL DEFAULT 0,
            reason TEXT NOT NULL DEFAULT '',
            message TEXT NOT NULL DEFAULT '',
            changed_at INTEGER NOT NULL,
            snapshot INTEGER REFERENCES snapshots (number),
            noted INTEGER NOT NULL DEFAULT 0
        ) STRICT
        """,
        "CREATE INDEX recipients_by_notification ON recipients (notification)",
        "CREATE INDEX recipients_unfinished ON recipients (state, notification) WHERE due_at IS NOT NULL",
        "CREATE INDEX recipients_by_snapshot ON recipients (snapshot) WHERE snapshot IS NOT NULL",
        """
        CREATE TABLE usage (
            namespace_uid TEXT PRIMARY KEY,
            messages INTEGER NOT NULL,
            payload_bytes INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID
        """,
        """
        CREATE TABLE probes (
            key TEXT PRIMARY KEY,
            body TEXT NOT NULL,
            probed_at INTEGER NOT NULL,
            change INTEGER NOT NULL
        ) STRICT
        """,
        "CREATE INDEX probes_by_change ON probes (change)",
    ),
    # Until there were others, every message was in English.
    ("ALTER TABLE notifications ADD COLUMN locale TEXT NOT NULL DEFAULT 'en'",),
    # What the sender learned and would have to learn again, each under a key of its own.
    ("CREATE TABLE memories (key TEXT PRIMARY KEY, body TEXT NOT NULL) STRICT, WITHOUT ROWID",),
    # What a namespace has stored counts, finished or not. stored_bytes: what a notification takes at present (see
    # `queueing.quotas`); key_bytes: what is left of that when its recipients are forgotten before their time.
    (
        "ALTER TABLE notifications ADD COLUMN stored_bytes INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE notifications ADD COLUMN key_bytes INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE usage ADD COLUMN stored_bytes INTEGER NOT NULL DEFAULT 0",
        # The numbers are those of `queueing.quotas` at that time.
        """
        UPDATE notifications SET key_bytes =
            640 + 2 * length(coalesce(idempotency_key, '')) + 2 * length(coalesce(object_name, ''))
        """,
        """
        UPDATE notifications SET stored_bytes = key_bytes + CASE WHEN unfinished > 0 THEN payload_bytes ELSE 0 END + (
            SELECT coalesce(sum(512 + length(address)), 0) FROM recipients WHERE notification = notifications.number
        )
        """,
        """
        INSERT OR IGNORE INTO usage (namespace_uid, messages, payload_bytes)
        SELECT DISTINCT namespace_uid, 0, 0 FROM notifications
        """,
        """
        UPDATE usage SET stored_bytes = (
            SELECT coalesce(sum(n.stored_bytes), 0) FROM notifications n WHERE n.namespace_uid = usage.namespace_uid
        )
        """,
        """
        CREATE INDEX notifications_to_forget ON notifications (namespace_uid, number)
        WHERE keep_until IS NOT NULL AND stored_bytes > key_bytes
        """,
    ),
    # What became of recipients that were forgotten before their time; NULL while they are there. `queueing.quotas`
    # has room for these numbers in NOTIFICATION_BYTES.
    (
        "ALTER TABLE notifications ADD COLUMN forgotten_accepted INTEGER",
        "ALTER TABLE notifications ADD COLUMN forgotten_recipients INTEGER",
    ),
    # What the last attempt that failed met; NULL where none did. RECIPIENT_BYTES of `queueing.quotas` has room for it.
    (
        "ALTER TABLE recipients ADD COLUMN failure_scope TEXT",
        "ALTER TABLE recipients ADD COLUMN failure_phase TEXT",
        "ALTER TABLE recipients ADD COLUMN failure_code INTEGER",
        "ALTER TABLE recipients ADD COLUMN failure_enhanced TEXT",
    ),
    # failed: how many recipients failed or expired. payload_until: until when the payload is kept after the end of a
    # notification that failed; NULL where it was wiped, or where the notification has had no end yet. The indexes hold
    # only what is kept.
    (
        "ALTER TABLE notifications ADD COLUMN failed INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE notifications ADD COLUMN payload_until INTEGER",
        """
        UPDATE notifications SET failed = (
            SELECT count(*) FROM recipients WHERE notification = notifications.number AND state IN ('failed', 'expired')
        )
        """,
        "CREATE INDEX notifications_kept ON notifications (number) WHERE payload_until IS NOT NULL",
        """
        CREATE INDEX notifications_kept_by_namespace ON notifications (namespace_uid, number)
        WHERE payload_until IS NOT NULL
        """,
        "CREATE INDEX notifications_kept_by_time ON notifications (payload_until) WHERE payload_until IS NOT NULL",
    ),
    # What is claimed is found by the organization and category, and by when it is due. Recipients of before this, and
    # those of a version that does not know the column, are given theirs when the queue is opened (`claims.adopt`).
    (
        """
        CREATE TABLE backlogs (
            number INTEGER PRIMARY KEY AUTOINCREMENT,
            namespace_uid TEXT NOT NULL,
            namespace TEXT NOT NULL,
            organization TEXT NOT NULL,
            category TEXT NOT NULL,
            UNIQUE (namespace_uid, namespace, organization, category)
        ) STRICT
        """,
        "ALTER TABLE recipients ADD COLUMN backlog INTEGER",
        "CREATE INDEX recipients_by_backlog ON recipients (backlog, state, due_at) WHERE due_at IS NOT NULL",
        "CREATE INDEX notifications_by_expiry ON notifications (expires_at) WHERE unfinished > 0",
    ),
    # For lists, which are a namespace's.
    ("CREATE INDEX notifications_by_namespace ON notifications (namespace_uid, number)",),
    # What the intake asks of delivery, and what delivery shows (`sender.between`). displays.body is NULL where nothing
    # is shown any more.
    (
        """
        CREATE TABLE requests (
            number INTEGER PRIMARY KEY AUTOINCREMENT,
            namespace_uid TEXT NOT NULL,
            kind TEXT NOT NULL,
            body TEXT NOT NULL,
            asked_at INTEGER NOT NULL,
            take_by INTEGER NOT NULL,
            reply TEXT,
            is_answered INTEGER NOT NULL DEFAULT 0
        ) STRICT
        """,
        """
        CREATE TABLE displays (
            namespace_uid TEXT NOT NULL,
            namespace TEXT NOT NULL,
            organization TEXT NOT NULL,
            body TEXT,
            change INTEGER NOT NULL,
            PRIMARY KEY (namespace_uid, namespace, organization)
        ) STRICT, WITHOUT ROWID
        """,
        "CREATE INDEX displays_by_change ON displays (change)",
        "INSERT OR IGNORE INTO counters (name, value) VALUES ('display', 0)",
    ),
    # Addresses that servers refused as unknown (`queueing.suppressions`). notification: the last one that was refused.
    (
        """
        CREATE TABLE suppressions (
            namespace_uid TEXT NOT NULL,
            organization TEXT NOT NULL,
            address TEXT NOT NULL,
            refusals INTEGER NOT NULL,
            notification INTEGER NOT NULL,
            refused_at INTEGER NOT NULL,
            until INTEGER NOT NULL,
            PRIMARY KEY (namespace_uid, organization, address)
        ) STRICT, WITHOUT ROWID
        """,
        "CREATE INDEX suppressions_by_time ON suppressions (until)",
    ),
)

VERSION: Final = len(_MIGRATIONS)
"""The version of the tables that this program reads and writes (`PRAGMA user_version`)."""

# A checkpoint waits this long for readers, whose statements take milliseconds; it is tried again a minute later.
_BUSY_SECONDS: Final = 0.2
_BUSY_TRIES: Final = 50


PAGE_BYTES: Final = 4096
"""SQLite's usual page size."""


_DAMAGED: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_PRIMARY: Final = 0xFF
"""Extended result codes have the primary one in their lowest byte."""


class NewerSchemaError(Exception):
    """The queue was written by a newer version of this program."""


class DamagedError(Exception):
    """The queue's file is damaged; nothing was changed."""


def open_writer(path: pathlib.Path, turns: volume.WriteTurns) -> sqlite3.Connection:
    """Return the one connection of this process that writes, with the tables brought to this program's version.

    Every page is looked at first: what a damaged one holds could neither be delivered nor given up, and would be tried
    again for ever.

    Raises:
        NewerSchemaError: The tables have a version that this program does not know.
        DamagedError: The file is no database, or parts of it cannot be read.
    """
    # SQLite gives the files beside the database the same mode. Payloads hold reset links.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    connection = _connect(path)
    try:
        with turns.turn():
            connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
            connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA secure_delete = ON")
        connection.execute("PRAGMA foreign_keys = ON")
        _require_whole(connection, path)
        # Whoever comes first brings them up to date; the other finds them so.
        with turns.turn():
            _migrate(connection)
    except BaseException as error:
        connection.close()
        if isinstance(error, sqlite3.DatabaseError) and is_damage(error):
            raise _damaged(path, str(error)) from error
        raise
    return connection


def is_damage(error: sqlite3.DatabaseError) -> bool:
    """Return whether an error says that the file is damaged."""
    return getattr(error, "sqlite_errorcode", 0) & _PRIMARY in _DAMAGED


def _require_whole(connection: sqlite3.Connection, path: pathlib.Path) -> None:
    (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if found != "ok":
        raise _damaged(path, str(found))


def _damaged(path: pathlib.Path, found: str) -> DamagedError:
    # SQLite names pages and tables, never what is in them; it may take several lines for it.
    return DamagedError(
        f"the queue in {path} is damaged ({' '.join(found.split())}), and nothing was changed: look at the volume, and"
        " put a copy of the file in its place; or move it away and start with an empty queue, and what it held is not"
        " delivered"
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


def _migrate(connection: sqlite3.Connection) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > VERSION:
        raise NewerSchemaError(
            f"the queue has schema version {version} and this program knows {VERSION}: run the newer version again, "
            "or let it deliver what is queued and start with an empty volume"
        )
    for number, statements in enumerate(_MIGRATIONS[version:], start=version + 1):
        connection.execute("BEGIN IMMEDIATE")
        for statement in statements:
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {number}")
        connection.execute("COMMIT")
