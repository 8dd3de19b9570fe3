"""Storing what became of recipients, and wiping payloads once nobody needs them, as `queueing.settlements` has it."""

import collections
import datetime as dt
import hashlib
import json
import sqlite3
from collections.abc import Iterator, Sequence

from mailtier.sender import ports
from mailtier.sender.storage import reporting
from mailtier.sender.storage.sqlite import changes, rows, suppressions


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
    wanted = {report.outcome.recipient_number for report in reports}
    # CROSS JOIN: in this order, each by its number.
    found = connection.execute(
        "SELECT r.number, r.state, n.number, n.category, n.unfinished, n.failed, n.payload_bytes, n.namespace_uid, "
        "n.object_name IS NOT NULL FROM json_each(?) AS wanted CROSS JOIN recipients r ON r.number = wanted.value "
        "CROSS JOIN notifications n ON n.number = r.notification",
        (json.dumps(list(wanted)),),
    )
    settled, answers = reporting.settle(found, reports, keep_failed=keep_failed)
    connection.executemany(
        "UPDATE recipients SET state = ?, due_at = ?, attempts = attempts + ?, doubts = doubts + ?, reason = ?, "
        "message = ?, changed_at = ?, noted = max(noted, ?), "
        "snapshot = CASE WHEN ? THEN NULL ELSE coalesce(?, snapshot) END WHERE number = ?",
        map(_columns, settled),
    )
    _store_failures(connection, settled)
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


def _columns(settled: reporting.SettledReport) -> tuple[object, ...]:
    outcome, note, settlement = settled.report.outcome, settled.report.note, settled.settlement
    return (
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
        outcome.recipient_number,
    )


def _store_failures(connection: sqlite3.Connection, settled: Sequence[reporting.SettledReport]) -> None:
    """Store what attempts met; where one met nothing, what is stored of an earlier one stays.

    The domain of the Message-ID is stored with the first of them: what was accepted at once needs none.
    """
    outcomes = (each.report.outcome for each in settled)
    connection.executemany(
        f"UPDATE recipients SET ({rows.FAILURE}, id_domain) = (?, ?, ?, ?, coalesce(id_domain, ?)) "  # noqa: S608
        "WHERE number = ?",
        [
            (failure.scope, failure.phase, failure.code, failure.enhanced, outcome.id_domain, outcome.recipient_number)
            for outcome in outcomes
            if (failure := outcome.failure) is not None
        ],
    )


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
    connection.executemany(
        "UPDATE payloads SET body = NULL WHERE notification = ?",
        [(each.home.notification,) for each in last if each.settlement.keep_payload_until is None],
    )
    ended = collections.Counter(each.home.notification for each in final)
    connection.executemany(
        "UPDATE notifications SET unfinished = unfinished - ?, keep_until = ?, payload_until = ?, "
        "stored_bytes = stored_bytes - ? WHERE number = ?",
        _ends(last, ended),
    )
    connection.executemany(
        "UPDATE notifications SET unfinished = unfinished - ? WHERE number = ?",
        [(count, notification) for notification, count in ended.items()],
    )
    failed = collections.Counter(each.home.notification for each in final if each.settlement.is_failure)
    connection.executemany(
        "UPDATE notifications SET failed = failed + ? WHERE number = ?",
        [(count, notification) for notification, count in failed.items()],
    )
    messages, released_bytes, freed_bytes = (collections.Counter[str]() for _ in range(3))
    for each in final:
        messages[each.home.namespace_uid] += 1
        released_bytes[each.home.namespace_uid] += each.settlement.released_bytes
        freed_bytes[each.home.namespace_uid] += each.settlement.freed_bytes
    connection.executemany(
        "UPDATE usage SET messages = messages - ?, payload_bytes = payload_bytes - ?, stored_bytes = stored_bytes - ? "
        "WHERE namespace_uid = ?",
        [(count, released_bytes[uid], freed_bytes[uid], uid) for uid, count in messages.items()],
    )


def _ends(last: Sequence[reporting.SettledReport], ended: collections.Counter[int]) -> Iterator[tuple[object, ...]]:
    """Yield the columns of notifications that are finished, and take them out of those that are not."""
    for each in last:
        keep_until, payload_until = each.settlement.keep_until, each.settlement.keep_payload_until
        assert keep_until is not None, "these are the last ones"
        yield (
            ended.pop(each.home.notification),
            rows.to_micros(keep_until),
            None if payload_until is None else rows.to_micros(payload_until),
            each.settlement.freed_bytes,
            each.home.notification,
        )
