"""Removing what nobody asks for any more."""

import dataclasses
import datetime as dt
from collections.abc import Sequence
from typing import Final

from mailtier.api import vocabulary
from mailtier.sender.queueing import quotas, recoveries, retention
from mailtier.sender.storage import values
from mailtier.sender.storage.postgres import usage
from mailtier.sender.storage.postgres.database import connections
from mailtier.sender.storage.postgres.failed import kept
from mailtier.sender.storage.postgres.outcomes import suppressions
from mailtier.sender.storage.postgres.senders import owning

# Locked ones are somebody else's for the moment, and are chosen another time.
_PAST: Final = """
    SELECT number, namespace_uid, stored_bytes FROM mailtier.notifications
    WHERE keep_until < $1 AND payload_until IS NULL ORDER BY keep_until LIMIT $2 FOR UPDATE SKIP LOCKED
"""
_FINISHED: Final = """
    SELECT number, stored_bytes, key_bytes, idempotency_key IS NOT NULL OR object_name IS NOT NULL
    FROM mailtier.notifications
    WHERE namespace_uid = $1 AND keep_until IS NOT NULL AND stored_bytes > key_bytes AND payload_until IS NULL
        AND (change IS NULL OR change <= (SELECT value FROM mailtier.counters WHERE name = 'read'))
    ORDER BY number LIMIT $2 FOR UPDATE SKIP LOCKED
"""
_LEAVE_KEY: Final = """
    UPDATE mailtier.notifications n SET stored_bytes = n.key_bytes, forgotten_accepted = r.accepted,
        forgotten_recipients = r.recipients
    FROM (
        SELECT notification, count(*) FILTER (WHERE state = $2) AS accepted, count(*) AS recipients
        FROM mailtier.recipients WHERE notification = ANY ($1::bigint[]) GROUP BY notification
    ) r
    WHERE n.number = r.notification
"""
_REMOVE_RECIPIENTS: Final = "DELETE FROM mailtier.recipients WHERE notification = ANY ($1::bigint[])"
_REMOVE: Final = "DELETE FROM mailtier.notifications WHERE number = ANY ($1::bigint[])"

_EMPTY_BACKLOGS: Final = """
    SELECT number FROM mailtier.backlogs b
    WHERE NOT EXISTS (SELECT FROM mailtier.recipients r WHERE r.backlog = b.number AND r.due_at IS NOT NULL)
    LIMIT 1000 FOR UPDATE SKIP LOCKED
"""
# A second look, by a statement that sees what was committed before the first one had the rows: while it has them,
# nothing is put in.
_REMOVE_BACKLOGS: Final = """
    DELETE FROM mailtier.backlogs b WHERE number = ANY ($1::bigint[])
    AND NOT EXISTS (SELECT FROM mailtier.recipients r WHERE r.backlog = b.number AND r.due_at IS NOT NULL)
"""
_OLD_SNAPSHOTS: Final = """
    DELETE FROM mailtier.snapshots s WHERE used_at < now() - $1::interval
    AND NOT EXISTS (SELECT FROM mailtier.recipients r WHERE r.snapshot = s.number)
    AND NOT EXISTS (SELECT FROM mailtier.notes o WHERE o.snapshot = s.number)
"""
# Other memories are no JSON.
_OLD_RECOVERIES: Final = """
    DELETE FROM mailtier.memories
    WHERE CASE WHEN starts_with(key, $1) THEN (body::jsonb ->> 0)::float8 < $2 ELSE false END
"""

SNAPSHOTS_KEPT: Final = dt.timedelta(days=1)
"""How long a snapshot stays that nothing names; a sender hands one out for less after it saw that it is there."""


