"""Removing what nobody asks for any more."""

import datetime as dt
import sqlite3
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from typing import Final

from mailtier.api import vocabulary
from mailtier.sender.queueing import retention
from mailtier.sender.storage.sqlite import rows

# Deleting a row makes SQLite merge pages with their neighbours, at most two leaves to each side. A leaf of 4096
# bytes holds fewer than 600 of the smallest rows, so that this many rows lie between a deleted payload row and the
# first that may still have its payload: no merge ever copies a payload.
_PAYLOAD_MARGIN: Final = 5_000


def purge_notifications(connection: sqlite3.Connection, *, now: dt.datetime, limit: int) -> int:
    """Remove finished notifications past their retention, at most `limit`; return how many."""
    found = connection.execute(
        "SELECT number, namespace_uid, stored_bytes FROM notifications WHERE keep_until < ? "
        "ORDER BY keep_until LIMIT ?",
        (rows.to_micros(now), limit),
    ).fetchall()
    for number, namespace_uid, stored_bytes in found:
        connection.execute("DELETE FROM recipients WHERE notification = ?", (number,))
        connection.execute("DELETE FROM notifications WHERE number = ?", (number,))
        connection.execute(
            "UPDATE usage SET stored_bytes = stored_bytes - ? WHERE namespace_uid = ?", (stored_bytes, namespace_uid)
        )
    return len(found)


def choose_finished(
    connection: sqlite3.Connection, *, namespace_uid: str, wanted_bytes: int, read: int
) -> tuple[Sequence[retention.FinishedNotification], bool]:
    """Return which finished notifications of a namespace go before their time, as `queueing.retention` chooses them.

    Args:
        namespace_uid: Whose share is used up.
        wanted_bytes: How much is to be freed; less is where there is no more, or it would take too long at once.
        read: The change up to which the feed was read. An object whose end is not told yet stays whole.

    Returns:
        Those to forget, and whether there may be more.
    """
    found = connection.execute(
        "SELECT number, stored_bytes, key_bytes, idempotency_key IS NOT NULL OR object_name IS NOT NULL "
        "FROM notifications INDEXED BY notifications_to_forget "
        "WHERE namespace_uid = ? AND keep_until IS NOT NULL AND stored_bytes > key_bytes "
        "AND (change IS NULL OR change <= ?) ORDER BY number LIMIT ?",
        (namespace_uid, read, retention.FORGOTTEN_AT_ONCE),
    ).fetchall()
    finished = (
        retention.FinishedNotification(
            number=number, stored_bytes=stored_bytes, key_bytes=key_bytes, is_known=bool(is_known)
        )
        for number, stored_bytes, key_bytes, is_known in found
    )
    return retention.choose(finished, wanted_bytes=wanted_bytes), len(found) == retention.FORGOTTEN_AT_ONCE


def forget(connection: sqlite3.Connection, chosen: Sequence[retention.FinishedNotification]) -> None:
    """Forget finished notifications before their time.

    What was sent with a key, or came as an object, leaves its row, by which a repeat is known, with how many recipients
    there were and were accepted: an object that is offered again is told as what it became (R4). The counter is left
    to the caller, who writes it anyway.
    """
    for each in chosen:
        if each.is_known:
            connection.execute(
                "UPDATE notifications SET stored_bytes = key_bytes, (forgotten_accepted, forgotten_recipients) = "
                "(SELECT count(*) FILTER (WHERE state = ?), count(*) FROM recipients WHERE notification = ?) "
                "WHERE number = ?",
                (vocabulary.RecipientState.ACCEPTED.value, each.number, each.number),
            )
        connection.execute("DELETE FROM recipients WHERE notification = ?", (each.number,))
        if not each.is_known:
            connection.execute("DELETE FROM notifications WHERE number = ?", (each.number,))


def purge_payload_rows(connection: sqlite3.Connection, *, limit: int) -> int:
    """Remove wiped payload rows that lie well before the first unfinished notification; return how many."""
    (first,) = connection.execute(
        "SELECT min(notification) FROM recipients INDEXED BY recipients_unfinished WHERE due_at IS NOT NULL"
    ).fetchone()
    if first is None:
        (first,) = connection.execute("SELECT coalesce(max(notification), 0) + 1 FROM payloads").fetchone()
    return connection.execute(
        "DELETE FROM payloads WHERE notification IN "
        "(SELECT notification FROM payloads WHERE notification < ? ORDER BY notification LIMIT ?)",
        (first - _PAYLOAD_MARGIN, limit),
    ).rowcount


def sweep(connection: sqlite3.Connection, *, now: dt.datetime, snapshots: AbstractSet[int]) -> None:
    """Remove old probe results, counters that stand at zero, and snapshots that nothing names.

    Args:
        snapshots: Numbers that are still handed out without a question to the database.
    """
    connection.execute("DELETE FROM probes WHERE probed_at < ?", (rows.to_micros(now - retention.PROBES_KEPT),))
    connection.execute("DELETE FROM usage WHERE messages = 0 AND stored_bytes = 0")
    unnamed = connection.execute(
        "SELECT number FROM snapshots s "
        "WHERE NOT EXISTS (SELECT 1 FROM recipients r WHERE r.snapshot = s.number AND r.snapshot IS NOT NULL)"
    ).fetchall()
    for (number,) in unnamed:
        if number not in snapshots:
            connection.execute("DELETE FROM snapshots WHERE number = ?", (number,))
