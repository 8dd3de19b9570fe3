"""Reading what people and the operator ask for; how values stand in columns is `storage.values`."""

import datetime as dt
import sqlite3
from typing import Final

from mailtier.api import feed, vocabulary
from mailtier.sender import ports
from mailtier.sender.between import queued
from mailtier.sender.storage import values

to_micros: Final = values.to_micros
from_micros: Final = values.from_micros
to_pending: Final = values.to_pending
to_totals: Final = values.to_totals


def count_pending(connection: sqlite3.Connection) -> dict[vocabulary.RecipientState, int]:
    """Return how many recipients stand in each state that is not final; absent means none."""
    counted = connection.execute(
        "SELECT state, count(*) FROM recipients INDEXED BY recipients_unfinished "
        "WHERE due_at IS NOT NULL GROUP BY state"
    )
    return {vocabulary.RecipientState(state): count for state, count in counted}


_QUEUED: Final = """
    SELECT b.namespace_uid, b.namespace, b.organization, b.category, c.state, c.recipients, n.accepted_at
    FROM (
        SELECT backlog, state, count(*) AS recipients, min(number) AS oldest
        FROM recipients INDEXED BY recipients_by_backlog WHERE due_at IS NOT NULL GROUP BY backlog, state
    ) AS c
    CROSS JOIN backlogs b ON b.number = c.backlog
    CROSS JOIN recipients r ON r.number = c.oldest
    CROSS JOIN notifications n ON n.number = r.notification
"""
# They are numbered as they came; all of the inner one is in the index.


def read_queued(connection: sqlite3.Connection) -> tuple[queued.QueuedCount, ...]:
    """Return what is queued, each backlog and state once."""
    return tuple(map(values.to_queued, connection.execute(_QUEUED)))


def find_record(connection: sqlite3.Connection, lane: ports.LaneKey, id_: str) -> ports.Record | None:
    """Return a notification of a lane by its id, or None."""
    row = connection.execute(
        "SELECT number, category, accepted_at, expires_at, unfinished, forgotten_accepted, forgotten_recipients "
        "FROM notifications "
        # One whose recipients were forgotten before their time is there as a key only; an object is told its totals.
        "WHERE id = ? AND namespace_uid = ? AND organization = ? "
        "AND (stored_bytes > key_bytes OR object_name IS NOT NULL)",
        (id_, lane.namespace_uid, lane.organization),
    ).fetchone()
    if row is None:
        return None
    number, category, accepted_at, expires_at, unfinished, *totals = row
    return ports.Record(
        id=id_,
        lane=lane,
        category=vocabulary.Category(category),
        accepted_at=from_micros(accepted_at),
        expires_at=from_micros(expires_at),
        complete=not unfinished,
        recipients=recipients_of(connection, number),
        totals=to_totals(*totals),
    )


def find_object(
    connection: sqlite3.Connection, lane: ports.LaneKey, *, name: str, spec_hash: str
) -> ports.Record | None:
    """Return the notification that a Notification object of a lane is, or None."""
    row = connection.execute(
        "SELECT id FROM notifications "
        "WHERE namespace_uid = ? AND object_name = ? AND spec_hash = ? AND organization = ?",
        (lane.namespace_uid, name, spec_hash, lane.organization),
    ).fetchone()
    return None if row is None else find_record(connection, lane, row[0])


def oldest_pending(connection: sqlite3.Connection) -> dt.datetime | None:
    """Return when the oldest unfinished notification was accepted, or None; they are numbered as they came."""
    row = connection.execute(
        "SELECT accepted_at FROM notifications WHERE number = "
        "(SELECT min(notification) FROM recipients INDEXED BY recipients_unfinished WHERE due_at IS NOT NULL)"
    ).fetchone()
    return None if row is None else from_micros(row[0])


FAILURE: Final = "failure_scope, failure_phase, failure_code, failure_enhanced"
"""The columns of what the last attempt that failed met."""


def recipients_of(connection: sqlite3.Connection, notification: int) -> tuple[feed.Recipient, ...]:
    """Return where a notification's recipients stand, in the caller's order."""
    rows = connection.execute(
        f"SELECT address, state, reason, message, attempts, changed_at, due_at, {FAILURE} "  # noqa: S608  # Columns' names.
        "FROM recipients WHERE notification = ? ORDER BY number",
        (notification,),
    )
    return tuple(map(values.to_recipient, rows))


def queued_namespaces(connection: sqlite3.Connection) -> tuple[str, ...]:
    """Return the uids of the namespaces for which something is queued, in order."""
    found = connection.execute("SELECT namespace_uid FROM usage WHERE messages > 0 ORDER BY namespace_uid")
    return tuple(uid for (uid,) in found)
