"""Payloads of notifications that failed: kept for a while, so that they can be sent again, and wiped then (R11).

A notification whose payload is kept has `payload_until`, also while it is being sent again; what has an end may be
wiped, what has none is needed.
"""

import dataclasses
import datetime as dt
from collections.abc import Sequence
from typing import Any, Final

from mailtier.sender.queueing import quotas
from mailtier.sender.storage import values
from mailtier.sender.storage.postgres import usage
from mailtier.sender.storage.postgres.database import connections

_FOREVER: Final = 2**63 - 1
_AT_ONCE: Final = 200
_BYTES_AT_ONCE: Final = 4 * 1024 * 1024
"""Between two such steps others have their turn."""

_COLUMNS: Final = (
    "SELECT number, namespace_uid, payload_bytes FROM mailtier.notifications WHERE payload_until IS NOT NULL"
)
# What somebody sends again at this moment is not chosen.
_PAST: Final = f"""
    {_COLUMNS} AND payload_until < $1 AND unfinished = 0 ORDER BY payload_until LIMIT $2 FOR UPDATE SKIP LOCKED
"""
_OF_NAMESPACE: Final = f"""
    {_COLUMNS} AND namespace_uid = $1 AND unfinished = 0 ORDER BY number LIMIT $2 FOR UPDATE SKIP LOCKED
"""
_WIPE: Final = """
    UPDATE mailtier.notifications n SET body = NULL, payload_until = NULL, stored_bytes = n.stored_bytes - u.size
    FROM unnest($1::bigint[], $2::bigint[]) AS u (number, size) WHERE n.number = u.number
"""
COUNT: Final = "SELECT count(*) FROM mailtier.notifications WHERE payload_until IS NOT NULL"
# From one to the next by the index, however much is kept of each.
NAMESPACES: Final = """
    WITH RECURSIVE of_kept (uid) AS (
        SELECT min(namespace_uid) FROM mailtier.notifications WHERE payload_until IS NOT NULL
        UNION ALL
        SELECT (
            SELECT min(namespace_uid) FROM mailtier.notifications
            WHERE payload_until IS NOT NULL AND namespace_uid > of_kept.uid
        )
        FROM of_kept WHERE of_kept.uid IS NOT NULL
    )
    SELECT uid FROM of_kept WHERE uid IS NOT NULL
"""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class HeldPayload:
    """A payload that may be wiped, and nobody else changes until then.

    Attributes:
        notification: The notification's number.
    """

    notification: int
    namespace_uid: str
    size_bytes: int


async def wipe_past(session: connections.DatabaseSession, *, now: dt.datetime | None) -> int:
    """Wipe some of the payloads whose time is over; return how many.

    Args:
        session: In a transaction.
        now: Aware UTC time; None for the end of all times: what was kept is kept no longer.
    """
    return await _wipe_some(session, _PAST, _FOREVER if now is None else values.to_micros(now))


async def wipe_namespace(session: connections.DatabaseSession, *, namespace_uid: str) -> int:
    """Wipe some of what is kept of a namespace; return how many payloads."""
    return await _wipe_some(session, _OF_NAMESPACE, namespace_uid)


async def choose(
    session: connections.DatabaseSession, *, namespace_uid: str, wanted_bytes: int
) -> tuple[Sequence[HeldPayload], bool]:
    """Return which kept payloads of a namespace go to make room, the oldest first, and whether there may be more."""
    chosen, size_bytes = list[HeldPayload](), 0
    found = await _find(session, _OF_NAMESPACE, namespace_uid)
    for payload in found:
        if size_bytes >= min(wanted_bytes, _BYTES_AT_ONCE):
            return chosen, True
        chosen.append(payload)
        size_bytes += payload.size_bytes
    return chosen, len(found) == _AT_ONCE


async def wipe(session: connections.DatabaseSession, payloads: Sequence[HeldPayload]) -> None:
    """Wipe kept payloads. The counter of their namespaces is left to the caller."""
    if payloads:
        await session.execute(_WIPE, [each.notification for each in payloads], [each.size_bytes for each in payloads])


async def wipe_and_count(session: connections.DatabaseSession, payloads: Sequence[HeldPayload]) -> None:
    """Wipe kept payloads, and give their bytes back to their namespaces."""
    await wipe(session, payloads)
    freed: dict[str, quotas.Usage] = {}
    for each in payloads:
        before = freed.get(each.namespace_uid, quotas.Usage())
        freed[each.namespace_uid] = quotas.Usage(stored_bytes=before.stored_bytes + each.size_bytes)
    await usage.take_away(session, freed)


async def _find(session: connections.DatabaseSession, statement: str, argument: Any) -> Sequence[HeldPayload]:
    return [
        HeldPayload(notification=number, namespace_uid=uid, size_bytes=size_bytes)
        for number, uid, size_bytes in await session.fetch(statement, argument, _AT_ONCE)
    ]


async def _wipe_some(session: connections.DatabaseSession, statement: str, argument: Any) -> int:
    """Wipe what a statement names, as much as one step may, and give its bytes back; return how many."""
    chosen, size_bytes = list[HeldPayload](), 0
    for each in await _find(session, statement, argument):
        if chosen and size_bytes + each.size_bytes > _BYTES_AT_ONCE:
            break
        chosen.append(each)
        size_bytes += each.size_bytes
    await wipe_and_count(session, chosen)
    return len(chosen)
