"""Taking notifications in: found again, refused, or stored; those that come together are stored by one statement."""

import dataclasses
import functools
import itertools
from collections.abc import Iterator, Sequence
from typing import Any, Final, TypeAlias

from mailtier.mail import states
from mailtier.sender import ports
from mailtier.sender.queueing import quotas, recoveries, repeats
from mailtier.sender.storage import values
from mailtier.sender.storage.postgres import backlogs, changes, forgetting, usage
from mailtier.sender.storage.postgres.database import connections, numbering
from mailtier.sender.storage.postgres.senders import memory_rows

Verdict: TypeAlias = ports.Enqueued | ports.Unqueued


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class OfferedNotification:
    """A notification that is offered, with its payload, encoded."""

    notification: ports.NewNotification
    payload: bytes
    quota: ports.QueueQuota


_STORE: Final = """
    WITH stored AS (
        INSERT INTO mailtier.notifications (
            number, id, namespace_uid, namespace, organization, category, severity, locale, accepted_at, expires_at,
            payload_bytes, body, unfinished, idempotency_key, digest, object_name, object_uid, spec_hash, change,
            stored_bytes, key_bytes
        )
        SELECT * FROM unnest(
            $1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
            $9::bigint[], $10::bigint[], $11::integer[], $12::bytea[], $13::integer[], $14::text[], $15::text[],
            $16::text[], $17::text[], $18::text[], $19::bigint[], $20::bigint[], $21::bigint[]
        )
    )
    INSERT INTO mailtier.recipients (number, notification, address, state, due_at, changed_at, backlog)
    SELECT u.number, u.notification, u.address, $22, u.accepted_at, u.accepted_at, u.backlog
    FROM unnest($23::bigint[], $24::bigint[], $25::text[], $26::bigint[], $27::bigint[])
        AS u (number, notification, address, accepted_at, backlog)
"""
_BY_KEY: Final = """
    SELECT namespace_uid, organization, idempotency_key, id, digest FROM mailtier.notifications
    WHERE (namespace_uid, organization, idempotency_key) IN (SELECT * FROM unnest($1::text[], $2::text[], $3::text[]))
        AND idempotency_key IS NOT NULL
"""
_BY_OBJECT: Final = """
    SELECT namespace_uid, object_name, spec_hash, number, id, object_uid, keep_until FROM mailtier.notifications
    WHERE (namespace_uid, object_name, spec_hash) IN (SELECT * FROM unnest($1::text[], $2::text[], $3::text[]))
        AND object_name IS NOT NULL
"""
_BY_ID: Final = """
    SELECT n.id, r.number, n.namespace_uid, n.namespace, n.organization, n.category, r.state, r.due_at, n.expires_at,
           r.attempts
    FROM mailtier.notifications n
    LEFT JOIN mailtier.recipients r ON r.notification = n.number AND r.due_at IS NOT NULL
    WHERE n.id = ANY ($1::text[]) ORDER BY r.number
"""


class NotificationTables:
    """Takes in what is offered to this process, in transactions of a committer's."""

    def __init__(self) -> None:
        self._notifications = numbering.NumberBlocks("notification_numbers", block=256)
        self._recipients = numbering.NumberBlocks("recipient_numbers", block=1024)

    async def take(
        self, session: connections.DatabaseSession, offers: Sequence[Sequence[OfferedNotification]], *, is_again: bool
    ) -> Sequence[Sequence[Verdict]]:
        """Store notifications in their order, or find the same ones.

        Args:
            session: In a transaction.
            offers: What is offered, by whom ever.
            is_again: Whether they may be stored already: by a commit that was not answered.

        Returns:
            What became of each notification of each offer.
        """
        entries = list(itertools.chain.from_iterable(offers))
        # Whoever takes in for a namespace has its row until the commit: quotas, keys and objects are looked at and
        # changed by one at a time. It is the first lock that a transaction takes.
        used = await usage.lock(session, {entry.notification.lane.namespace_uid for entry in entries})
        earlier = await _stored(session, [entry.notification for entry in entries]) if is_again else {}
        turn = _Turn(session, used=used, known=await _KnownRepeats.read(session, entries))
        for entry in entries:
            before = earlier.get(entry.notification.id)
            turn.add(before or await turn.take(entry))
        await turn.finish(self._notifications, self._recipients)
        verdicts = iter(turn.verdicts)
        return [[next(verdicts) for _ in offer] for offer in offers]


