"""The numbers of backlogs, held while something is put into them."""

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from mailtier.sender import ports
from mailtier.sender.storage import values
from mailtier.sender.storage.postgres.database import connections

# In one order, so that two who hold several do not wait for one another. Who removes an empty one waits for these.
_LOCK: Final = """
    SELECT number, namespace_uid, namespace, organization, category FROM mailtier.backlogs
    WHERE (namespace_uid, namespace, organization, category) IN (
        SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[])
    )
    ORDER BY number FOR KEY SHARE
"""
_FIND: Final = _LOCK.replace("ORDER BY number FOR KEY SHARE", "").replace("category FROM", "category, owner FROM")
_ADD: Final = """
    INSERT INTO mailtier.backlogs (namespace_uid, namespace, organization, category)
    SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) ON CONFLICT DO NOTHING
"""
_ALL: Final = """
    SELECT b.namespace_uid, b.namespace, b.organization, b.category, min(d.first), max(d.last)
    FROM mailtier.backlogs b
    CROSS JOIN unnest(ARRAY['queued', 'deferred', 'in doubt', 'held']) s (state)
    CROSS JOIN LATERAL (
        SELECT min(due_at) AS first, max(due_at) AS last FROM mailtier.recipients r
        WHERE r.backlog = b.number AND r.state = s.state AND r.due_at IS NOT NULL
    ) d
    WHERE d.first IS NOT NULL
    GROUP BY b.number
"""


async def lock(session: connections.DatabaseSession, keys: Iterable[ports.BacklogKey]) -> dict[ports.BacklogKey, int]:
    """Return the numbers of backlogs, which are made where they are missing; none is removed in this transaction."""
    wanted = sorted(set(keys))
    of_wanted = columns(wanted)
    found = _numbers(await session.fetch(_LOCK, *of_wanted))
    while len(found) < len(wanted):
        # Those that others make at the same time are seen by the next look.
        await session.execute(_ADD, *columns([key for key in wanted if key not in found]))
        found = _numbers(await session.fetch(_LOCK, *of_wanted))
    return found


async def find(
    session: connections.DatabaseSession, keys: Iterable[ports.BacklogKey]
) -> dict[ports.BacklogKey, tuple[int, int | None]]:
    """Return the numbers of those backlogs that there are, and of their owners; None for nobody."""
    rows = await session.fetch(_FIND, *columns(list(keys)))
    return {values.to_key(*key): (number, owner) for number, *key, owner in rows}


async def read_all(
    session: connections.DatabaseSession, *, due_from: ports.DueFrom | None
) -> Mapping[ports.BacklogKey, dt.datetime]:
    """Return every backlog that has a recipient without a final state, and when that is due which is claimed first."""
    return dict(
        values.to_first_due(values.to_key(*key), first, last, due_from)
        for *key, first, last in await session.fetch(_ALL)
    )


def columns(keys: Sequence[ports.BacklogKey]) -> tuple[list[str], ...]:
    """Return what names backlogs, column by column."""
    return (
        [key.lane.namespace_uid for key in keys],
        [key.lane.namespace for key in keys],
        [key.lane.organization for key in keys],
        [key.category.value for key in keys],
    )


def _numbers(rows: Sequence[Sequence[Any]]) -> dict[ports.BacklogKey, int]:
    return {values.to_key(*key): number for number, *key in rows}
