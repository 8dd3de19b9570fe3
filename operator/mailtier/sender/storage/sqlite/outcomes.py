"""Storing what became of a recipient, and wiping a payload once nobody needs it."""

import dataclasses
import datetime as dt
import hashlib
import sqlite3

from mailtier.api import vocabulary
from mailtier.mail import states
from mailtier.sender import ports
from mailtier.sender.storage import journal
from mailtier.sender.storage.sqlite import changes, intake, rows


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Stored:
    """What a recipient's row and its notification's say before an outcome is stored."""

    state: vocabulary.RecipientState
    notification: int
    unfinished: int
    payload_bytes: int
    namespace_uid: str
    from_object: bool


def record(connection: sqlite3.Connection, *, outcome: ports.Outcome, note: journal.Note | None) -> None:
    """Store an outcome in the transaction that is open; the last final one wipes the notification's payload.

    Args:
        note: What the journal says of the attempt; it is answered with this.

    Raises:
        LookupError: There is no such recipient.
        ValueError: A final state comes with a time of the next attempt, or another state without one.
        states.IllegalTransition: The stored state does not lead to the reported one.
    """
    final = outcome.state in states.FINAL
    if final != (outcome.due_at is None):
        raise ValueError(f"due_at is None for a final state and only there, not with {outcome.state.value}")
    stored = _read(connection, outcome.recipient)
    states.require(stored.state, outcome.state)
    doubted = outcome.attempted and outcome.state is vocabulary.RecipientState.IN_DOUBT
    connection.execute(
        "UPDATE recipients SET state = ?, due_at = ?, attempts = attempts + ?, doubts = doubts + ?, reason = ?, "
        "message = ?, changed_at = ?, noted = max(noted, ?), "
        "snapshot = CASE WHEN ? THEN NULL ELSE coalesce(?, snapshot) END WHERE number = ?",
        (
            outcome.state.value,
            None if outcome.due_at is None else rows.to_micros(outcome.due_at),
            outcome.attempted,
            doubted,
            outcome.reason,
            outcome.message,
            rows.to_micros(outcome.at),
            0 if note is None else note.serial,
            final,
            note.snapshot if doubted and note is not None else None,
            outcome.recipient,
        ),
    )
    if stored.from_object:
        connection.execute(
            "UPDATE notifications SET change = ? WHERE number = ?",
            (changes.advance_cursor(connection), stored.notification),
        )
    if final:
        _finish(connection, stored, outcome.at)


def store_snapshot(connection: sqlite3.Connection, *, snapshot: ports.Snapshot) -> int:
    """Return the number of a snapshot, which is stored once however often it is used."""
    digest = hashlib.sha256(snapshot.settings.encode()).hexdigest()
    connection.execute(
        "INSERT INTO snapshots (digest, settings) VALUES (?, ?) ON CONFLICT DO NOTHING", (digest, snapshot.settings)
    )
    (number,) = connection.execute("SELECT number FROM snapshots WHERE digest = ?", (digest,)).fetchone()
    return int(number)


def _read(connection: sqlite3.Connection, recipient: int) -> _Stored:
    row = connection.execute(
        "SELECT r.state, n.number, n.unfinished, n.payload_bytes, n.namespace_uid, n.object_name IS NOT NULL "
        "FROM recipients r JOIN notifications n ON n.number = r.notification WHERE r.number = ?",
        (recipient,),
    ).fetchone()
    if row is None:
        raise LookupError(f"the queue has no recipient {recipient}")
    state, notification, unfinished, payload_bytes, namespace_uid, from_object = row
    return _Stored(
        state=vocabulary.RecipientState(state),
        notification=notification,
        unfinished=unfinished,
        payload_bytes=payload_bytes,
        namespace_uid=namespace_uid,
        from_object=bool(from_object),
    )


def _finish(connection: sqlite3.Connection, stored: _Stored, at: dt.datetime) -> None:
    freed_bytes = 0
    if stored.unfinished == 1:
        # R11. The row stays (schema's docstring says why).
        connection.execute("UPDATE payloads SET body = NULL WHERE notification = ?", (stored.notification,))
        freed_bytes = stored.payload_bytes
        connection.execute(
            "UPDATE notifications SET keep_until = ?, stored_bytes = stored_bytes - ? WHERE number = ?",
            (rows.to_micros(at + intake.RETENTION), freed_bytes, stored.notification),
        )
    connection.execute("UPDATE notifications SET unfinished = unfinished - 1 WHERE number = ?", (stored.notification,))
    connection.execute(
        "UPDATE usage SET messages = messages - 1, payload_bytes = payload_bytes - ?, stored_bytes = stored_bytes - ? "
        "WHERE namespace_uid = ?",
        (freed_bytes, freed_bytes, stored.namespace_uid),
    )
