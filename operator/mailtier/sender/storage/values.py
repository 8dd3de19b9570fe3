"""How values stand in columns, and how rows become values, whichever database the rows come from."""

import datetime as dt
import functools
from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, Final

from mailtier.api import feed, vocabulary
from mailtier.mail import states
from mailtier.sender import ports
from mailtier.sender.between import filing, queued
from mailtier.sender.queueing import choosing, payloads, suppressions

_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MICROSECOND: Final = dt.timedelta(microseconds=1)
_KNOWN_KEYS: Final = 4_096


def to_micros(at: dt.datetime) -> int:
    """Return an aware time as microseconds since 1970, exactly."""
    return (at - _EPOCH) // _MICROSECOND


def from_micros(micros: int) -> dt.datetime:
    """Return the aware UTC time that many microseconds after 1970."""
    return _EPOCH + micros * _MICROSECOND


@functools.lru_cache(maxsize=_KNOWN_KEYS)
def to_key(uid: str, namespace: str, organization: str, category: str) -> ports.BacklogKey:
    """Return which backlog columns name: one object for all who have it, by which it is found in maps sooner."""
    lane = ports.LaneKey(namespace_uid=uid, namespace=namespace, organization=organization)
    return ports.BacklogKey(lane=lane, category=vocabulary.Category(category))


def to_choice(demand: ports.Demand, claimed: AbstractSet[int]) -> choosing.BacklogChoice:
    """Return the choice for a demand, by times as they stand in columns."""
    return choosing.BacklogChoice(
        demand,
        claimed,
        due_by=None if demand.due_by is None else to_micros(demand.due_by),
        due_from=None if demand.due_from is None else to_micros(demand.due_from),
    )


def to_first_due(
    key: ports.BacklogKey, first: int, last: int, due_from: ports.DueFrom | None
) -> tuple[ports.BacklogKey, dt.datetime]:
    """Return a backlog, and when that of it is due which is claimed first."""
    beyond = None if due_from is None else to_micros(due_from[key.category])
    return key, from_micros(choosing.first_due(first, last, beyond))


def to_claims(choices: Iterable[choosing.BacklogChoice]) -> ports.Claims:
    """Return what was chosen."""
    claimed: list[ports.Claimed] = []
    next_due: dict[ports.BacklogKey, dt.datetime | None] = {}
    for choice in choices:
        claimed += choice.taken
        at = choice.next_due
        next_due[choice.demand.backlog] = None if at is None else from_micros(at)
    return ports.Claims(claimed=claimed, next_due=next_due)


def to_pending(row: Sequence[Any]) -> ports.Pending:
    """Return a recipient without a final state as a value."""
    number, uid, namespace, organization, category, state, due_at, expires_at, attempts = row
    return ports.Pending(
        recipient_number=number,
        lane=ports.LaneKey(namespace_uid=uid, namespace=namespace, organization=organization),
        category=vocabulary.Category(category),
        state=vocabulary.RecipientState(state),
        due_at=from_micros(due_at),
        expires_at=from_micros(expires_at),
        attempts=attempts,
    )


def to_queued(row: Sequence[Any]) -> queued.QueuedCount:
    """Return how much of a backlog is in one state: its columns, the state, how many, and when the first came."""
    *key, state, recipients, oldest_at = row
    return queued.QueuedCount(
        backlog=to_key(*key),
        state=vocabulary.RecipientState(state),
        recipients=recipients,
        oldest_at=from_micros(oldest_at),
    )


def to_claimed(rows: Iterable[Sequence[Any]]) -> Iterator[ports.Claimed]:
    """Yield recipients with all that their messages are built from, in the order of the rows."""
    bodies: dict[int, payloads.Payload] = {}
    for row in rows:
        number, state, due_at, id_, uid, namespace, organization, category, severity, locale, address, *rest = row
        (
            notification,
            payload_bytes,
            body,
            accepted_at,
            expires_at,
            attempts,
            doubts,
            settings,
            suppressed,
            id_domain,
            id_number,
        ) = rest
        # Recipients of one notification share what it says.
        if (payload := bodies.get(notification)) is None:
            payload = bodies[notification] = payloads.decode(body)
        key = to_key(uid, namespace, organization, category)
        pending = ports.Pending(
            recipient_number=number,
            lane=key.lane,
            category=key.category,
            state=vocabulary.RecipientState(state),
            due_at=from_micros(due_at),
            expires_at=from_micros(expires_at),
            attempts=attempts,
        )
        job = ports.Job(
            recipient_number=number,
            notification_id=id_,
            lane=key.lane,
            category=key.category,
            severity=vocabulary.Severity(severity),
            locale=vocabulary.Locale(locale),
            rcpt_to=address,
            subject=payload["subject"],
            text=payload["text"],
            data=payload["data"],
            accepted_at=from_micros(accepted_at),
            expires_at=pending.expires_at,
            attempts=attempts,
            doubts=doubts,
            snapshot=None if settings is None else ports.Snapshot(settings=settings),
            id_domain=id_domain,
            id_number=id_number,
        )
        yield ports.Claimed(
            pending=pending,
            job=job,
            payload_bytes=payload_bytes,
            suppressed_until=None if suppressed is None else from_micros(suppressed),
        )


def to_totals(accepted: int | None, recipients: int | None) -> feed.Tally | None:
    """Return what is left of recipients that were forgotten; None while they are there."""
    return None if accepted is None or recipients is None else feed.Tally(accepted=accepted, recipients=recipients)


def to_recipient(row: Sequence[Any]) -> feed.Recipient:
    """Return where a recipient stands."""
    address, state_text, reason, message, attempts, changed_at, due_at, *failure = row
    state = vocabulary.RecipientState(state_text)
    return feed.Recipient(
        address=address,
        state=state,
        reason=reason,
        message=message,
        attempts=attempts,
        changed_at=from_micros(changed_at),
        last_failure=_to_failure(*failure),
        next_attempt_at=from_micros(due_at) if state in states.TIMED else None,
    )


def _to_failure(
    scope: str | None, phase: str | None, code: int | None, enhanced: str | None
) -> feed.LastFailure | None:
    if scope is None or phase is None:
        return None
    return feed.LastFailure(scope=scope, phase=phase, code=code, enhanced=enhanced)


def to_refused_address(row: Sequence[Any] | None) -> suppressions.RefusedAddress | None:
    """Return what is known of refusals of an address; None for nothing."""
    if row is None:
        return None
    refusals, notification, refused_at, until = row
    return suppressions.RefusedAddress(
        refusals=refusals,
        notification=notification,
        refused_at=from_micros(refused_at),
        until=from_micros(until),
    )


def to_suppression_page(rows: Sequence[Sequence[Any]], limit: int) -> filing.SuppressionPage:
    """Return a part of a list of suppressed addresses, of which one more was read than it holds."""
    listed = tuple(
        filing.Suppression(
            organization=organization,
            address=address,
            refused_at=from_micros(refused_at),
            until=from_micros(until),
        )
        for organization, address, refused_at, until in rows[:limit]
    )
    last = (listed[-1].organization, listed[-1].address) if len(rows) > limit else None
    return filing.SuppressionPage(suppressions=listed, following=last)
