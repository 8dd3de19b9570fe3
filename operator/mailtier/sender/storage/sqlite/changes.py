"""The feed: one growing number for every change of a Notification object or a probe."""

import heapq
import operator
import sqlite3
from collections.abc import Iterator
from typing import TypeAlias

from mailtier.api import feed
from mailtier.sender.storage.sqlite import rows

_Change: TypeAlias = tuple[int, feed.Taken | feed.Probe]


def advance_cursor(connection: sqlite3.Connection) -> int:
    """Return the number of a new change; it is never given twice, also when the item it names is removed."""
    (value,) = connection.execute(
        "UPDATE counters SET value = value + 1 WHERE name = 'change' RETURNING value"
    ).fetchone()
    return int(value)


def current_cursor(connection: sqlite3.Connection) -> int:
    """Return the number of the last change."""
    (value,) = connection.execute("SELECT value FROM counters WHERE name = 'change'").fetchone()
    return int(value)


def read_feed(connection: sqlite3.Connection, *, after: int, limit: int) -> feed.Feed:
    """Return the latest state of what changed after a cursor, oldest change first.

    A cursor beyond the last change comes from a volume that is gone; it is answered like 0, or whoever holds it
    would not hear of anything until the new volume's numbers reach it.
    """
    last = current_cursor(connection)
    if after > last:
        after = 0
    sources: list[Iterator[_Change]] = [_changed_notifications(connection, after), _changed_probes(connection, after)]
    found: list[_Change] = []
    for change in heapq.merge(*sources, key=operator.itemgetter(0)):
        if len(found) == limit:
            last, _ = found[-1]
            break
        found.append(change)
    return feed.Feed(cursor=last, items=tuple(item for _, item in found))


def store_probe(connection: sqlite3.Connection, probe: feed.Probe) -> None:
    """Store the latest result for a probe key; it is news in the feed unless only its time is new."""
    row = connection.execute("SELECT body, change FROM probes WHERE key = ?", (probe.key,)).fetchone()
    if row is not None and _same_finding(feed.Probe.model_validate_json(row[0]), probe):
        change = row[1]
    else:
        change = advance_cursor(connection)
    connection.execute(
        "INSERT OR REPLACE INTO probes (key, body, probed_at, change) VALUES (?, ?, ?, ?)",
        (probe.key, probe.model_dump_json(), rows.to_micros(probe.probed_at), change),
    )


def read_probes(connection: sqlite3.Connection) -> tuple[feed.Probe, ...]:
    """Return the latest result of every probe key."""
    return tuple(
        feed.Probe.model_validate_json(body) for (body,) in connection.execute("SELECT body FROM probes ORDER BY key")
    )


def _same_finding(one: feed.Probe, other: feed.Probe) -> bool:
    return one.model_copy(update={"probed_at": other.probed_at}) == other


def _changed_notifications(connection: sqlite3.Connection, after: int) -> Iterator[_Change]:
    changed = connection.execute(
        "SELECT change, number, id, namespace, namespace_uid, object_name, object_uid, spec_hash, accepted_at, "
        "unfinished, forgotten_accepted, forgotten_recipients FROM notifications WHERE change > ? ORDER BY change",
        (after,),
    )
    for change, number, id_, namespace, uid, name, object_uid, spec_hash, accepted_at, unfinished, *totals in changed:
        yield (
            change,
            feed.Taken(
                id=id_,
                namespace=namespace,
                namespace_uid=uid,
                name=name,
                object_uid=object_uid,
                spec_hash=spec_hash,
                accepted_at=rows.from_micros(accepted_at),
                complete=not unfinished,
                recipients=rows.recipients_of(connection, number),
                totals=rows.to_totals(*totals),
            ),
        )


def _changed_probes(connection: sqlite3.Connection, after: int) -> Iterator[_Change]:
    for change, body in connection.execute(
        "SELECT change, body FROM probes WHERE change > ? ORDER BY change", (after,)
    ):
        yield change, feed.Probe.model_validate_json(body)
