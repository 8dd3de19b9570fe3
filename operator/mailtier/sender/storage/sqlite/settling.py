"""Storing what became of recipients, and wiping payloads once nobody needs them, as `queueing.settlements` has it."""

import collections
import datetime as dt
import hashlib
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import msgspec

from mailtier.sender import ports
from mailtier.sender.storage import reporting
from mailtier.sender.storage.sqlite import changes, many_rows, rows, suppressions

_OUTCOME: Final = """
    state = w.column2, due_at = w.column3, attempts = attempts + w.column4, doubts = doubts + w.column5,
    reason = w.column6, changed_at = w.column8, noted = max(noted, w.column9),
    snapshot = CASE WHEN w.column10 THEN NULL ELSE coalesce(w.column11, snapshot) END,
    message = w.column7 || CASE WHEN message = '' THEN '' ELSE coalesce(w.column12 || message, '') END
"""

_MET: Final = (
    f"({rows.FAILURE}, id_domain) = (w.column2, w.column3, w.column4, w.column5, coalesce(id_domain, w.column6))"
)

# One row, for `many_rows` says what each costs. CROSS JOIN: in this order, each by its number.
_STORED: Final = """
    SELECT json_group_array(json_array(
        r.number, r.state, n.number, n.category, n.unfinished, n.failed, n.payload_bytes, n.namespace_uid,
        n.object_name IS NOT NULL
    ))
    FROM json_each(?) AS wanted
    CROSS JOIN recipients r ON r.number = wanted.value
    CROSS JOIN notifications n ON n.number = r.notification
"""


def settle(
    connection: sqlite3.Connection, reports: Sequence[reporting.ReportedOutcome], *, keep_failed: dt.timedelta
) -> Sequence[Exception | None]:
    """Store outcomes in their order in the transaction that is open; the last final one wipes a notification's payload.

    Args:
        reports: What is reported, by whom ever.
        keep_failed: How long the payload of what failed is kept.

    Returns:
        None for each that is stored; else why it changed nothing:
        LookupError, there is no such recipient;
        ValueError, a final state comes with a time of the next attempt, or another state without one;
        mailtier.mail.states.IllegalTransition, the stored state does not lead to the reported one.
    """
    (found,) = connection.execute(_STORED, (_list({report.outcome.recipient_number for report in reports}),)).fetchone()
    settled, answers = reporting.settle(msgspec.json.decode(found), reports, keep_failed=keep_failed)
    for part in _once_each(settled):
        many_rows.update(connection, "recipients", "number", _OUTCOME, list(map(_columns, part)))
        _store_failures(connection, part)
    suppressions.note(connection, [each.report.outcome for each in settled])
    _tell(connection, settled)
    _finish(connection, [each for each in settled if each.settlement.is_final])
    return answers


def store_snapshot(connection: sqlite3.Connection, *, snapshot: ports.Snapshot) -> int:
    """Return the number of a snapshot, which is stored once however often it is used."""
    digest = hashlib.sha256(snapshot.settings.encode()).hexdigest()
    connection.execute(
        "INSERT INTO snapshots (digest, settings) VALUES (?, ?) ON CONFLICT DO NOTHING", (digest, snapshot.settings)
    )
    (number,) = connection.execute("SELECT number FROM snapshots WHERE digest = ?", (digest,)).fetchone()
    return int(number)


def _list(numbers: Iterable[int]) -> str:
    """Return numbers as `json_each` takes them."""
    return msgspec.json.encode(tuple(numbers)).decode()


def _columns(settled: reporting.SettledReport) -> tuple[object, ...]:
    outcome, note, settlement = settled.report.outcome, settled.report.note, settled.settlement
    return (
        outcome.recipient_number,
        outcome.state.value,
        None if outcome.due_at is None else rows.to_micros(outcome.due_at),
        outcome.attempted,
        settlement.is_loss,
        outcome.reason,
        outcome.message,
        rows.to_micros(outcome.at),
        0 if note is None else note.serial,
        settlement.is_final,
        note.snapshot if settlement.is_loss and note is not None else None,
        settlement.joint,
    )