class _Turn:
    """One turn of taking in."""

    def __init__(
        self, session: connections.DatabaseSession, *, used: dict[str, quotas.Usage], known: "_KnownRepeats"
    ) -> None:
        self._session = session
        self._used = used
        self._known = known
        self._taken: list[tuple[int, OfferedNotification]] = []
        self._recoveries: dict[str, str] = {}
        self.verdicts: list[Verdict] = []

    def add(self, verdict: Verdict) -> None:
        """Note what became of the next one."""
        self.verdicts.append(verdict)

    async def take(self, entry: OfferedNotification) -> Verdict:
        """Return what becomes of a notification; its recipients have no numbers yet."""
        try:
            earlier = self._known.find(entry.notification)
            if earlier is not None:
                return ports.Enqueued(id=earlier, repeated=True, pending=())
            await self._charge(entry)
        except (ports.QuotaExceededError, ports.IdempotencyConflictError) as error:
            return error
        self._known.add(entry.notification)
        self._taken.append((len(self.verdicts), entry))
        return ports.Enqueued(id=entry.notification.id, repeated=False, pending=())

    async def _charge(self, entry: OfferedNotification) -> None:
        notification, quota = entry.notification, entry.quota
        uid = notification.lane.namespace_uid
        recoveries_key = recoveries.memory_of(notification)
        begun = None if recoveries_key is None else await self._begin(notification, recoveries_key)
        used = quotas.charge(self._used[uid], notification, payload_bytes=len(entry.payload), quota=quota)
        excess_bytes = quotas.excess_bytes(used, quota)
        if excess_bytes:
            chosen, more = await forgetting.choose_finished(self._session, namespace_uid=uid, wanted_bytes=excess_bytes)
            used = quotas.forgive(
                used, freed_bytes=chosen.freed_bytes, more=more, namespace=notification.lane.namespace, quota=quota
            )
            await forgetting.forget(self._session, chosen)
        self._used[uid] = used
        if recoveries_key is not None and begun is not None:
            self._recoveries[recoveries_key] = begun

    async def _begin(self, notification: ports.NewNotification, key: str) -> str:
        remembered = self._recoveries.get(key) or await self._session.fetchval(memory_rows.READ, key)
        return recoveries.begin(notification, remembered)

    async def finish(self, notifications: numbering.NumberBlocks, recipients: numbering.NumberBlocks) -> None:
        """Write what was taken, and what it is charged."""
        offered = [entry.notification for _, entry in self._taken]
        if offered:
            locked = await backlogs.lock(self._session, map(_backlog, offered))
            own = await notifications.take(self._session, len(offered))
            theirs = iter(await recipients.take(self._session, sum(len(each.recipients) for each in offered)))
            numbers = [list(itertools.islice(theirs, len(each.recipients))) for each in offered]
            for (place, entry), given in zip(self._taken, numbers, strict=True):
                self.verdicts[place] = _enqueued(entry.notification, given)
            cursors = await self._known.write(self._session, new=sum(each.source is not None for each in offered))
            rows = [
                _columns(number, entry, change=None if entry.notification.source is None else next(cursors))
                for number, (_, entry) in zip(own, self._taken, strict=True)
            ]
            of_recipients = [
                (one, number, address, values.to_micros(each.accepted_at), locked[_backlog(each)])
                for number, each, given in zip(own, offered, numbers, strict=True)
                for one, address in zip(given, each.recipients, strict=True)
            ]
            await self._session.execute(
                _STORE, *zip(*rows, strict=True), states.INITIAL.value, *zip(*of_recipients, strict=True)
            )
            await usage.write(self._session, self._used)
            for key, text in sorted(self._recoveries.items()):
                await self._session.execute(memory_rows.STORE, key, text)
        else:
            await self._known.write(self._session, new=0)


@dataclasses.dataclass(slots=True, kw_only=True)
class _KnownObject:
    """What is stored of an object's notification."""

    number: int | None
    id: str
    object_uid: str
    keep_until: int | None


