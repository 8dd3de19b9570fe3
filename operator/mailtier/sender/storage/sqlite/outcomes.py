"""Storing what became of a recipient, and wiping a payload once nobody needs it, as `queueing.settlements` has it."""

import dataclasses
import hashlib
import sqlite3

from mailtier.api import vocabulary
from mailtier.sender import ports
from mailtier.sender.queueing import crashes, settlements
from mailtier.sender.storage.sqlite import changes, rows


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """What a recipient's row and its notification's say before an outcome is stored."""

    stored: settlements.StoredRecipient
    notification: int
    namespace_uid: str
    from_object: bool


def record(connection: sqlite3.Connection, *, outcome: ports.Outcome, note: crashes.Note | None) -> None:
    """Store an outcome in the transaction that is open; the last final one wipes the notification's payload.

    Args:
        note: What is noted of the attempt; it is answered with this.

    Raises:
        LookupError: There is no such recipient.
        ValueError: A final state comes with a time of the next attempt, or another state without one.
        mailtier.mail.states.IllegalTransition: The stored state does not lead to the reported one.
    """
    row = _read(connection, outcome.recipient_number)
    settlement = settlements.settle(row.stored, outcome)
    connection.execute(
        "UPDATE recipients SET state = ?, due_at = ?, attempts = attempts + ?, doubts = doubts + ?, reason = ?, "
        "message = ?, changed_at = ?, noted = max(noted, ?), "
        "snapshot = CASE WHEN ? THEN NULL ELSE coalesce(?, snapshot) END WHERE number = ?",
        (
            outcome.state.value,
            None if outcome.due_at is None else rows.to_micros(outcome.due_at),
            outcome.attempted,
            settlement.is_loss,
            outcome.reason,
            outcome.message,
            rows.to_micros(outcome.at),
            0 if note is None else note.serial,
            settlement.is_final,
            note.snapshot if settlement.is_loss and note is not None else None,
            outcome.recipient_number,
        ),
    )
    if row.from_object:
        connection.execute(
            "UPDATE notifications SET change = ? WHERE number = ?",
            (changes.advance_cursor(connection), row.notification),
        )
    if settlement.is_final:
        _finish(connection, row, settlement)


def store_snapshot(connection: sqlite3.Connection, *, snapshot: ports.Snapshot) -> int:
    """Return the number of a snapshot, which is stored once however often it is used."""
    digest = hashlib.sha256(snapshot.settings.encode()).hexdigest()
    connection.execute(
        "INSERT INTO snapshots (digest, settings) VALUES (?, ?) ON CONFLICT DO NOTHING", (digest, snapshot.settings)
    )
    (number,) = connection.execute("SELECT number FROM snapshots WHERE digest = ?", (digest,)).fetchone()
    return int(number)


def _read(connection: sqlite3.Connection, recipient_number: int) -> _Row:
    row = connection.execute(
        "SELECT r.state, n.number, n.unfinished, n.payload_bytes, n.namespace_uid, n.object_name IS NOT NULL "
        "FROM recipients r JOIN notifications n ON n.number = r.notification WHERE r.number = ?",
        (recipient_number,),
    ).fetchone()
    if row is None:
        raise LookupError(f"the queue has no recipient {recipient_number}")
    state, notification, unfinished, payload_bytes, namespace_uid, from_object = row
    return _Row(
        stored=settlements.StoredRecipient(
            state=vocabulary.RecipientState(state), unfinished=unfinished, payload_bytes=payload_bytes
        ),
        notification=notification,
        namespace_uid=namespace_uid,
        from_object=bool(from_object),
    )


def _finish(connection: sqlite3.Connection, row: _Row, settlement: settlements.Settlement) -> None:
    if settlement.keep_until is not None:
        # R11. The row stays (schema's docstring says why).
        connection.execute("UPDATE payloads SET body = NULL WHERE notification = ?", (row.notification,))
        connection.execute(
            "UPDATE notifications SET keep_until = ?, stored_bytes = stored_bytes - ? WHERE number = ?",
            (rows.to_micros(settlement.keep_until), settlement.freed_bytes, row.notification),
        )
    connection.execute("UPDATE notifications SET unfinished = unfinished - 1 WHERE number = ?", (row.notification,))
    connection.execute(
        "UPDATE usage SET messages = messages - 1, payload_bytes = payload_bytes - ?, stored_bytes = stored_bytes - ? "
        "WHERE namespace_uid = ?",
        (settlement.freed_bytes, settlement.freed_bytes, row.namespace_uid),
    )
