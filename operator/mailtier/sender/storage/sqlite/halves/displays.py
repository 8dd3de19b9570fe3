"""Rows of what delivery shows, as `between.displays` has them."""

import sqlite3
from collections.abc import Mapping

from mailtier.sender import ports
from mailtier.sender.between import displays


def show(connection: sqlite3.Connection, *, texts: Mapping[ports.LaneKey, str | None]) -> None:
    """Show texts; see `displays.ShowingQueue`."""
    change = _advance(connection)
    connection.executemany(
        "INSERT OR REPLACE INTO displays (namespace_uid, namespace, organization, body, change) VALUES (?, ?, ?, ?, ?)",
        [(lane.namespace_uid, lane.namespace, lane.organization, body, change) for lane, body in texts.items()],
    )


def show_nothing(connection: sqlite3.Connection) -> None:
    """Take back all that is shown."""
    connection.execute("UPDATE displays SET body = NULL, change = ? WHERE body IS NOT NULL", (_advance(connection),))


def read(connection: sqlite3.Connection, *, after: int) -> displays.ShownTexts:
    """Return what changed after a cursor."""
    found = connection.execute(
        "SELECT namespace_uid, namespace, organization, body FROM displays WHERE change > ?", (after,)
    )
    texts = {
        ports.LaneKey(namespace_uid=uid, namespace=namespace, organization=organization): body
        for uid, namespace, organization, body in found
    }
    return displays.ShownTexts(cursor=current(connection), texts=texts)


def current(connection: sqlite3.Connection) -> int:
    """Return the number of the last change."""
    (value,) = connection.execute("SELECT value FROM counters WHERE name = 'display'").fetchone()
    return int(value)


def sweep(connection: sqlite3.Connection, *, before: int) -> None:
    """Remove the rows of what was taken back before a change."""
    connection.execute("DELETE FROM displays WHERE body IS NULL AND change <= ?", (before,))


def _advance(connection: sqlite3.Connection) -> int:
    (value,) = connection.execute(
        "UPDATE counters SET value = value + 1 WHERE name = 'display' RETURNING value"
    ).fetchone()
    return int(value)
