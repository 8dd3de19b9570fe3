"""Taking a notification in: found again, refused, or stored."""

import sqlite3
from collections.abc import Sequence

from mailtier.mail import states
from mailtier.sender import ports
from mailtier.sender.queueing import quotas, repeats
from mailtier.sender.storage import volume
from mailtier.sender.storage.sqlite import changes, forgetting, rows, schema


def enqueue(
    connection: sqlite3.Connection,
    *,
    notification: ports.NewNotification,
    payload: bytes,
    quota: ports.QueueQuota,
    room: volume.Room,
    read: int,
) -> ports.Enqueued:
    """Store a notification, or find the same one, in the transaction that is open.

    Args:
        payload: The notification's payload, encoded.
        room: Whether the volume takes new work; asked only when something would be stored.
        read: The change up to which the feed was read.

    Raises:
        QuotaExceededError: The namespace's quota is used up.
        StorageFullError: The volume is too full.
        IdempotencyConflictError: Its idempotency key names another request.
    """
    earlier = _find_object(connection, notification) or _find_key(connection, notification)
    if earlier is not None:
        return ports.Enqueued(id=earlier, repeated=True, pending=())
    if not room.takes_work(reusable_bytes=schema.reusable_bytes(connection)):
        raise ports.StorageFullError("the queue's volume is too full for new work: try again later")
    _charge(connection, notification, len(payload), quota, read)
    return ports.Enqueued(id=notification.id, repeated=False, pending=_insert(connection, notification, payload))


def enqueue_all(
    connection: sqlite3.Connection,
    *,
    entries: Sequence[tuple[ports.NewNotification, bytes, ports.QueueQuota]],
    room: volume.Room,
    read: int,
) -> Sequence[ports.Enqueued | ports.Unqueued]:
    """Store notifications in their order, or find the same ones; return what became of each.

    Args:
        entries: Each notification with its payload, encoded, and its quota.
        room: As above.
        read: As above.
    """
    found: list[ports.Enqueued | ports.Unqueued] = []
    for notification, payload, quota in entries:
        # To make room something may have been forgotten already when a notification is refused.
        connection.execute("SAVEPOINT notification")
        try:
            found.append(
                enqueue(connection, notification=notification, payload=payload, quota=quota, room=room, read=read)
            )
        except (ports.QuotaExceededError, ports.StorageFullError, ports.IdempotencyConflictError) as error:
            connection.execute("ROLLBACK TO notification")
            found.append(error)
        connection.execute("RELEASE notification")
    return found


def _find_object(connection: sqlite3.Connection, notification: ports.NewNotification) -> str | None:
    source = notification.source
    if source is None:
        return None
    row = connection.execute(
        "SELECT number, id, object_uid, keep_until FROM notifications "
        "WHERE namespace_uid = ? AND object_name = ? AND spec_hash = ?",
        (notification.lane.namespace_uid, source.name, source.spec_hash),
    ).fetchone()
    if row is None:
        return None
    number, id_, object_uid, keep_until = row
    sighting = repeats.see(
        source,
        known_uid=object_uid,
        kept_until=None if keep_until is None else rows.from_micros(keep_until),
        at=notification.accepted_at,
    )
    if sighting.is_recreated:
        connection.execute(
            "UPDATE notifications SET object_uid = ?, change = ? WHERE number = ?",
            (source.object_uid, changes.advance_cursor(connection), number),
        )
    if sighting.keep_until is not None:
        connection.execute(
            "UPDATE notifications SET keep_until = ? WHERE number = ?", (rows.to_micros(sighting.keep_until), number)
        )
    return str(id_)


def _find_key(connection: sqlite3.Connection, notification: ports.NewNotification) -> str | None:
    if notification.idempotency_key is None:
        return None
    lane = notification.lane
    row = connection.execute(
        "SELECT id, digest FROM notifications WHERE namespace_uid = ? AND organization = ? AND idempotency_key = ?",
        (lane.namespace_uid, lane.organization, notification.idempotency_key),
    ).fetchone()
    if row is None:
        return None
    id_, digest = row
    repeats.require_same(notification, known_id=id_, known_digest=digest)
    return str(id_)


def _charge(
    connection: sqlite3.Connection,
    notification: ports.NewNotification,
    payload_bytes: int,
    quota: ports.QueueQuota,
    read: int,
) -> None:
    uid = notification.lane.namespace_uid
    row = connection.execute(
        "SELECT messages, payload_bytes, stored_bytes FROM usage WHERE namespace_uid = ?", (uid,)
    ).fetchone()
    messages, used_bytes, stored_bytes = (0, 0, 0) if row is None else row
    usage = quotas.charge(
        quotas.Usage(messages=messages, payload_bytes=used_bytes, stored_bytes=stored_bytes),
        notification,
        payload_bytes=payload_bytes,
        quota=quota,
    )
    excess_bytes = quotas.excess_bytes(usage, quota)
    if excess_bytes:
        freed_bytes, more = forgetting.forget_finished(
            connection, namespace_uid=uid, wanted_bytes=excess_bytes, read=read
        )
        usage = quotas.forgive(
            usage, freed_bytes=freed_bytes, more=more, namespace=notification.lane.namespace, quota=quota
        )
    connection.execute(
        "INSERT OR REPLACE INTO usage (namespace_uid, messages, payload_bytes, stored_bytes) VALUES (?, ?, ?, ?)",
        (uid, usage.messages, usage.payload_bytes, usage.stored_bytes),
    )


def _insert(
    connection: sqlite3.Connection, notification: ports.NewNotification, payload: bytes
) -> tuple[ports.Pending, ...]:
    lane, source = notification.lane, notification.source
    accepted_at = rows.to_micros(notification.accepted_at)
    number = connection.execute(
        "INSERT INTO notifications (id, namespace_uid, namespace, organization, category, severity, locale, "
        "accepted_at, expires_at, payload_bytes, unfinished, idempotency_key, digest, object_name, object_uid, "
        "spec_hash, change, stored_bytes, key_bytes) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            notification.id,
            lane.namespace_uid,
            lane.namespace,
            lane.organization,
            notification.category.value,
            notification.severity.value,
            notification.locale.value,
            accepted_at,
            rows.to_micros(notification.expires_at),
            len(payload),
            len(notification.recipients),
            notification.idempotency_key,
            notification.digest,
            None if source is None else source.name,
            None if source is None else source.object_uid,
            None if source is None else source.spec_hash,
            None if source is None else changes.advance_cursor(connection),
            quotas.stored_bytes(notification, len(payload)),
            quotas.key_bytes(notification),
        ),
    ).lastrowid
    connection.execute("INSERT INTO payloads (notification, body) VALUES (?, ?)", (number, payload))
    return tuple(
        _insert_recipient(connection, notification, number, address, accepted_at) for address in notification.recipients
    )


def _insert_recipient(
    connection: sqlite3.Connection,
    notification: ports.NewNotification,
    number: int | None,
    address: str,
    accepted_at: int,
) -> ports.Pending:
    recipient_number = connection.execute(
        "INSERT INTO recipients (notification, address, state, due_at, changed_at) VALUES (?, ?, ?, ?, ?)",
        (number, address, states.INITIAL.value, accepted_at, accepted_at),
    ).lastrowid
    assert recipient_number is not None, "an INSERT sets it"
    return ports.Pending(
        recipient_number=recipient_number,
        lane=notification.lane,
        category=notification.category,
        state=states.INITIAL,
        due_at=notification.accepted_at,
        expires_at=notification.expires_at,
        attempts=0,
    )
