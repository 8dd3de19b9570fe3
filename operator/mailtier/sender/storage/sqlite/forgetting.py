"""Removing what nobody asks for any more."""

import dataclasses
import datetime as dt
import sqlite3
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from typing import Final

from mailtier.api import vocabulary
from mailtier.sender.queueing import recoveries, retention
from mailtier.sender.storage.sqlite import memories, rows, suppressions
from mailtier.sender.storage.sqlite.failed import kept

# Deleting a row makes SQLite merge pages with their neighbours, at most two leaves to each side. A leaf of 4096
# bytes holds fewer than 600 of the smallest rows, so that this many rows lie between a deleted payload row and the
# first that may still have its payload: no merge ever copies a payload.
_PAYLOAD_MARGIN: Final = 5_000


def purge_notifications(connection: sqlite3.Connection, *, now: dt.datetime, limit: int) -> int:
    """Remove finished notifications past their retention, at most `limit`; return how many.

    Payloads that are kept of them, which is never for longer, were wiped before.
    """
    found = connection.execute(
        "SELECT number, namespace_uid, stored_bytes FROM notifications WHERE keep_until < ? AND payload_until IS NULL "
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


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """What goes of a namespace before its time.

    Attributes:
        payloads: Of notifications that failed; their records stay.
        finished: Notifications of which nothing but what a repeat is known by stays.
    """

    payloads: Sequence[kept.KeptPayload]
    finished: Sequence[retention.FinishedNotification]

    @property
    def freed_bytes(self) -> int:
        """What is free once they are gone."""
        return sum(each.size_bytes for each in self.payloads) + sum(each.freed_bytes for each in self.finished)


def choose_finished(
    connection: sqlite3.Connection, *, namespace_uid: str, wanted_bytes: int, read: int
) -> tuple[Chosen, bool]:
    """Return what of a namespace's finished notifications goes before its time, as `queueing.retention` chooses it.

    Payloads of what failed go first, and no record before the last of them.

    Args:
        namespace_uid: Whose share is used up.
        wanted_bytes: How much is to be freed; less is where there is no more, or it would take too long at once.
        read: The change up to which the feed was read. An object whose end is not told yet stays whole.

    Returns:
        What goes, and whether there may be more.
    """
    payloads, more = kept.choose(connection, namespace_uid=namespace_uid, wanted_bytes=wanted_bytes)
    wanted_bytes -= sum(each.size_bytes for each in payloads)
    if more or wanted_bytes <= 0:
        return Chosen(payloads=payloads, finished=()), more
    found = connection.execute(
        # Their payloads are among those that are chosen already.
        "SELECT number, stored_bytes - CASE WHEN payload_until IS NULL THEN 0 ELSE payload_bytes END, key_bytes, "
        "idempotency_key IS NOT NULL OR object_name IS NOT NULL "
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
    chosen = retention.choose(finished, wanted_bytes=wanted_bytes)
    return Chosen(payloads=payloads, finished=chosen), len(found) == retention.FORGOTTEN_AT_ONCE


def forget(connection: sqlite3.Connection, chosen: Chosen) -> None:
    """Wipe payloads of what failed, and forget finished notifications, before their time.

    What was sent with a key, or came as an object, leaves its row, by which a repeat is known, with how many recipients
    there were and were accepted: an object that is offered again is told as what it became (R4). The counter is left
    to the caller, who writes it anyway.
    """
    kept.wipe(connection, chosen.payloads)
    for each in chosen.finished:
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


def first_needed(connection: sqlite3.Connection) -> int:
    """Return the number before which no payload is needed but those that `kept` knows of.

    It stays so: what is unfinished later has a larger number, or is known there.
    """
    (first,) = connection.execute(
        "SELECT min(notification) FROM recipients INDEXED BY recipients_unfinished WHERE due_at IS NOT NULL AND "
        "notification NOT IN (SELECT number FROM notifications INDEXED BY notifications_kept "
        "WHERE payload_until IS NOT NULL)"
    ).fetchone()
    if first is None:
        (first,) = connection.execute("SELECT coalesce(max(notification), 0) + 1 FROM payloads").fetchone()
    return int(first)


def purge_payload_rows(
    connection: sqlite3.Connection, *, before: int, after: int, limit: int
) -> tuple[int, int | None]:
    """Remove wiped payload rows that lie well away from all that are needed.

    Args:
        before: What `first_needed` returned.
        after: 0 to begin, then what this returned.
        limit: How many rows it removes at most, and how many kept payloads it steps over.

    Returns:
        How many it removed, and where to go on; None at the end.
    """
    for _ in range(limit):
        following = kept.next_kept(connection, after=after)
        end = before if following is None else min(following, before)
        removed = connection.execute(
            "DELETE FROM payloads WHERE notification IN (SELECT notification FROM payloads "
            "WHERE notification > ? AND notification < ? AND body IS NULL ORDER BY notification LIMIT ?)",
            (after + _PAYLOAD_MARGIN if after else 0, end - _PAYLOAD_MARGIN, limit),
        ).rowcount
        if removed == limit:
            return removed, after
        if end == before:
            return removed, None
        after = end
        if removed:
            return removed, after
    return 0, after


def sweep(connection: sqlite3.Connection, *, now: dt.datetime, snapshots: AbstractSet[int]) -> None:
    """Remove what is over, or nothing names: what is past its time, counters at zero, backlogs, snapshots.

    Args:
        snapshots: Numbers that are still handed out without a question to the database.
    """
    connection.execute("DELETE FROM probes WHERE probed_at < ?", (rows.to_micros(now - retention.PROBES_KEPT),))
    memories.sweep_recoveries(connection, before=now - recoveries.WINDOW)
    suppressions.sweep(connection, now=now)
    connection.execute("DELETE FROM usage WHERE messages = 0 AND stored_bytes = 0")
    # What is final may still name one: its number is not given again.
    connection.execute(
        "DELETE FROM backlogs WHERE NOT EXISTS (SELECT 1 FROM recipients INDEXED BY recipients_by_backlog "
        "WHERE backlog = backlogs.number AND due_at IS NOT NULL)"
    )
    unnamed = connection.execute(
        "SELECT number FROM snapshots s "
        "WHERE NOT EXISTS (SELECT 1 FROM recipients r WHERE r.snapshot = s.number AND r.snapshot IS NOT NULL)"
    ).fetchall()
    for (number,) in unnamed:
        if number not in snapshots:
            connection.execute("DELETE FROM snapshots WHERE number = ?", (number,))
