"""What always holds of what is queued, looked at from outside: by SQL of its own, and none of the program's.

Whoever changes the tables, of whichever backend, has to think of this one too.
"""

import contextlib
import pathlib
import sqlite3
import typing

from kit import postgres
from mailtier.sender.queueing import quotas

_FINAL: typing.Final = "('accepted', 'failed', 'expired', 'suppressed')"
_FAILURES: typing.Final = "('failed', 'expired', 'suppressed')"
_STATES: typing.Final = "('queued', 'in doubt', 'deferred', 'held', 'accepted', 'failed', 'expired', 'suppressed')"

_VIOLATIONS: typing.Final = {
    "two notifications have one id": "SELECT min(number) FROM notifications GROUP BY id HAVING count(*) > 1",
    "a recipient has a state that there is not": f"SELECT number FROM recipients WHERE state NOT IN {_STATES}",
    "a recipient is final and due, or neither": (
        f"SELECT number FROM recipients WHERE (state IN {_FINAL}) = (due_at IS NOT NULL)"
    ),
    "a recipient has no notification": (
        "SELECT number FROM recipients WHERE notification NOT IN (SELECT number FROM notifications)"
    ),
    "a recipient that waits has no backlog": (
        "SELECT number FROM recipients WHERE due_at IS NOT NULL AND "
        "(backlog IS NULL OR backlog NOT IN (SELECT number FROM backlogs))"
    ),
    "a recipient in doubt has nothing to be built from": (
        "SELECT number FROM recipients WHERE state = 'in doubt' AND "
        "(snapshot IS NULL OR snapshot NOT IN (SELECT number FROM snapshots))"
    ),
    "a recipient that failed does not say why": (
        f"SELECT number FROM recipients WHERE state IN {_FAILURES} AND reason = ''"
    ),
    "a notification counts other recipients as unfinished than there are": (
        "SELECT number FROM notifications n WHERE unfinished <> "
        "(SELECT count(*) FROM recipients r WHERE r.notification = n.number AND r.due_at IS NOT NULL)"
    ),
    "a notification counts other failures than there are": (
        "SELECT number FROM notifications n WHERE forgotten_recipients IS NULL AND stored_bytes > key_bytes AND "
        "failed <> (SELECT count(*) FROM recipients r "
        f"WHERE r.notification = n.number AND r.state IN {_FAILURES})"
    ),
    "a finished notification is not forgotten in time, or an unfinished one is": (
        "SELECT number FROM notifications WHERE (unfinished = 0) <> (keep_until IS NOT NULL)"
    ),
    "a payload of a password recovery outlives its end": (
        "SELECT number FROM notifications WHERE category = 'PasswordRecovery' AND payload_until IS NOT NULL"
    ),
    "a notification takes other bytes than it says": (
        "SELECT number FROM notifications n WHERE stored_bytes <> key_bytes "
        "+ CASE WHEN unfinished > 0 OR payload_until IS NOT NULL THEN payload_bytes ELSE 0 END "
        f"+ (SELECT coalesce(sum({quotas.RECIPIENT_BYTES} + length(r.address)), 0) "
        "FROM recipients r WHERE r.notification = n.number)"
    ),
    "a namespace is charged for other messages than wait": (
        "SELECT namespace_uid FROM usage u WHERE messages <> "
        "(SELECT coalesce(sum(unfinished), 0) FROM notifications n WHERE n.namespace_uid = u.namespace_uid)"
    ),
    "a namespace is charged for other payloads than wait": (
        "SELECT namespace_uid FROM usage u WHERE payload_bytes <> (SELECT coalesce(sum(payload_bytes), 0) "
        "FROM notifications n WHERE n.namespace_uid = u.namespace_uid AND n.unfinished > 0)"
    ),
    "a namespace is charged for other bytes than are stored": (
        "SELECT namespace_uid FROM usage u WHERE stored_bytes <> "
        "(SELECT coalesce(sum(stored_bytes), 0) FROM notifications n WHERE n.namespace_uid = u.namespace_uid)"
    ),
    "a namespace that has something is not charged": (
        "SELECT DISTINCT namespace_uid FROM notifications WHERE namespace_uid NOT IN (SELECT namespace_uid FROM usage)"
    ),
}


_EMBEDDED: typing.Final = {
    "a payload is there that nobody needs, or is missing": (
        "SELECT n.number FROM notifications n LEFT JOIN payloads p ON p.notification = n.number "
        "WHERE (n.unfinished > 0 OR n.payload_until IS NOT NULL) <> (p.body IS NOT NULL)"
    ),
}

_SHARED: typing.Final = {
    "a payload is there that nobody needs, or is missing": (
        "SELECT number FROM notifications WHERE (unfinished > 0 OR payload_until IS NOT NULL) <> (body IS NOT NULL)"
    ),
    "a note is there that no sender answers": (
        "SELECT recipient FROM notes WHERE sender NOT IN (SELECT number FROM senders)"
    ),
}

# Both read every row and every index of it, and raise or tell where they do not fit.
_DAMAGE: typing.Final = """
    SELECT relation.relname || ': ' || found.msg FROM pg_class relation, verify_heapam(relation.oid) found
    WHERE relation.relnamespace = 'mailtier'::regnamespace AND relation.relkind = 'r'
"""
_INDEXES: typing.Final = """
    SELECT bt_index_check(relation.oid, true) FROM pg_class relation
    WHERE relation.relnamespace = 'mailtier'::regnamespace AND relation.relkind = 'i'
"""


def violations(database: pathlib.Path) -> list[str]:
    """Return what does not hold of a queue's file, with the first rows of which it does not; empty where all does."""
    with contextlib.closing(sqlite3.connect(database)) as connection:
        (damage,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
        found = [] if damage == "ok" else [f"the file is damaged: {damage}"]
        for says, statement in {**_VIOLATIONS, **_EMBEDDED}.items():
            rows = [row for (row,) in connection.execute(f"{statement} LIMIT 3")]
            found += [f"{says}: {rows}"] if rows else []
        return found


def shared_violations(dsn: str) -> list[str]:
    """Return what does not hold of a queue's tables in a database; see `violations`."""
    postgres.execute(dsn, "CREATE EXTENSION IF NOT EXISTS amcheck")
    found = [f"the tables are damaged: {row}" for (row,) in postgres.read(dsn, _DAMAGE)]
    postgres.read(dsn, _INDEXES)
    for says, statement in {**_VIOLATIONS, **_SHARED}.items():
        rows = [row for (row,) in postgres.read(f"{dsn}&search_path=mailtier", f"{statement} LIMIT 3")]
        found += [f"{says}: {rows}"] if rows else []
    return found
