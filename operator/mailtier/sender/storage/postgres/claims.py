"""Claiming: what is due of backlogs, read with all that its messages are built from."""

import dataclasses
import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Final

from mailtier.sender import ports
from mailtier.sender.queueing import choosing
from mailtier.sender.storage import values
from mailtier.sender.storage.postgres import backlogs
from mailtier.sender.storage.postgres.database import connections
from mailtier.sender.storage.postgres.outcomes import suppressions

# Each state by the index, already in order; what is not wanted is not looked at.
_OF_STATE: Final = """
    (SELECT r.number, r.due_at FROM mailtier.recipients r
     WHERE w.states & {bit} > 0 AND r.backlog = w.backlog AND r.state = '{state}' AND r.due_at IS NOT NULL
         AND r.due_at >= w.since
     ORDER BY r.due_at, r.number LIMIT w.limited)
"""
_BITS: Final = {"queued": 1, "deferred": 2, "in doubt": 4, "held": 8}
_DUE: Final = f"""
    SELECT w.place, d.number, d.due_at
    FROM unnest($1::integer[], $2::bigint[], $3::integer[], $4::bigint[], $5::bigint[])
        AS w (place, backlog, states, limited, since)
    CROSS JOIN LATERAL (
        SELECT number, due_at FROM (
            {" UNION ALL ".join(_OF_STATE.format(bit=bit, state=state) for state, bit in _BITS.items())}
        ) s ORDER BY due_at, number LIMIT w.limited
    ) d
    ORDER BY w.place, d.due_at, d.number
"""  # noqa: S608  # States of ours.
_JOBS: Final = f"""
    SELECT r.number, r.state, r.due_at, n.id, n.namespace_uid, n.namespace, n.organization, n.category, n.severity,
           n.locale, r.address, n.number, n.payload_bytes,
           CASE WHEN row_number() OVER (PARTITION BY n.number ORDER BY w.place) = 1 THEN n.body END,
           n.accepted_at, n.expires_at, r.attempts, r.doubts, s.settings, x.until, r.id_domain, r.id_number
    FROM unnest($1::bigint[]) WITH ORDINALITY AS w (number, place)
    JOIN mailtier.recipients r ON r.number = w.number
    JOIN mailtier.notifications n ON n.number = r.notification
    LEFT JOIN mailtier.snapshots s ON s.number = r.snapshot
    {suppressions.JOIN}
    WHERE r.due_at IS NOT NULL
    ORDER BY w.place
"""  # noqa: S608  # A part of a statement.
# What a notification says comes once, with the first of its recipients.

_WEIGHTS: Final = """
    SELECT r.number, n.payload_bytes FROM unnest($1::bigint[]) AS w (number)
    JOIN mailtier.recipients r ON r.number = w.number JOIN mailtier.notifications n ON n.number = r.notification
"""
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
_HASTEN: Final = """
    UPDATE mailtier.recipients SET due_at = $4 WHERE number IN (
        SELECT r.number FROM mailtier.backlogs b JOIN mailtier.recipients r ON r.backlog = b.number
        WHERE b.namespace_uid = $1 AND b.namespace = $2 AND b.organization = $3
            AND r.state = 'deferred' AND r.due_at > $4
        ORDER BY r.number LIMIT $5 FOR UPDATE OF r
    ) RETURNING number
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
    of_others = rows.keys() - numbers.keys()
    choices = [values.to_choice(demand, claimed(demand.backlog)) for demand in demands]
    wanted = [choice for choice in choices if choice.demand.backlog in numbers]
    await _look(session, wanted, numbers, [0] * len(wanted))
    if beyond := [(choice, choice.beyond) for choice in wanted if choice.beyond is not None]:
        await _look(session, [choice for choice, _ in beyond], numbers, [since for _, since in beyond])
    heavy = choosing.to_weigh(wanted)
    weights = {number: weight for number, weight in await session.fetch(_WEIGHTS, heavy)} if heavy else {}  # noqa: C416  # Rows.
    chosen = {number: choice for choice in wanted for number in choice.fitting(weights)}
    for part in choosing.parts(chosen, weights):
        for job in await _read(session, part):
            chosen[job.pending.recipient_number].offer(job)
    claims = values.to_claims(choices)
    again = dict.fromkeys(of_others, again_at)
    return dataclasses.replace(claims, next_due={**claims.next_due, **again}), list(of_others)


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


async def backlogs_of(session: connections.DatabaseSession, *, numbers: Sequence[int]) -> Sequence[ports.BacklogKey]:
    """Return the backlogs that recipients are in."""
    return [values.to_key(*key) for key in await session.fetch(_OF_THESE, numbers)]


async def claim_these(
    session: connections.DatabaseSession, *, owner: int, numbers: Sequence[int]
) -> Sequence[ports.Pending]:
    """Return those of some recipients that have no final state, and are in backlogs of an owner."""
    return [values.to_pending(row) for row in await session.fetch(_THESE, numbers, owner)]


async def hasten(session: connections.DatabaseSession, *, lane: ports.LaneKey, now: dt.datetime, limit: int) -> int:
    """Have deferred recipients of a lane be due now, so many at once; return how many there were."""
    whose = lane.namespace_uid, lane.namespace, lane.organization
    return len(await session.fetch(_HASTEN, *whose, values.to_micros(now), limit))


async def _look(
    session: connections.DatabaseSession,
    choices: Sequence[choosing.BacklogChoice],
    numbers: Mapping[ports.BacklogKey, int],
    since: Sequence[int],
) -> None:
    """Choose recipients of backlogs, by their numbers, that are due from a time on."""
    due: list[list[choosing.DueRecipient]] = [[] for _ in choices]
    for place, number, due_at in await session.fetch(
        _DUE,
        list(range(len(choices))),
        [numbers[choice.demand.backlog] for choice in choices],
        [sum(_BITS[state.value] for state in choice.demand.states) for choice in choices],
        [choice.rows for choice in choices],
        since,
    ):
        due[place].append((number, due_at))
    for choice, found in zip(choices, due, strict=True):
        choice.look(found)


async def _read(session: connections.DatabaseSession, numbers: Sequence[int]) -> Sequence[ports.Claimed]:
    return list(values.to_claimed(await session.fetch(_JOBS, numbers)))
