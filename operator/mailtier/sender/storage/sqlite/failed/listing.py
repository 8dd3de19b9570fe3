"""A namespace's notifications, page by page, and one of them."""

import json
import sqlite3
from typing import Any, Final

from mailtier.api import vocabulary
from mailtier.sender import ports
from mailtier.sender.between import filing
from mailtier.sender.storage.sqlite import rows

_LOOKED_AT: Final = 5_000
"""Notifications that one page looks at: a reader has other things to do."""

_COLUMNS: Final = (
    "number, id, namespace_uid, namespace, organization, category, accepted_at, expires_at, unfinished, payload_until"
)
_BEGINNING: Final = 2**63 - 1

# Read backwards by the index, so that nothing is sorted.
_PART: Final = (
    "FROM notifications INDEXED BY notifications_by_namespace WHERE namespace_uid = :uid AND number < :before "
    "ORDER BY number DESC LIMIT :looked_at"
)
_WANTED: Final = f"""
    SELECT {_COLUMNS} FROM (SELECT * {_PART}) n
    WHERE stored_bytes > key_bytes AND forgotten_recipients IS NULL
    AND (:organizations IS NULL OR organization IN (SELECT value FROM json_each(:organizations)))
    AND (:accepted_before IS NULL OR accepted_at < :accepted_before)
    AND EXISTS (
        SELECT 1 FROM recipients r WHERE r.notification = n.number
        AND (:state IS NULL OR r.state = :state)
        AND (
            :reason IS NULL OR r.reason = :reason OR (r.due_at IS NOT NULL AND EXISTS (
                SELECT 1 FROM json_each(:waiting) w
                WHERE json_extract(w.value, '$[0]') = n.organization AND json_extract(w.value, '$[1]') = n.category
            ))
        )
    )
    LIMIT :limit
"""  # noqa: S608  # Names of columns.
_LAST: Final = f"SELECT min(number), count(*) FROM (SELECT number {_PART})"  # noqa: S608  # As above.


def read_page(
    connection: sqlite3.Connection, *, namespace_uid: str, wanted: filing.Filter, after: str | None, limit: int
) -> filing.FiledPage:
    """Return a part of a list; see `filing.FilingQueue`."""
    before = _BEGINNING if after is None else _number(connection, namespace_uid, after)
    arguments = {
        "uid": namespace_uid,
        "before": before,
        "looked_at": _LOOKED_AT,
        "organizations": None if wanted.organizations is None else json.dumps(list(wanted.organizations)),
        "accepted_before": None if wanted.accepted_before is None else rows.to_micros(wanted.accepted_before),
        "state": None if wanted.state is None else wanted.state.value,
        "reason": wanted.reason,
        "waiting": json.dumps(list(wanted.waiting)),
        "limit": limit + 1,
    }
    found = connection.execute(_WANTED, arguments).fetchall()
    records = tuple(_to_record(connection, row) for row in found[:limit])
    if len(found) > limit:
        return filing.FiledPage(records=records, following=records[-1].id)
    last, looked_at = connection.execute(_LAST, arguments).fetchone()
    if looked_at < _LOOKED_AT:
        return filing.FiledPage(records=records, following=None)
    (id_,) = connection.execute("SELECT id FROM notifications WHERE number = ?", (last,)).fetchone()
    return filing.FiledPage(records=records, following=id_)


def look(connection: sqlite3.Connection, *, namespace_uid: str, id_: str) -> filing.Filed | None:
    """Return a notification of a namespace; see `filing.FilingQueue`."""
    row = connection.execute(
        f"SELECT {_COLUMNS} FROM notifications WHERE id = ? AND namespace_uid = ? "  # noqa: S608  # As above.
        "AND stored_bytes > key_bytes AND forgotten_recipients IS NULL",
        (id_, namespace_uid),
    ).fetchone()
    if row is None:
        return None
    unfinished = connection.execute(
        "SELECT number FROM recipients WHERE notification = ? AND due_at IS NOT NULL ORDER BY number", (row[0],)
    )
    return filing.Filed(record=_to_record(connection, row), unfinished=tuple(number for (number,) in unfinished))


def _number(connection: sqlite3.Connection, namespace_uid: str, id_: str) -> int:
    row = connection.execute(
        "SELECT number FROM notifications WHERE id = ? AND namespace_uid = ?", (id_, namespace_uid)
    ).fetchone()
    if row is None:
        raise LookupError("the list cannot go on: what it ended with is no longer there")
    return int(row[0])


def _to_record(connection: sqlite3.Connection, row: tuple[Any, ...]) -> ports.Record:
    number, id_, uid, namespace, organization, category, accepted_at, expires_at, unfinished, payload_until = row
    return ports.Record(
        id=id_,
        lane=ports.LaneKey(namespace_uid=uid, namespace=namespace, organization=organization),
        category=vocabulary.Category(category),
        accepted_at=rows.from_micros(accepted_at),
        expires_at=rows.from_micros(expires_at),
        complete=not unfinished,
        recipients=rows.recipients_of(connection, number),
        kept_until=None if payload_until is None or unfinished else rows.from_micros(payload_until),
    )
