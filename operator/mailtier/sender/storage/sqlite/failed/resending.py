"""Sending again what failed, and dropping what is kept of it."""

import dataclasses
import datetime as dt
import sqlite3
from typing import Any

from mailtier.api import vocabulary
from mailtier.mail import states
from mailtier.sender import ports
from mailtier.sender.between import filing
from mailtier.sender.queueing import quotas
from mailtier.sender.storage import volume
from mailtier.sender.storage.sqlite import changes, claims, rows, schema
from mailtier.sender.storage.sqlite.failed import kept


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Stored:
    """A notification's row, as far as it is asked for here."""

    number: int
    lane: ports.LaneKey
    category: vocabulary.Category
    unfinished: int
    payload_bytes: int
    is_kept: bool
    from_object: bool


def retry(
    connection: sqlite3.Connection,
    *,
    namespace_uid: str,
    id_: str,
    at: dt.datetime,
    expires_at: dt.datetime,
    quota: ports.QueueQuota,
    room: volume.WorkRoom,
) -> tuple[ports.Pending, ...]:
    """Queue what failed of a notification anew, in the transaction that is open; see `filing.FilingQueue`."""
    stored = _read(connection, namespace_uid, id_)
    if stored is None:
        raise LookupError("there is no such notification")
    failed = connection.execute(
        "SELECT number, state FROM recipients WHERE notification = ? AND due_at IS NULL ORDER BY number",
        (stored.number,),
    ).fetchall()
    again = [number for number, state in failed if vocabulary.RecipientState(state) in states.FAILURES]
    if not again:
        raise filing.nothing_failed(stored.lane, unfinished=stored.unfinished)
    if not stored.unfinished and not stored.is_kept:
        raise filing.NotRetryableError(
            "its text is wiped: seven days are over, its namespace's share of the volume was used up, somebody dropped"
            " it, or it is a password recovery; hand it over as a new notification"
        )
    if not room.takes_work(reusable_bytes=schema.reusable_bytes(connection)):
        raise ports.StorageFullError("the queue's volume is too full for new work: try again later")
    _charge(connection, stored, len(again), quota)
    backlog = claims.number_of(connection, ports.BacklogKey(lane=stored.lane, category=stored.category))
    for number, state in failed:
        if number in again:
            _queue(connection, number, states.retried(vocabulary.RecipientState(state)), at, backlog)
    connection.execute(
        "UPDATE notifications SET unfinished = unfinished + ?, failed = 0, expires_at = ?, keep_until = NULL, "
        "change = coalesce(?, change) WHERE number = ?",
        (
            len(again),
            rows.to_micros(expires_at),
            changes.advance_cursor(connection) if stored.from_object else None,
            stored.number,
        ),
    )
    return tuple(
        ports.Pending(
            recipient_number=number,
            lane=stored.lane,
            category=stored.category,
            state=states.INITIAL,
            due_at=at,
            expires_at=expires_at,
            attempts=0,
        )
        for number in again
    )


def drop(connection: sqlite3.Connection, *, namespace_uid: str, id_: str) -> None:
    """Wipe what is kept of a notification that has ended; see `filing.FilingQueue`."""
    stored = _read(connection, namespace_uid, id_)
    if stored is not None and stored.is_kept and not stored.unfinished:
        payload = kept.KeptPayload(notification=stored.number, size_bytes=stored.payload_bytes)
        kept.wipe_one(connection, payload, namespace_uid=namespace_uid)


def _read(connection: sqlite3.Connection, namespace_uid: str, id_: str) -> _Stored | None:
    row: tuple[Any, ...] | None = connection.execute(
        "SELECT number, namespace, organization, category, unfinished, payload_bytes, payload_until IS NOT NULL, "
        "object_name IS NOT NULL FROM notifications WHERE id = ? AND namespace_uid = ?",
        (id_, namespace_uid),
    ).fetchone()
    if row is None:
        return None
    number, namespace, organization, category, unfinished, payload_bytes, is_kept, from_object = row
    return _Stored(
        number=number,
        lane=ports.LaneKey(namespace_uid=namespace_uid, namespace=namespace, organization=organization),
        category=vocabulary.Category(category),
        unfinished=unfinished,
        payload_bytes=payload_bytes,
        is_kept=bool(is_kept),
        from_object=bool(from_object),
    )


def _charge(connection: sqlite3.Connection, stored: _Stored, recipients: int, quota: ports.QueueQuota) -> None:
    uid = stored.lane.namespace_uid
    messages, payload_bytes, stored_bytes = connection.execute(
        "SELECT messages, payload_bytes, stored_bytes FROM usage WHERE namespace_uid = ?", (uid,)
    ).fetchone()
    usage = quotas.charge_again(
        quotas.Usage(messages=messages, payload_bytes=payload_bytes, stored_bytes=stored_bytes),
        recipients,
        namespace=stored.lane.namespace,
        payload_bytes=0 if stored.unfinished else stored.payload_bytes,
        quota=quota,
    )
    connection.execute(
        "UPDATE usage SET messages = ?, payload_bytes = ? WHERE namespace_uid = ?",
        (usage.messages, usage.payload_bytes, uid),
    )


def _queue(
    connection: sqlite3.Connection, number: int, state: vocabulary.RecipientState, at: dt.datetime, backlog: int
) -> None:
    micros = rows.to_micros(at)
    connection.execute(
        "UPDATE recipients SET state = ?, due_at = ?, backlog = ?, attempts = 0, doubts = 0, reason = '', "
        "message = '', changed_at = ? WHERE number = ?",
        (state.value, micros, backlog, micros, number),
    )
