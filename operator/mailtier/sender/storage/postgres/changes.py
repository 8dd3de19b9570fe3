"""The feed: one growing number for every change of a Notification object or a probe.

The number is a row, not a sequence: who takes one holds the row until its commit, so that numbers become visible in
their order. With a sequence a reader could see the second of two changes, go on behind it, and never hear of the first.
Only objects and probes pay for that; what comes over HTTPS is not in the feed.
"""

import heapq
import operator
from collections.abc import Sequence
from typing import Final, TypeAlias

from mailtier.api import feed
from mailtier.sender.storage import values
from mailtier.sender.storage.postgres import records
from mailtier.sender.storage.postgres.database import connections

_Change: TypeAlias = tuple[int, feed.Taken | feed.Probe]

CHANNEL: Final = "mailtier_changes"
"""Where a change is announced; it is heard after the commit."""

_ADVANCE: Final = """
    WITH moved AS (UPDATE mailtier.counters SET value = value + $1 WHERE name = 'change' RETURNING value)
    SELECT value, pg_notify('mailtier_changes', value::text) FROM moved
"""
_CHANGED: Final = """
    SELECT change, number, id, namespace, namespace_uid, object_name, object_uid, spec_hash, accepted_at, unfinished,
           forgotten_accepted, forgotten_recipients
    FROM mailtier.notifications WHERE change > $1 ORDER BY change LIMIT $2
"""


NOTE_READ: Final = """
    UPDATE mailtier.counters SET value = $1 WHERE name = 'read' AND value < $1
        AND $1 <= (SELECT value FROM mailtier.counters WHERE name = 'change')
"""
"""Notes up to where the feed was read; a number that was not given yet comes from another database."""


async def advance(session: connections.DatabaseSession, count: int) -> Sequence[int]:
    """Return the numbers of so many changes; the last thing to be locked in a transaction.

    They are never given twice, also when the item that one names is removed.
    """
    if not count:
        return ()
    last = await session.fetchval(_ADVANCE, count)
    return range(last - count + 1, last + 1)


async def current(session: connections.DatabaseSession) -> int:
    """Return the number of the last change."""
    return int(await session.fetchval("SELECT value FROM mailtier.counters WHERE name = 'change'"))


async def read_feed(session: connections.DatabaseSession, *, after: int, limit: int) -> feed.Feed:
    """Return the latest state of what changed after a cursor, oldest change first.

    A cursor beyond the last change comes from a database that is gone; it is answered like 0, or whoever holds it
    would not hear of anything until the new one's numbers reach it.
    """
    last = await current(session)
    if after > last:
        after = 0
    sources = (await _notifications(session, after, limit), await _probes(session, after, limit))
    changed = list(heapq.merge(*sources, key=operator.itemgetter(0)))
    if len(changed) > limit:
        changed = changed[:limit]
        last, _ = changed[-1]
    return feed.Feed(cursor=last, items=tuple(item for _, item in changed))


async def store_probe(session: connections.DatabaseSession, probe: feed.Probe) -> None:
    """Store the latest result for a probe key; it is news in the feed unless only its time is new."""
    row = await session.fetchrow("SELECT body, change FROM mailtier.probes WHERE key = $1 FOR UPDATE", probe.key)
    if row is not None and _same_finding(feed.Probe.model_validate_json(row[0]), probe):
        change = row[1]
    else:
        (change,) = await advance(session, 1)
    await session.execute(
        "INSERT INTO mailtier.probes (key, body, probed_at, change) VALUES ($1, $2, $3, $4) "
        "ON CONFLICT (key) DO UPDATE SET body = EXCLUDED.body, probed_at = EXCLUDED.probed_at, "
        "change = EXCLUDED.change",
        probe.key,
        probe.model_dump_json(),
        values.to_micros(probe.probed_at),
        change,
    )


def to_probes(rows: Sequence[Sequence[str]]) -> Sequence[feed.Probe]:
    """Return the latest result of every probe key."""
    return tuple(feed.Probe.model_validate_json(body) for (body,) in rows)


def _same_finding(one: feed.Probe, other: feed.Probe) -> bool:
    return one.model_copy(update={"probed_at": other.probed_at}) == other


async def _notifications(session: connections.DatabaseSession, after: int, limit: int) -> Sequence[_Change]:
    # One more than fits tells that there is more.
    rows = await session.fetch(_CHANGED, after, limit + 1)
    recipients = await records.recipients_of(session, [number for _, number, *_ in rows])
    return [
        (
            change,
            feed.Taken(
                id=id_,
                namespace=namespace,
                namespace_uid=uid,
                name=name,
                object_uid=object_uid,
                spec_hash=spec_hash,
                accepted_at=values.from_micros(accepted_at),
                complete=not unfinished,
                recipients=recipients.get(number, ()),
                totals=values.to_totals(*totals),
            ),
        )
        for change, number, id_, namespace, uid, name, object_uid, spec_hash, accepted_at, unfinished, *totals in rows
    ]


async def _probes(session: connections.DatabaseSession, after: int, limit: int) -> Sequence[_Change]:
    rows = await session.fetch(
        "SELECT change, body FROM mailtier.probes WHERE change > $1 ORDER BY change LIMIT $2", after, limit + 1
    )
    return [(change, feed.Probe.model_validate_json(body)) for change, body in rows]
