"""Claiming: what is due of backlogs, read with all that its messages are built from."""

import datetime as dt
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from typing import Final

from mailtier.sender import ports
from mailtier.sender.storage import claim_book, values
from mailtier.sender.storage.postgres import backlogs
from mailtier.sender.storage.postgres.database import connections
from mailtier.sender.storage.postgres.outcomes import suppressions

# Each state by the index, already in order; what is not wanted is not looked at.
_OF_STATE: Final = """
    (SELECT r.number, r.due_at FROM mailtier.recipients r
     WHERE w.states & {bit} > 0 AND r.backlog = w.backlog AND r.state = '{state}' AND r.due_at IS NOT NULL
     ORDER BY r.due_at, r.number LIMIT w.limited)
"""
_BITS: Final = {"queued": 1, "deferred": 2, "in doubt": 4, "held": 8}
_DUE: Final = f"""
    SELECT w.place, d.number, d.due_at
    FROM unnest($1::integer[], $2::bigint[], $3::integer[], $4::bigint[]) AS w (place, backlog, states, limited)
    CROSS JOIN LATERAL (
        SELECT number, due_at FROM (
            {" UNION ALL ".join(_OF_STATE.format(bit=bit, state=state) for state, bit in _BITS.items())}
        ) s ORDER BY due_at, number LIMIT w.limited
    ) d
    ORDER BY w.place, d.due_at, d.number
"""  # noqa: S608  # States of ours.
_JOBS: Final = f"""
    SELECT r.number, r.state, r.due_at, n.id, n.namespace_uid, n.namespace, n.organization, n.category, n.severity,
           n.locale, r.address, n.number, n.payload_bytes, n.body, n.accepted_at, n.expires_at, r.attempts, r.doubts,
           s.settings, x.until, r.id_domain, r.id_number
    FROM unnest($1::bigint[]) WITH ORDINALITY AS w (number, place)
    JOIN mailtier.recipients r ON r.number = w.number
    JOIN mailtier.notifications n ON n.number = r.notification
    LEFT JOIN mailtier.snapshots s ON s.number = r.snapshot
    {suppressions.JOIN}
    WHERE r.due_at IS NOT NULL
    ORDER BY w.place
"""  # noqa: S608  # A part of a statement.
_PENDING: Final = """
    SELECT r.number, n.namespace_uid, n.namespace, n.organization, n.category, r.state, r.due_at, n.expires_at,
           r.attempts
"""
_EXPIRED: Final = f"""
    {_PENDING}
    FROM mailtier.notifications n
    JOIN mailtier.recipients r ON r.notification = n.number
    JOIN mailtier.backlogs b ON b.number = r.backlog
    WHERE n.unfinished > 0 AND n.expires_at <= $1 AND r.due_at IS NOT NULL AND b.owner = $3
    ORDER BY n.expires_at, r.number LIMIT $2
"""  # Columns of ours.
_EXPIRED_OF_NOBODY: Final = """
    SELECT DISTINCT b.namespace_uid, b.namespace, b.organization, b.category
    FROM mailtier.notifications n
    JOIN mailtier.recipients r ON r.notification = n.number
    JOIN mailtier.backlogs b ON b.number = r.backlog
    WHERE n.unfinished > 0 AND n.expires_at <= $1 AND r.due_at IS NOT NULL AND b.owner IS NULL
"""
_NEXT_EXPIRY: Final = "SELECT min(expires_at) FROM mailtier.notifications WHERE unfinished > 0"
_THESE: Final = f"""
    {_PENDING}
    FROM mailtier.recipients r
    JOIN mailtier.notifications n ON n.number = r.notification
    JOIN mailtier.backlogs b ON b.number = r.backlog
    WHERE r.number = ANY ($1::bigint[]) AND r.due_at IS NOT NULL AND b.owner = $2 ORDER BY r.number
"""  # As above.
_OF_THESE: Final = """
    SELECT DISTINCT b.namespace_uid, b.namespace, b.organization, b.category
    FROM mailtier.recipients r JOIN mailtier.backlogs b ON b.number = r.backlog WHERE r.number = ANY ($1::bigint[])
"""


