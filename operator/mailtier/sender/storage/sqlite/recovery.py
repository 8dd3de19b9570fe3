"""Storing what a process that died left behind, as `queueing.crashes` judges it."""

import datetime as dt
import sqlite3

from mailtier.api import vocabulary
from mailtier.sender.queueing import crashes
from mailtier.sender.storage import reporting
from mailtier.sender.storage.sqlite import rows, settling


def answer(
    connection: sqlite3.Connection,
    *,
    note: crashes.Note,
    now: dt.datetime,
    in_doubt: crashes.InDoubtDecision,
    keep_failed: dt.timedelta,
) -> None:
    """Store what a note tells, in the transaction that is open; nothing if it was answered before."""
    row = connection.execute(
        "SELECT r.state, r.noted, r.doubts, n.category, n.accepted_at, n.expires_at "
        "FROM recipients r JOIN notifications n ON n.number = r.notification WHERE r.number = ?",
        (note.recipient_number,),
    ).fetchone()
    if row is None:
        return
    state, noted, doubts, category, accepted_at, expires_at = row
    found = crashes.Interrupted(
        state=vocabulary.RecipientState(state),
        answered=noted,
        losses=doubts,
        category=vocabulary.Category(category),
        accepted_at=rows.from_micros(accepted_at),
        expires_at=rows.from_micros(expires_at),
    )
    answers = crashes.answer(note, found, now=now, in_doubt=in_doubt)
    for error in settling.settle(
        connection,
        [reporting.ReportedOutcome(outcome=answer, note=note) for answer in answers],
        keep_failed=keep_failed,
    ):
        if error is not None:
            raise error


def begin(connection: sqlite3.Connection) -> int:
    """Return the new epoch of the journal, once every note is answered."""
    (epoch,) = connection.execute(
        "UPDATE counters SET value = value + 1 WHERE name = 'epoch' RETURNING value"
    ).fetchone()
    return int(epoch)
