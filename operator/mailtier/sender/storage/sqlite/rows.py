"""How values stand in columns, and how rows become values."""

import datetime as dt
import sqlite3
from typing import Any, Final

from mailtier.api import feed, vocabulary
from mailtier.sender import ports

_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MICROSECOND: Final = dt.timedelta(microseconds=1)


def to_micros(at: dt.datetime) -> int:
    """Return an aware time as microseconds since 1970, exactly."""
    return (at - _EPOCH) // _MICROSECOND


def from_micros(micros: int) -> dt.datetime:
    """Return the aware UTC time that many microseconds after 1970."""
    return _EPOCH + micros * _MICROSECOND


def to_pending(row: tuple[Any, ...]) -> ports.Pending:
    """Return a recipient without a final state as a value."""
    number, uid, namespace, organization, category, state, due_at, expires_at, attempts = row
    return ports.Pending(
        recipient_number=number,
        lane=ports.LaneKey(namespace_uid=uid, namespace=namespace, organization=organization),
        category=vocabulary.Category(category),
        state=vocabulary.RecipientState(state),
        due_at=from_micros(due_at),
        expires_at=from_micros(expires_at),
        attempts=attempts,
    )


def count_pending(connection: sqlite3.Connection) -> dict[vocabulary.RecipientState, int]:
    """Return how many recipients stand in each state that is not final; absent means none."""
    counted = connection.execute(
        "SELECT state, count(*) FROM recipients INDEXED BY recipients_unfinished "
        "WHERE due_at IS NOT NULL GROUP BY state"
    )
    return {vocabulary.RecipientState(state): count for state, count in counted}


def find_record(connection: sqlite3.Connection, lane: ports.LaneKey, id_: str) -> ports.Record | None:
    """Return a notification of a lane by its id, or None."""
    row = connection.execute(
        "SELECT number, category, accepted_at, unfinished, forgotten_accepted, forgotten_recipients FROM notifications "
        # One whose recipients were forgotten before their time is there as a key only; an object is told its totals.
        "WHERE id = ? AND namespace_uid = ? AND organization = ? "
        "AND (stored_bytes > key_bytes OR object_name IS NOT NULL)",
        (id_, lane.namespace_uid, lane.organization),
    ).fetchone()
    if row is None:
        return None
    number, category, accepted_at, unfinished, *totals = row
    return ports.Record(
        id=id_,
        lane=lane,
        category=vocabulary.Category(category),
        accepted_at=from_micros(accepted_at),
        complete=not unfinished,
        recipients=recipients_of(connection, number),
        totals=to_totals(*totals),
    )


def to_totals(accepted: int | None, recipients: int | None) -> feed.Tally | None:
    """Return what is left of recipients that were forgotten; None while they are there."""
    return None if accepted is None or recipients is None else feed.Tally(accepted=accepted, recipients=recipients)


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


def _to_failure(
    scope: str | None, phase: str | None, code: int | None, enhanced: str | None
) -> feed.LastFailure | None:
    if scope is None or phase is None:
        return None
    return feed.LastFailure(scope=scope, phase=phase, code=code, enhanced=enhanced)


def recipients_of(connection: sqlite3.Connection, notification: int) -> tuple[feed.Recipient, ...]:
    """Return where a notification's recipients stand, in the caller's order."""
    rows = connection.execute(
        f"SELECT address, state, reason, message, attempts, changed_at, {FAILURE} FROM recipients "  # noqa: S608  # Names of columns.
        "WHERE notification = ? ORDER BY number",
        (notification,),
    )
    return tuple(
        feed.Recipient(
            address=address,
            state=vocabulary.RecipientState(state),
            reason=reason,
            message=message,
            attempts=attempts,
            changed_at=from_micros(changed_at),
            last_failure=_to_failure(*failure),
        )
        for address, state, reason, message, attempts, changed_at, *failure in rows
    )


def queued_namespaces(connection: sqlite3.Connection) -> tuple[str, ...]:
    """Return the uids of the namespaces for which something is queued, in order."""
    found = connection.execute("SELECT namespace_uid FROM usage WHERE messages > 0 ORDER BY namespace_uid")
    return tuple(uid for (uid,) in found)
