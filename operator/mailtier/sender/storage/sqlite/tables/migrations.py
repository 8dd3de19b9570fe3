"""The tables of the embedded queue, and how they came to be.

They expand first and contract two versions later: each migration says which is the oldest version of the program's
tables that still runs on what it leaves. SQLite's `user_version` is that oldest version, which is what earlier
programs compare with theirs, so that they open what they run on; the tables' own version stands in a counter where it
is another.

Payloads stand in a table of their own, whose rows are overwritten with NULL and never deleted beside a row that
still has its payload: deleting makes SQLite merge pages, and secure_delete zeroes what it frees, but not the copies
that a merge leaves behind in a page's unused middle (a test that greps the files found them).
"""

import dataclasses
import sqlite3
from collections.abc import Sequence
from typing import Final

from mailtier.sender.storage.sqlite.tables import sealing


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TableMigration:
    """A step from one version of the tables to the next.

    Attributes:
        statements: What it does, in one transaction.
        runs: The oldest version of the program's tables that runs on what it leaves; never less than the step's before.
    """

    statements: Sequence[str]
    runs: int


_FIRST: Final[Sequence[Sequence[str]]] = (
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

_FIRST_MIGRATIONS: Final = tuple(
    TableMigration(statements=statements, runs=number) for number, statements in enumerate(_FIRST, start=1)
)
"""None of the programs of the first ones ran on what the next one left; later ones say what does."""

# Of the Message-ID, once an attempt has met something; NULL before, and of what was taken in before this.
_ID_DOMAIN: Final = TableMigration(statements=("ALTER TABLE recipients ADD COLUMN id_domain TEXT",), runs=len(_FIRST))

MIGRATIONS: Final[Sequence[TableMigration]] = (*_FIRST_MIGRATIONS, _ID_DOMAIN)

VERSION: Final = len(MIGRATIONS)
"""The version of the tables that this program writes."""

_COUNTER: Final = "schema"


class NewerSchemaError(Exception):
    """The queue was written by a newer version of this program, on whose tables this one does not run."""


def migrate(
    connection: sqlite3.Connection, migrations: Sequence[TableMigration] = MIGRATIONS, *, even_sealed: bool = False
) -> None:
    """Bring the tables to this program's version, or find that it runs on what is there.

    Args:
        connection: No transaction is open.
        migrations: The program's.
        even_sealed: Whether it is no sender that asks.

    Raises:
        NewerSchemaError: It does not.
        sealing.SealedError: What is there was moved to a database, or is on its way.
    """
    runs, sealed = sealing.split(connection.execute("PRAGMA user_version").fetchone()[0])
    if sealed and not even_sealed:
        raise sealing.SealedError(sealing.explain(connection))
    version = _version(connection, runs)
    if runs > len(migrations):
        raise NewerSchemaError(
            f"the queue has schema version {version}, on which this program does not run (it knows {len(migrations)},"
            f" and {runs} is the oldest): run the newer version again, or let it deliver what is queued and start with"
            " an empty volume"
        )
    for number, migration in enumerate(migrations[version:], start=version + 1):
        connection.execute("BEGIN IMMEDIATE")
        for statement in migration.statements:
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {sealing.join(migration.runs, is_sealed=sealed)}")
        if migration.runs == number:
            connection.execute("DELETE FROM counters WHERE name = ?", (_COUNTER,))
        else:
            connection.execute("INSERT OR REPLACE INTO counters (name, value) VALUES (?, ?)", (_COUNTER, number))
        connection.execute("COMMIT")


def _version(connection: sqlite3.Connection, runs: int) -> int:
    if not runs:
        return 0
    row = connection.execute("SELECT value FROM counters WHERE name = ?", (_COUNTER,)).fetchone()
    return runs if row is None else int(row[0])
