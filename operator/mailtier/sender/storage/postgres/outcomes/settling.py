"""Storing what became of recipients, and wiping payloads once nobody needs them, as `queueing.settlements` has it."""

import collections
import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from mailtier.sender.queueing import quotas, settlements
from mailtier.sender.storage import reporting, values
from mailtier.sender.storage.postgres import changes, usage
from mailtier.sender.storage.postgres.database import connections
from mailtier.sender.storage.postgres.outcomes import suppressions

# Notifications first, in the order of their numbers: whoever else changes them or their recipients does the same.
_LOCK: Final = """
    SELECT number, category, unfinished, failed, payload_bytes, namespace_uid, object_name IS NOT NULL
    FROM mailtier.notifications
    WHERE number IN (SELECT notification FROM mailtier.recipients WHERE number = ANY ($1::bigint[]))
    ORDER BY number FOR NO KEY UPDATE
"""
_STATES: Final = "SELECT number, notification, state FROM mailtier.recipients WHERE number = ANY ($1::bigint[])"
_RECIPIENTS: Final = """
    UPDATE mailtier.recipients r
    SET state = u.state, due_at = u.due_at, attempts = r.attempts + u.attempts, doubts = r.doubts + u.doubts,
        reason = u.reason, changed_at = u.changed_at,
        message = u.message || CASE WHEN r.message = '' THEN '' ELSE coalesce(u.joint || r.message, '') END,
        snapshot = CASE WHEN u.due_at IS NULL THEN NULL ELSE coalesce(u.snapshot, r.snapshot) END,
        failure_scope = CASE WHEN u.scope IS NULL THEN r.failure_scope ELSE u.scope END,
        failure_phase = CASE WHEN u.scope IS NULL THEN r.failure_phase ELSE u.phase END,
        failure_code = CASE WHEN u.scope IS NULL THEN r.failure_code ELSE u.code END,
        failure_enhanced = CASE WHEN u.scope IS NULL THEN r.failure_enhanced ELSE u.enhanced END,
        id_domain = coalesce(r.id_domain, u.id_domain)
    FROM unnest(
        $1::bigint[], $2::text[], $3::bigint[], $4::integer[], $5::integer[], $6::text[], $7::text[], $8::bigint[],
        $9::bigint[], $10::text[], $11::text[], $12::integer[], $13::text[], $14::text[], $15::text[]
    ) AS u (number, state, due_at, attempts, doubts, reason, message, changed_at, snapshot, scope, phase, code,
        enhanced, id_domain, joint)
    WHERE r.number = u.number
"""
_ENDS: Final = """
    UPDATE mailtier.notifications n
    SET unfinished = n.unfinished - u.ended, failed = n.failed + u.failed,
        keep_until = coalesce(u.keep_until, n.keep_until),
        payload_until = CASE WHEN u.keep_until IS NULL THEN n.payload_until ELSE u.payload_until END,
        body = CASE WHEN u.keep_until IS NOT NULL AND u.payload_until IS NULL THEN NULL ELSE n.body END,
        stored_bytes = n.stored_bytes - u.freed, change = coalesce(u.change, n.change)
    FROM unnest(
        $1::bigint[], $2::integer[], $3::integer[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[]
    ) AS u (number, ended, failed, keep_until, payload_until, freed, change)
    WHERE n.number = u.number
"""
_ANSWER: Final = """
    DELETE FROM mailtier.notes n USING unnest($1::bigint[], $2::bigint[]) AS u (recipient, serial)
    WHERE n.recipient = u.recipient AND n.serial <= u.serial
"""


