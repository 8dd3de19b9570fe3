"""Reading what people and the operator ask for."""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any, Final

from mailtier.api import feed, vocabulary
from mailtier.sender import ports
from mailtier.sender.storage import values
from mailtier.sender.storage.postgres.database import connections

_RECIPIENTS: Final = """
    SELECT notification, address, state, reason, message, attempts, changed_at, due_at, failure_scope, failure_phase,
           failure_code, failure_enhanced
    FROM mailtier.recipients WHERE notification = ANY ($1::bigint[]) ORDER BY number
"""
_FIND: Final = """
    SELECT number, id, category, accepted_at, expires_at, unfinished, forgotten_accepted, forgotten_recipients
    FROM mailtier.notifications
    -- One whose recipients were forgotten before their time is there as a key only; an object is told its totals.
    WHERE namespace_uid = $1 AND organization = $2 AND (stored_bytes > key_bytes OR object_name IS NOT NULL)
"""
_BY_ID: Final = f"{_FIND} AND id = $3"
_BY_OBJECT: Final = f"{_FIND} AND object_name = $3 AND spec_hash = $4"
COUNTS: Final = "SELECT state, count(*) FROM mailtier.recipients WHERE due_at IS NOT NULL GROUP BY state"
QUEUED_NAMESPACES: Final = "SELECT namespace_uid FROM mailtier.usage WHERE messages > 0 ORDER BY namespace_uid"
# Numbers are given in blocks here, so that the first one need not be the oldest.
QUEUED: Final = """
    SELECT b.namespace_uid, b.namespace, b.organization, b.category, r.state, count(*), min(n.accepted_at)
    FROM mailtier.recipients r
    JOIN mailtier.backlogs b ON b.number = r.backlog
    JOIN mailtier.notifications n ON n.number = r.notification
    WHERE r.due_at IS NOT NULL
    GROUP BY b.number, r.state
"""
OLDEST: Final = "SELECT min(accepted_at) FROM mailtier.notifications WHERE unfinished > 0"


async def find(session: connections.DatabaseSession, lane: ports.LaneKey, id_: str) -> ports.Record | None:
    """Return a notification of a lane by its id, or None."""
    return await _find(session, lane, _BY_ID, id_)


async def find_object(
    session: connections.DatabaseSession, lane: ports.LaneKey, *, name: str, spec_hash: str
) -> ports.Record | None:
    """Return the notification that a Notification object of a lane is, or None."""
    return await _find(session, lane, _BY_OBJECT, name, spec_hash)


async def recipients_of(
    session: connections.DatabaseSession, notifications: Sequence[int]
) -> Mapping[int, tuple[feed.Recipient, ...]]:
    """Return where notifications' recipients stand, in the callers' order; absent where there are none any more."""
    found: dict[int, list[feed.Recipient]] = {}
    for notification, *row in await session.fetch(_RECIPIENTS, notifications) if notifications else ():
        found.setdefault(notification, []).append(values.to_recipient(row))
    return {notification: tuple(recipients) for notification, recipients in found.items()}


def to_counts(rows: Sequence[Sequence[Any]]) -> Mapping[vocabulary.RecipientState, int]:
    """Return how many recipients stand in each state that is not final; absent means none."""
    return {vocabulary.RecipientState(state): count for state, count in rows}


def to_oldest(rows: Sequence[Sequence[Any]]) -> dt.datetime | None:
    """Return when the oldest unfinished notification was accepted, or None."""
    ((accepted_at,),) = rows
    return None if accepted_at is None else values.from_micros(accepted_at)


async def _find(
    session: connections.DatabaseSession, lane: ports.LaneKey, query: str, *names: str
) -> ports.Record | None:
    row = await session.fetchrow(query, lane.namespace_uid, lane.organization, *names)
    if row is None:
        return None
    number, id_, category, accepted_at, expires_at, unfinished, *totals = row
    return ports.Record(
        id=id_,
        lane=lane,
        category=vocabulary.Category(category),
        accepted_at=values.from_micros(accepted_at),
        expires_at=values.from_micros(expires_at),
        complete=not unfinished,
        recipients=(await recipients_of(session, [number])).get(number, ()),
        totals=values.to_totals(*totals),
    )
