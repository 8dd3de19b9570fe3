"""Sending again what failed, and dropping what is kept of it."""

import dataclasses
import datetime as dt
from typing import Final

from mailtier.api import vocabulary
from mailtier.mail import states
from mailtier.sender import ports
from mailtier.sender.between import filing
from mailtier.sender.queueing import quotas
from mailtier.sender.storage import values
from mailtier.sender.storage.postgres import backlogs, changes, usage
from mailtier.sender.storage.postgres.database import connections
from mailtier.sender.storage.postgres.failed import kept


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _LockedNotification:
    """A notification's row, as far as it is asked for here; nobody else changes it in this transaction."""

    number: int
    lane: ports.LaneKey
    category: vocabulary.Category
    unfinished: int
    payload_bytes: int
    is_kept: bool
    from_object: bool


_LOCK: Final = """
    SELECT number, namespace, organization, category, unfinished, payload_bytes, payload_until IS NOT NULL,
        object_name IS NOT NULL
    FROM mailtier.notifications WHERE id = $1 AND namespace_uid = $2 FOR NO KEY UPDATE
"""
_AGAIN: Final = """
    UPDATE mailtier.recipients r SET state = u.state, due_at = $3, backlog = $4, attempts = 0, doubts = 0, reason = '',
        message = '', changed_at = $3
    FROM unnest($1::bigint[], $2::text[]) AS u (number, state) WHERE r.number = u.number
"""
_UNDER_WAY: Final = """
    UPDATE mailtier.notifications SET unfinished = unfinished + $2, failed = 0, expires_at = $3, keep_until = NULL,
        change = coalesce($4, change)
    WHERE number = $1
"""


async def retry(
    session: connections.DatabaseSession,
    *,
    namespace_uid: str,
    id_: str,
    at: dt.datetime,
    expires_at: dt.datetime,
    quota: ports.QueueQuota,
) -> tuple[ports.Pending, ...]:
    """Queue what failed of a notification anew, in a transaction; see `filing.FilingQueue`."""
    # The namespace's row first, as whoever takes in for it does.
    used = (await usage.lock(session, {namespace_uid}))[namespace_uid]
    stored = await _lock(session, namespace_uid, id_)
    if stored is None:
        raise LookupError("there is no such notification")
    failed = await session.fetch(
        "SELECT number, state FROM mailtier.recipients WHERE notification = $1 AND due_at IS NULL ORDER BY number",
        stored.number,
    )
    again = {
        number: states.retried(state)
        for number, state in ((number, vocabulary.RecipientState(state)) for number, state in failed)
        if state in states.FAILURES
    }
    if not again:
        raise filing.nothing_failed(stored.lane, unfinished=stored.unfinished)
    if not stored.unfinished and not stored.is_kept:
        raise filing.NotRetryableError(
            "its text is wiped: seven days are over, its namespace's share of the volume was used up, somebody dropped"
            " it, or it is a password recovery; hand it over as a new notification"
        )
    charged = quotas.charge_again(
        used,
        len(again),
        namespace=stored.lane.namespace,
        payload_bytes=0 if stored.unfinished else stored.payload_bytes,
        quota=quota,
    )
    key = ports.BacklogKey(lane=stored.lane, category=stored.category)
    locked = await backlogs.lock(session, [key])
    micros = values.to_micros(at)
    await session.execute(_AGAIN, list(again), [state.value for state in again.values()], micros, locked[key])
    await usage.write(session, {namespace_uid: charged})
    (change,) = await changes.advance(session, 1) if stored.from_object else (None,)
    await session.execute(_UNDER_WAY, stored.number, len(again), values.to_micros(expires_at), change)
    return tuple(
        ports.Pending(
            recipient_number=number,
            lane=stored.lane,
            category=stored.category,
            state=states.INITIAL,
            due_at=at,
            expires_at=expires_at,
            attempts=0,
        )
        for number in again
    )


async def drop(session: connections.DatabaseSession, *, namespace_uid: str, id_: str) -> None:
    """Wipe what is kept of a notification that has ended; see `filing.FilingQueue`."""
    stored = await _lock(session, namespace_uid, id_)
    if stored is not None and stored.is_kept and not stored.unfinished:
        payload = kept.HeldPayload(
            notification=stored.number, namespace_uid=namespace_uid, size_bytes=stored.payload_bytes
        )
        await kept.wipe_and_count(session, [payload])


async def _lock(session: connections.DatabaseSession, namespace_uid: str, id_: str) -> _LockedNotification | None:
    row = await session.fetchrow(_LOCK, id_, namespace_uid)
    if row is None:
        return None
    number, namespace, organization, category, unfinished, payload_bytes, is_kept, from_object = row
    return _LockedNotification(
        number=number,
        lane=ports.LaneKey(namespace_uid=namespace_uid, namespace=namespace, organization=organization),
        category=vocabulary.Category(category),
        unfinished=unfinished,
        payload_bytes=payload_bytes,
        is_kept=is_kept,
        from_object=from_object,
    )