async def claim(
    session: connections.DatabaseSession,
    demands: Sequence[ports.Demand],
    *,
    owner: int,
    claimed: Callable[[ports.BacklogKey], AbstractSet[int]],
    again_at: dt.datetime,
) -> tuple[ports.Claims, Sequence[ports.BacklogKey]]:
    """Return what is there of each demand, without what is claimed already, and which backlogs have other owners.

    Args:
        session: Whose statements see one state of the database.
        demands: What is wanted.
        owner: Whose backlogs are claimed from.
        claimed: Returns the recipients of a backlog that are claimed.
        again_at: When it may be asked again for what somebody else owns.
    """
    rows = await backlogs.find(session, [demand.backlog for demand in demands])
    numbers = {key: number for key, (number, owned_by) in rows.items() if owned_by == owner}
    wanted = [demand for demand in demands if demand.backlog in numbers]
    taken = [claimed(demand.backlog) for demand in wanted]
    # One more than could be chosen tells what is left.
    due: list[list[tuple[int, int]]] = [[] for _ in wanted]
    for place, number, due_at in await session.fetch(
        _DUE,
        list(range(len(wanted))),
        [numbers[demand.backlog] for demand in wanted],
        [sum(_BITS[state.value] for state in demand.states) for demand in wanted],
        [demand.limit + len(own) + 1 for demand, own in zip(wanted, taken, strict=True)],
    ):
        if number not in taken[place]:
            due[place].append((number, due_at))
    chosen = [_choose(demand, found) for demand, found in zip(wanted, due, strict=True)]
    jobs = iter(await _read(session, [number for part, _ in chosen for number, _ in part]))
    found: list[ports.Claimed] = []
    of_others = rows.keys() - numbers.keys()
    next_due = {demand.backlog: again_at if demand.backlog in of_others else None for demand in demands}
    for demand, (part, left) in zip(wanted, chosen, strict=True):
        own = [next(jobs) for _ in part]
        fitting = list(claim_book.within(own, demand.limit_bytes))
        found += fitting
        # What did not fit is due before what was not chosen.
        first = part[len(fitting)][1] if len(fitting) < len(part) else left
        next_due[demand.backlog] = None if first is None else values.from_micros(first)
    return ports.Claims(claimed=found, next_due=next_due), list(of_others)


async def expired_of_nobody(session: connections.DatabaseSession, *, now: dt.datetime) -> Sequence[ports.BacklogKey]:
    """Return the backlogs without an owner in which recipients have reached their max age."""
    return [values.to_key(*key) for key in await session.fetch(_EXPIRED_OF_NOBODY, values.to_micros(now))]


async def claim_expired(
    session: connections.DatabaseSession, *, owner: int, now: dt.datetime, limit: int, claimed: AbstractSet[int]
) -> tuple[Sequence[ports.Pending], dt.datetime | None]:
    """Return recipients whose max age is reached, without what is claimed already, and when the next one's is."""
    rows = await session.fetch(_EXPIRED, values.to_micros(now), limit + len(claimed), owner)
    found = [values.to_pending(row) for row in rows if row[0] not in claimed][:limit]
    next_at = await session.fetchval(_NEXT_EXPIRY)
    return found, None if next_at is None else values.from_micros(next_at)


async def backlogs_of(session: connections.DatabaseSession, *, recipients: Sequence[int]) -> Sequence[ports.BacklogKey]:
    """Return the backlogs that recipients are in."""
    return [values.to_key(*key) for key in await session.fetch(_OF_THESE, recipients)]


async def claim_these(
    session: connections.DatabaseSession, *, owner: int, recipients: Sequence[int]
) -> Sequence[ports.Pending]:
    """Return those of some recipients that have no final state, and are in backlogs of an owner."""
    return [values.to_pending(row) for row in await session.fetch(_THESE, recipients, owner)]


def _choose(demand: ports.Demand, due: Sequence[tuple[int, int]]) -> tuple[Sequence[tuple[int, int]], int | None]:
    """Return the recipients to claim, and when the first of what is left is due; None if nothing is."""
    latest = float("inf") if demand.due_by is None else values.to_micros(demand.due_by)
    due_from = float("inf") if demand.due_from is None else values.to_micros(demand.due_from)
    chosen: list[tuple[int, int]] = []
    for number, due_at in due:
        if len(chosen) == demand.limit or latest < due_at < due_from:
            return chosen, due_at
        chosen.append((number, due_at))
    return chosen, None


async def _read(session: connections.DatabaseSession, recipients: Sequence[int]) -> Sequence[ports.Claimed]:
    return list(values.to_claimed(await session.fetch(_JOBS, recipients))) if recipients else ()