async def settle(
    session: connections.DatabaseSession, reports: Sequence[reporting.ReportedOutcome], *, keep_failed: dt.timedelta
) -> Sequence[Exception | None]:
    """Store outcomes in their order; the last final one wipes a notification's payload.

    Args:
        session: In a transaction.
        reports: What is reported.
        keep_failed: How long the payload of what failed is kept.

    Returns:
        None for each that is stored; else why it changed nothing:
        LookupError, there is no such recipient;
        ValueError, a final state comes with a time of the next attempt, or another state without one;
        mailtier.mail.states.IllegalTransition, the stored state does not lead to the reported one.
    """
    wanted = list({report.outcome.recipient_number for report in reports})
    locked = {number: row for number, *row in await session.fetch(_LOCK, wanted)}
    # By a statement of its own, which sees what those did that had the notifications before.
    found = [
        (number, state, notification, *locked[notification])
        for number, notification, state in await session.fetch(_STATES, wanted)
    ]
    stored, answers = reporting.settle(found, reports, keep_failed=keep_failed)
    # A row is updated once by a statement: what follows another of the same recipient has its own.
    for part in _by_recipient(stored):
        await session.execute(_RECIPIENTS, *zip(*map(_columns, part), strict=True))
    if notes := [each.report.note for each in stored if each.report.note is not None]:
        await session.execute(_ANSWER, [note.recipient_number for note in notes], [note.serial for note in notes])
    await suppressions.note(session, [each.report.outcome for each in stored])
    await usage.take_away(session, _given_back(stored))
    await _finish(session, stored)
    return answers


def _by_recipient(stored: Sequence[reporting.SettledReport]) -> Sequence[Sequence[reporting.SettledReport]]:
    """Return parts in which each recipient is once, in the order of what follows one another."""
    parts: list[list[reporting.SettledReport]] = []
    seen: collections.Counter[int] = collections.Counter()
    for each in stored:
        number = each.report.outcome.recipient_number
        if seen[number] == len(parts):
            parts.append([])
        parts[seen[number]].append(each)
        seen[number] += 1
    return parts


def _columns(stored: reporting.SettledReport) -> tuple[Any, ...]:
    outcome, note, settlement = stored.report.outcome, stored.report.note, stored.settlement
    failure = outcome.failure
    return (
        outcome.recipient_number,
        outcome.state.value,
        None if outcome.due_at is None else values.to_micros(outcome.due_at),
        int(outcome.attempted),
        int(settlement.is_loss),
        outcome.reason,
        outcome.message,
        values.to_micros(outcome.at),
        note.snapshot if settlement.is_loss and note is not None else None,
        None if failure is None else failure.scope,
        None if failure is None else failure.phase,
        None if failure is None else failure.code,
        None if failure is None else failure.enhanced,
        outcome.id_domain,
        settlement.joint,
    )


def _given_back(stored: Sequence[reporting.SettledReport]) -> Mapping[str, quotas.Usage]:
    """Return what namespaces have no more."""
    totals: dict[str, quotas.Usage] = {}
    for each in stored:
        if each.settlement.is_final:
            before = totals.get(each.home.namespace_uid, quotas.Usage())
            totals[each.home.namespace_uid] = quotas.Usage(
                messages=before.messages + 1,
                payload_bytes=before.payload_bytes + each.settlement.released_bytes,
                stored_bytes=before.stored_bytes + each.settlement.freed_bytes,
            )
    return totals


async def _finish(session: connections.DatabaseSession, stored: Sequence[reporting.SettledReport]) -> None:
    """Count what has its end, wipe what nobody needs any more (R11), and make what came as objects news."""
    ended, failed, freed = (collections.Counter[int]() for _ in range(3))
    last: dict[int, settlements.Settlement] = {}
    for each in stored:
        if each.settlement.is_final:
            ended[each.home.notification] += 1
            failed[each.home.notification] += each.settlement.is_failure
            freed[each.home.notification] += each.settlement.freed_bytes
        if each.settlement.keep_until is not None:
            last[each.home.notification] = each.settlement
    told = dict.fromkeys(each.home.notification for each in stored if each.home.from_object)
    news = dict(zip(told, await changes.advance(session, len(told)), strict=True))
    touched = sorted(ended.keys() | news.keys())
    if touched:
        await session.execute(
            _ENDS,
            touched,
            [ended[number] for number in touched],
            [failed[number] for number in touched],
            [_micros(last.get(number), lambda each: each.keep_until) for number in touched],
            [_micros(last.get(number), lambda each: each.keep_payload_until) for number in touched],
            [freed[number] for number in touched],
            [news.get(number) for number in touched],
        )


def _micros(
    settlement: settlements.Settlement | None, of: Callable[[settlements.Settlement], dt.datetime | None]
) -> int | None:
    at = None if settlement is None else of(settlement)
    return None if at is None else values.to_micros(at)