async def purge_notifications(session: connections.DatabaseSession, *, now: dt.datetime, limit: int) -> int:
    """Remove finished notifications past their retention, at most `limit`; return how many.

    Payloads that are kept of them, which is never for longer, were wiped before.
    """
    found = await session.fetch(_PAST, values.to_micros(now), limit)
    numbers = [number for number, *_ in found]
    if numbers:
        await session.execute(_REMOVE_RECIPIENTS, numbers)
        await session.execute(_REMOVE, numbers)
        freed: dict[str, quotas.Usage] = {}
        for _, uid, stored_bytes in found:
            freed[uid] = quotas.Usage(stored_bytes=freed.get(uid, quotas.Usage()).stored_bytes + stored_bytes)
        await usage.take_away(session, freed)
    return len(found)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ChosenRecords:
    """What goes of a namespace before its time.

    Attributes:
        payloads: Of notifications that failed; their records stay.
        finished: Notifications of which nothing but what a repeat is known by stays.
    """

    payloads: Sequence[kept.HeldPayload]
    finished: Sequence[retention.FinishedNotification]

    @property
    def freed_bytes(self) -> int:
        """What is free once they are gone."""
        return sum(each.size_bytes for each in self.payloads) + sum(each.freed_bytes for each in self.finished)


async def choose_finished(
    session: connections.DatabaseSession, *, namespace_uid: str, wanted_bytes: int
) -> tuple[ChosenRecords, bool]:
    """Return what of a namespace's finished notifications goes before its time, as `queueing.retention` chooses it.

    Payloads of what failed go first, and no record before the last of them. An object whose end was not read from the
    feed stays whole.

    Args:
        session: In a transaction that holds what the namespace has.
        namespace_uid: Whose share is used up.
        wanted_bytes: How much is to be freed; less is where there is no more, or it would take too long at once.

    Returns:
        What goes, and whether there may be more.
    """
    payloads, more = await kept.choose(session, namespace_uid=namespace_uid, wanted_bytes=wanted_bytes)
    wanted_bytes -= sum(each.size_bytes for each in payloads)
    if more or wanted_bytes <= 0:
        return ChosenRecords(payloads=payloads, finished=()), more
    found = await session.fetch(_FINISHED, namespace_uid, retention.FORGOTTEN_AT_ONCE)
    finished = (
        retention.FinishedNotification(number=number, stored_bytes=stored_bytes, key_bytes=key_bytes, is_known=is_known)
        for number, stored_bytes, key_bytes, is_known in found
    )
    chosen = retention.choose(finished, wanted_bytes=wanted_bytes)
    return ChosenRecords(payloads=payloads, finished=chosen), len(found) == retention.FORGOTTEN_AT_ONCE


async def forget(session: connections.DatabaseSession, chosen: ChosenRecords) -> None:
    """Wipe payloads of what failed, and forget finished notifications, before their time.

    What was sent with a key, or came as an object, leaves its row, by which a repeat is known, with how many recipients
    there were and were accepted: an object that is offered again is told as what it became (R4). The counter is left
    to the caller, who writes it anyway.
    """
    await kept.wipe(session, chosen.payloads)
    if not chosen.finished:
        return
    known = [each.number for each in chosen.finished if each.is_known]
    if known:
        await session.execute(_LEAVE_KEY, known, vocabulary.RecipientState.ACCEPTED.value)
    await session.execute(_REMOVE_RECIPIENTS, [each.number for each in chosen.finished])
    await session.execute(_REMOVE, [each.number for each in chosen.finished if not each.is_known])


async def sweep(session: connections.DatabaseSession, *, now: dt.datetime) -> None:
    """Remove what is over, or nothing names: what is past its time, backlogs, snapshots, rooms."""
    await session.execute(
        "DELETE FROM mailtier.probes WHERE probed_at < $1", values.to_micros(now - retention.PROBES_KEPT)
    )
    await session.execute(_OLD_RECOVERIES, recoveries.MEMORIES, (now - recoveries.WINDOW).timestamp())
    await session.execute(suppressions.SWEEP, values.to_micros(now))
    empty = [number for (number,) in await session.fetch(_EMPTY_BACKLOGS)]
    if empty:
        await session.execute(_REMOVE_BACKLOGS, empty)
    await session.execute(_OLD_SNAPSHOTS, SNAPSHOTS_KEPT)
    await session.execute(owning.FORGET_ROOMS)


async def sweep_usage(session: connections.DatabaseSession) -> None:
    """Remove counters that stand at zero; in a transaction of its own, as nothing may be locked before them."""
    await session.execute(
        "DELETE FROM mailtier.usage WHERE namespace_uid IN (SELECT namespace_uid FROM mailtier.usage "
        "WHERE messages = 0 AND stored_bytes = 0 ORDER BY namespace_uid FOR UPDATE SKIP LOCKED)"
    )
