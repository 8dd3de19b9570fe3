"""What namespaces have: one row each, which whoever takes in for one holds until its commit."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from mailtier.sender.queueing import quotas
from mailtier.sender.storage.postgres.database import connections

_LOCK: Final = """
    SELECT namespace_uid, messages, payload_bytes, stored_bytes FROM mailtier.usage
    WHERE namespace_uid = ANY ($1::text[]) ORDER BY namespace_uid FOR NO KEY UPDATE
"""
_ADD: Final = "INSERT INTO mailtier.usage SELECT uid, 0, 0, 0 FROM unnest($1::text[]) uid ON CONFLICT DO NOTHING"
_WRITE: Final = """
    UPDATE mailtier.usage s
    SET messages = u.messages, payload_bytes = u.payload_bytes, stored_bytes = u.stored_bytes
    FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[])
        AS u (namespace_uid, messages, payload_bytes, stored_bytes)
    WHERE s.namespace_uid = u.namespace_uid
"""
# Held in the order of their uids, as above, so that two who change several do not wait for one another.
_TAKE_AWAY: Final = """
    WITH held AS (
        SELECT namespace_uid FROM mailtier.usage WHERE namespace_uid = ANY ($1::text[])
        ORDER BY namespace_uid FOR NO KEY UPDATE
    )
    UPDATE mailtier.usage s
    SET messages = s.messages - u.messages, payload_bytes = s.payload_bytes - u.payload_bytes,
        stored_bytes = s.stored_bytes - u.stored_bytes
    FROM held JOIN unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[])
        AS u (namespace_uid, messages, payload_bytes, stored_bytes) USING (namespace_uid)
    WHERE s.namespace_uid = held.namespace_uid
"""


async def lock(session: connections.DatabaseSession, uids: Iterable[str]) -> dict[str, quotas.Usage]:
    """Return what namespaces have; nobody else changes it before the end of this transaction."""
    wanted = sorted(uids)
    found = _read(await session.fetch(_LOCK, wanted))
    while len(found) < len(wanted):
        await session.execute(_ADD, [uid for uid in wanted if uid not in found])
        found = _read(await session.fetch(_LOCK, wanted))
    return found


async def write(session: connections.DatabaseSession, used: Mapping[str, quotas.Usage]) -> None:
    """Store what namespaces have that are held."""
    await session.execute(
        _WRITE,
        list(used),
        [each.messages for each in used.values()],
        [each.payload_bytes for each in used.values()],
        [each.stored_bytes for each in used.values()],
    )


async def take_away(session: connections.DatabaseSession, given_back: Mapping[str, quotas.Usage]) -> None:
    """Store that namespaces have so much less; the last that a transaction locks, but for the feed's cursor."""
    if given_back:
        await session.execute(
            _TAKE_AWAY,
            list(given_back),
            [each.messages for each in given_back.values()],
            [each.payload_bytes for each in given_back.values()],
            [each.stored_bytes for each in given_back.values()],
        )


def _read(rows: Sequence[Sequence[Any]]) -> dict[str, quotas.Usage]:
    return {
        uid: quotas.Usage(messages=messages, payload_bytes=payload_bytes, stored_bytes=stored_bytes)
        for uid, messages, payload_bytes, stored_bytes in rows
    }