def _store_failures(connection: sqlite3.Connection, settled: Sequence[reporting.SettledReport]) -> None:
    """Store what attempts met; where one met nothing, what is stored of an earlier one stays.

    The domain of the Message-ID is stored with the first of them: what was accepted at once needs none.
    """
    outcomes = (each.report.outcome for each in settled)
    met = [
        (outcome.recipient_number, failure.scope, failure.phase, failure.code, failure.enhanced, outcome.id_domain)
        for outcome in outcomes
        if (failure := outcome.failure) is not None
    ]
    many_rows.update(connection, "recipients", "number", _MET, met)


def _tell(connection: sqlite3.Connection, settled: Sequence[reporting.SettledReport]) -> None:
    """Make what came as objects news in the feed."""
    for notification in dict.fromkeys(each.home.notification for each in settled if each.home.from_object):
        connection.execute(
            "UPDATE notifications SET change = ? WHERE number = ?", (changes.advance_cursor(connection), notification)
        )


def _finish(connection: sqlite3.Connection, final: Sequence[reporting.SettledReport]) -> None:
    """Count what has its end, and wipe what nobody needs any more (R11)."""
    last = [each for each in final if each.settlement.keep_until is not None]
    # The row stays (schema's docstring says why).
    connection.execute(
        "UPDATE payloads SET body = NULL WHERE notification IN (SELECT value FROM json_each(?))",
        (_list(each.home.notification for each in last if each.settlement.keep_payload_until is None),),
    )
    ended = collections.Counter(each.home.notification for each in final)
    many_rows.update(
        connection,
        "notifications",
        "number",
        "unfinished = unfinished - w.column2, keep_until = w.column3, payload_until = w.column4, "
        "stored_bytes = stored_bytes - w.column5",
        list(_ends(last, ended)),
    )
    many_rows.update(connection, "notifications", "number", "unfinished = unfinished - w.column2", list(ended.items()))
    failed = collections.Counter(each.home.notification for each in final if each.settlement.is_failure)
    many_rows.update(connection, "notifications", "number", "failed = failed + w.column2", list(failed.items()))
    messages, released_bytes, freed_bytes = (collections.Counter[str]() for _ in range(3))
    for each in final:
        messages[each.home.namespace_uid] += 1
        released_bytes[each.home.namespace_uid] += each.settlement.released_bytes
        freed_bytes[each.home.namespace_uid] += each.settlement.freed_bytes
    many_rows.update(
        connection,
        "usage",
        "namespace_uid",
        "messages = messages - w.column2, payload_bytes = payload_bytes - w.column3, "
        "stored_bytes = stored_bytes - w.column4",
        [(uid, count, released_bytes[uid], freed_bytes[uid]) for uid, count in messages.items()],
    )


def _once_each(settled: Sequence[reporting.SettledReport]) -> Iterator[Sequence[reporting.SettledReport]]:
    """Yield reports in their order, in parts of which none has two of one recipient."""
    part: dict[int, reporting.SettledReport] = {}
    for each in settled:
        number = each.report.outcome.recipient_number
        if number in part:
            yield list(part.values())
            part = {}
        part[number] = each
    yield list(part.values())


def _ends(last: Sequence[reporting.SettledReport], ended: collections.Counter[int]) -> Iterator[tuple[object, ...]]:
    """Yield the columns of notifications that are finished, and take them out of those that are not."""
    for each in last:
        keep_until, payload_until = each.settlement.keep_until, each.settlement.keep_payload_until
        assert keep_until is not None, "these are the last ones"
        yield (
            each.home.notification,
            ended.pop(each.home.notification),
            rows.to_micros(keep_until),
            None if payload_until is None else rows.to_micros(payload_until),
            each.settlement.freed_bytes,
        )
