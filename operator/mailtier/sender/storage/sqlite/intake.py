"""Taking notifications in: found again, refused, or stored; those that come together are written together."""

import dataclasses
import sqlite3
from collections.abc import Sequence
from typing import Any, Final, TypeAlias

from mailtier.mail import states
from mailtier.sender import ports
from mailtier.sender.queueing import quotas, recoveries, repeats
from mailtier.sender.storage import volume
from mailtier.sender.storage.sqlite import changes, claims, forgetting, known_rows, many_rows, memories, rows, schema

_NOTIFICATION: Final = (
    *("number", "id", "namespace_uid", "namespace", "organization", "category", "severity", "locale", "accepted_at"),
    *("expires_at", "payload_bytes", "unfinished", "idempotency_key", "digest", "object_name", "object_uid"),
    *("spec_hash", "change", "stored_bytes", "key_bytes"),
)
_PAYLOAD: Final = ("notification", "body")
_USAGE: Final = ("namespace_uid", "messages", "payload_bytes", "stored_bytes")
_RECIPIENT: Final = ("number", "notification", "address", "state", "due_at", "changed_at", "backlog")

Verdict: TypeAlias = ports.Enqueued | ports.Unqueued


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A notification that is offered.

    Attributes:
        payload: The notification's payload, encoded.
    """

    notification: ports.NewNotification
    payload: bytes
    quota: ports.QueueQuota


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Offering:
    """Notifications that one caller offers together.

    Attributes:
        read: The change up to which the feed was read.
    """

    entries: Sequence[Entry]
    read: int


def take(
    connection: sqlite3.Connection, offers: Sequence[Offering], *, room: volume.WorkRoom
) -> Sequence[Sequence[Verdict]]:
    """Store notifications in their order, or find the same ones, in the transaction that is open.

    Args:
        offers: What is offered, by whom ever.
        room: Whether the volume takes new work; asked only when something would be stored.

    Returns:
        What became of each entry of each offer.
    """
    taking = _Taking(connection, room, [entry.notification for offer in offers for entry in offer.entries])
    verdicts = [[taking.take(entry, read=offer.read) for entry in offer.entries] for offer in offers]
    taking.finish()
    return verdicts


class _Taking:
    """One turn of taking in. What it takes is written at its end, or once something may be found among it."""

    def __init__(
        self, connection: sqlite3.Connection, room: volume.WorkRoom, offered: Sequence[ports.NewNotification]
    ) -> None:
        self._connection = connection
        self._room = room
        self._has_room: bool | None = None
        self._usage = known_rows.usage_of(connection, {each.lane.namespace_uid for each in offered})
        self._charged: set[str] = set()
        self._recoveries: dict[str, str] = {}
        self._backlogs = known_rows.backlogs_of(connection, {_backlog_key(each) for each in offered})
        # With what is taken in this turn.
        self._ids = known_rows.ids_of(connection, filter(None, map(known_rows.key_name, offered)))
        # Numbers are counted here, so that rows that name one another can be written a table at a time.
        sequences = dict(connection.execute("SELECT name, seq FROM sqlite_sequence"))
        self._notification = sequences.get("notifications", 0)
        self._recipient = sequences.get("recipients", 0)
        self._notifications: list[tuple[Any, ...]] = []
        self._payloads: list[tuple[Any, ...]] = []
        self._recipients: list[tuple[Any, ...]] = []

    def take(self, entry: Entry, *, read: int) -> Verdict:
        """Return what becomes of a notification."""
        try:
            return self._take(entry, read)
        except (ports.QuotaExceededError, ports.StorageFullError, ports.IdempotencyConflictError) as error:
            return error

    def finish(self) -> None:
        """Write what was taken, and what it is charged."""
        self._write()
        charged = [(uid, self._usage[uid]) for uid in self._charged]
        many_rows.insert(
            self._connection,
            "usage",
            _USAGE,
            [(uid, used.messages, used.payload_bytes, used.stored_bytes) for uid, used in charged],
            replacing=True,
        )
        for key, text in self._recoveries.items():
            memories.store(self._connection, key=key, text=text)

    def _take(self, entry: Entry, read: int) -> ports.Enqueued:
        notification = entry.notification
        key = known_rows.key_name(notification)
        earlier = self._find_object(notification) or self._find_key(notification, key)
        if earlier is not None:
            return ports.Enqueued(id=earlier, repeated=True, pending=())
        if self._has_room is None:
            self._has_room = self._room.takes_work(reusable_bytes=schema.reusable_bytes(self._connection))
        if not self._has_room:
            raise ports.StorageFullError("the queue's volume is too full for new work: try again later")
        self._charge(entry, read)
        if key is not None:
            self._ids[key] = (notification.id, notification.digest)
        return ports.Enqueued(id=notification.id, repeated=False, pending=self._add(notification, entry.payload))

    def _charge(self, entry: Entry, read: int) -> None:
        notification, quota = entry.notification, entry.quota
        uid = notification.lane.namespace_uid
        recoveries_key = recoveries.memory_of(notification)
        begun = None if recoveries_key is None else self._begin(notification, recoveries_key)
        usage = quotas.charge(self._usage[uid], notification, payload_bytes=len(entry.payload), quota=quota)
        excess_bytes = quotas.excess_bytes(usage, quota)
        if excess_bytes:
            chosen, more = forgetting.choose_finished(
                self._connection, namespace_uid=uid, wanted_bytes=excess_bytes, read=read
            )
            usage = quotas.forgive(
                usage,
                freed_bytes=chosen.freed_bytes,
                more=more,
                namespace=notification.lane.namespace,
                quota=quota,
            )
            forgetting.forget(self._connection, chosen)
        self._usage[uid] = usage
        self._charged.add(uid)
        if recoveries_key is not None and begun is not None:
            self._recoveries[recoveries_key] = begun

    def _begin(self, notification: ports.NewNotification, key: str) -> str:
        remembered = self._recoveries.get(key)
        return recoveries.begin(notification, remembered or memories.read(self._connection, key))

    def _find_object(self, notification: ports.NewNotification) -> str | None:
        if notification.source is None:
            return None
        # It may be among what was taken in this turn.
        self._write()
        return _find_object(self._connection, notification, notification.source)

    def _find_key(self, notification: ports.NewNotification, key: known_rows.KeyName | None) -> str | None:
        found = None if key is None else self._ids.get(key)
        if found is None:
            return None
        id_, digest = found
        repeats.require_same(notification, known_id=id_, known_digest=digest)
        return id_

    def _add(self, notification: ports.NewNotification, payload: bytes) -> tuple[ports.Pending, ...]:
        lane, source = notification.lane, notification.source
        accepted_at = rows.to_micros(notification.accepted_at)
        self._notification += 1
        number = self._notification
        self._notifications.append(
            (
                number,
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
                None if source is None else changes.advance_cursor(self._connection),
                quotas.stored_bytes(notification, len(payload)),
                quotas.key_bytes(notification),
            )
        )
        self._payloads.append((number, payload))
        backlog = self._backlog_of(notification)
        first = self._recipient + 1
        for address in notification.recipients:
            self._recipient += 1
            self._recipients.append(
                (self._recipient, number, address, states.INITIAL.value, accepted_at, accepted_at, backlog)
            )
        return tuple(_pending(notification, number) for number in range(first, self._recipient + 1))

    def _backlog_of(self, notification: ports.NewNotification) -> int:
        key = _backlog_key(notification)
        number = self._backlogs.get(key)
        if number is None:
            number = self._backlogs[key] = claims.number_of(self._connection, key)
        return number

    def _write(self) -> None:
        many_rows.insert(self._connection, "notifications", _NOTIFICATION, self._notifications)
        many_rows.insert(self._connection, "payloads", _PAYLOAD, self._payloads)
        many_rows.insert(self._connection, "recipients", _RECIPIENT, self._recipients)
        for written in (self._notifications, self._payloads, self._recipients):
            written.clear()


def _backlog_key(notification: ports.NewNotification) -> ports.BacklogKey:
    return ports.BacklogKey(lane=notification.lane, category=notification.category)


def _pending(notification: ports.NewNotification, recipient_number: int) -> ports.Pending:
    return ports.Pending(
        recipient_number=recipient_number,
        lane=notification.lane,
        category=notification.category,
        state=states.INITIAL,
        due_at=notification.accepted_at,
        expires_at=notification.expires_at,
        attempts=0,
    )


def _find_object(
    connection: sqlite3.Connection, notification: ports.NewNotification, source: ports.ObjectSource
) -> str | None:
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