class _KnownRepeats:
    """What notifications may be repeats of: what is stored, and what came with them."""

    def __init__(self) -> None:
        self._keys: dict[tuple[str, ...], tuple[str, str]] = {}
        self._objects: dict[tuple[str, ...], _KnownObject] = {}
        self._recreated: dict[int, str] = {}
        self._prolonged: dict[int, int] = {}

    @classmethod
    async def read(
        cls, session: connections.DatabaseSession, entries: Sequence[OfferedNotification]
    ) -> "_KnownRepeats":
        """Return what is stored that any of them may repeat."""
        known = cls()
        notifications = [entry.notification for entry in entries]
        if keys := [key for each in notifications if (key := _key(each)) is not None]:
            for *found, id_, digest in await session.fetch(_BY_KEY, *zip(*keys, strict=True)):
                known._keys[tuple(found)] = (id_, digest)
        if names := [name for each in notifications if (name := _name(each)) is not None]:
            for *found, number, id_, object_uid, keep_until in await session.fetch(
                _BY_OBJECT, *zip(*names, strict=True)
            ):
                known._objects[tuple(found)] = _KnownObject(
                    number=number, id=id_, object_uid=object_uid, keep_until=keep_until
                )
        return known

    def add(self, notification: ports.NewNotification) -> None:
        """Note one that is to be stored."""
        if (key := _key(notification)) is not None:
            self._keys[key] = (notification.id, notification.digest)
        source = notification.source
        if source is not None and (name := _name(notification)) is not None:
            self._objects[name] = _KnownObject(
                number=None, id=notification.id, object_uid=source.object_uid, keep_until=None
            )

    def find(self, notification: ports.NewNotification) -> str | None:
        """Return the id of what a notification repeats; None if it repeats nothing.

        Raises:
            IdempotencyConflictError: Its key is another's.
        """
        return self._find_object(notification) or self._find_key(notification)

    def _find_key(self, notification: ports.NewNotification) -> str | None:
        key = _key(notification)
        known = None if key is None else self._keys.get(key)
        if known is None:
            return None
        id_, digest = known
        repeats.require_same(notification, known_id=id_, known_digest=digest)
        return id_

    def _find_object(self, notification: ports.NewNotification) -> str | None:
        source, name = notification.source, _name(notification)
        known = None if name is None else self._objects.get(name)
        if source is None or known is None:
            return None
        sighting = repeats.see(
            source,
            known_uid=known.object_uid,
            kept_until=None if known.keep_until is None else values.from_micros(known.keep_until),
            at=notification.accepted_at,
        )
        if known.number is not None and sighting.is_recreated:
            known.object_uid = self._recreated[known.number] = source.object_uid
        if known.number is not None and sighting.keep_until is not None:
            known.keep_until = self._prolonged[known.number] = values.to_micros(sighting.keep_until)
        return known.id

    async def write(self, session: connections.DatabaseSession, *, new: int) -> Iterator[int]:
        """Store what was seen of objects; return cursors for new ones."""
        if self._prolonged:
            await session.execute(
                "UPDATE mailtier.notifications n SET keep_until = u.keep_until "
                "FROM unnest($1::bigint[], $2::bigint[]) AS u (number, keep_until) WHERE n.number = u.number",
                list(self._prolonged),
                list(self._prolonged.values()),
            )
        cursors = iter(await changes.advance(session, new + len(self._recreated)))
        if self._recreated:
            await session.execute(
                "UPDATE mailtier.notifications n SET object_uid = u.uid, change = u.change "
                "FROM unnest($1::bigint[], $2::text[], $3::bigint[]) AS u (number, uid, change) "
                "WHERE n.number = u.number",
                list(self._recreated),
                list(self._recreated.values()),
                [next(cursors) for _ in self._recreated],
            )
        return cursors


async def _stored(
    session: connections.DatabaseSession, notifications: Sequence[ports.NewNotification]
) -> dict[str, ports.Enqueued]:
    """Return those of some notifications that are stored, by their ids."""
    found: dict[str, list[ports.Pending]] = {}
    for id_, *row in await session.fetch(_BY_ID, [each.id for each in notifications]):
        pending = found.setdefault(id_, [])
        # One that was stored may have come to its end meanwhile.
        if row[0] is not None:
            pending.append(values.to_pending(row))
    return {id_: ports.Enqueued(id=id_, repeated=False, pending=pending) for id_, pending in found.items()}


def _key(notification: ports.NewNotification) -> tuple[str, str, str] | None:
    if notification.idempotency_key is None:
        return None
    return notification.lane.namespace_uid, notification.lane.organization, notification.idempotency_key


def _name(notification: ports.NewNotification) -> tuple[str, str, str] | None:
    source = notification.source
    return None if source is None else (notification.lane.namespace_uid, source.name, source.spec_hash)


def _backlog(notification: ports.NewNotification) -> ports.BacklogKey:
    return ports.BacklogKey(lane=notification.lane, category=notification.category)


def _enqueued(notification: ports.NewNotification, numbers: Sequence[int]) -> ports.Enqueued:
    pending = functools.partial(
        ports.Pending,
        lane=notification.lane,
        category=notification.category,
        state=states.INITIAL,
        due_at=notification.accepted_at,
        expires_at=notification.expires_at,
        attempts=0,
    )
    return ports.Enqueued(
        id=notification.id, repeated=False, pending=tuple(pending(recipient_number=number) for number in numbers)
    )


def _columns(number: int, entry: OfferedNotification, *, change: int | None) -> tuple[Any, ...]:
    notification = entry.notification
    lane, source = notification.lane, notification.source
    return (
        number,
        notification.id,
        lane.namespace_uid,
        lane.namespace,
        lane.organization,
        notification.category.value,
        notification.severity.value,
        notification.locale.value,
        values.to_micros(notification.accepted_at),
        values.to_micros(notification.expires_at),
        len(entry.payload),
        entry.payload,
        len(notification.recipients),
        notification.idempotency_key,
        notification.digest,
        None if source is None else source.name,
        None if source is None else source.object_uid,
        None if source is None else source.spec_hash,
        change,
        quotas.stored_bytes(notification, len(entry.payload)),
        quotas.key_bytes(notification),
    )
