"""Addresses that servers refused as unknown, as `queueing.suppressions` has it."""

import datetime as dt
from collections.abc import Sequence
from typing import Final

from mailtier.api import vocabulary
from mailtier.sender import ports
from mailtier.sender.between import filing
from mailtier.sender.queueing import suppressions
from mailtier.sender.storage import values
from mailtier.sender.storage.postgres.database import connections

JOIN: Final = f"""
    LEFT JOIN mailtier.suppressions x ON x.namespace_uid = n.namespace_uid AND x.organization = n.organization
        AND x.address = lower(r.address COLLATE "C") AND x.refusals >= {suppressions.REFUSALS}
"""
"""Finds until when nothing is sent to a recipient `r` of a notification `n`: `x.until`; `lower` in "C" is ASCII's."""

_REFUSED: Final = """
    SELECT r.number, n.namespace_uid, n.organization, r.address, n.category, n.number
    FROM mailtier.recipients r JOIN mailtier.notifications n ON n.number = r.notification
    WHERE r.number = ANY ($1::bigint[])
"""
_KNOWN: Final = """
    SELECT refusals, notification, refused_at, until FROM mailtier.suppressions
    WHERE namespace_uid = $1 AND organization = $2 AND address = $3 FOR NO KEY UPDATE
"""
_STORE: Final = """
    INSERT INTO mailtier.suppressions
        (namespace_uid, organization, address, refusals, notification, refused_at, until)
    VALUES ($1, $2, $3, $4, $5, $6, $7)
    ON CONFLICT (namespace_uid, organization, address) DO UPDATE SET refusals = EXCLUDED.refusals,
        notification = EXCLUDED.notification, refused_at = EXCLUDED.refused_at, until = EXCLUDED.until
"""
_FORGET_OLDEST: Final = """
    DELETE FROM mailtier.suppressions WHERE (namespace_uid, organization, address) IN (
        SELECT namespace_uid, organization, address FROM mailtier.suppressions WHERE namespace_uid = $1
        ORDER BY refused_at DESC OFFSET $2
    )
"""
_PAGE: Final = """
    SELECT organization, address, refused_at, until FROM mailtier.suppressions
    WHERE namespace_uid = $1 AND (organization, address) > ($2, $3) AND refusals >= $4 AND until > $5
    ORDER BY organization, address LIMIT $6
"""
_CLEAR: Final = """
    WITH cleared AS (
        DELETE FROM mailtier.suppressions WHERE namespace_uid = $1 AND ($2::text IS NULL OR organization = $2)
            AND ($3::text[] IS NULL OR address = ANY ($3)) RETURNING 1
    )
    SELECT count(*) FROM cleared
"""
COUNT: Final = "SELECT count(*) FROM mailtier.suppressions WHERE refusals >= $1 AND until > $2"
SWEEP: Final = "DELETE FROM mailtier.suppressions WHERE until <= $1"


async def note(session: connections.DatabaseSession, outcomes: Sequence[ports.Outcome]) -> None:
    """Count the refusals among outcomes that are being stored, and forget the oldest where there are too many."""
    # Nearly none of them: what was accepted costs no statement.
    failed = {each.recipient_number: each for each in outcomes if each.failure is not None and each.due_at is None}
    if not failed:
        return
    charged: set[str] = set()
    for number, uid, organization, address, category, notification in await session.fetch(_REFUSED, list(failed)):
        outcome = failed[number]
        if suppressions.is_refusal(outcome, vocabulary.Category(category)):
            key = (uid, organization, suppressions.normalized(address))
            known = suppressions.after(
                values.to_refused_address(await session.fetchrow(_KNOWN, *key)),
                notification=notification,
                at=outcome.at,
            )
            await session.execute(
                _STORE,
                *key,
                known.refusals,
                known.notification,
                values.to_micros(known.refused_at),
                values.to_micros(known.until),
            )
            charged.add(uid)
    for uid in charged:
        await session.execute(_FORGET_OLDEST, uid, suppressions.MOST)


async def read_page(
    session: connections.DatabaseSession,
    *,
    namespace_uid: str,
    now: dt.datetime,
    after: filing.SuppressionKey,
    limit: int,
) -> filing.SuppressionPage:
    """Return a part of a list; see `filing.FilingQueue`."""
    found = await session.fetch(_PAGE, namespace_uid, *after, suppressions.REFUSALS, values.to_micros(now), limit + 1)
    return values.to_suppression_page(found, limit)


async def clear(
    session: connections.DatabaseSession,
    *,
    namespace_uid: str,
    organization: str | None,
    addresses: Sequence[str] | None,
) -> int:
    """Forget refusals; return of how many addresses. See `filing.FilingQueue`."""
    wanted = None if addresses is None else [suppressions.normalized(address) for address in addresses]
    return int(await session.fetchval(_CLEAR, namespace_uid, organization, wanted))
