"""What the sender learned and would have to learn again: one text for each key, small and rare."""

import datetime as dt
import sqlite3

from mailtier.sender.queueing import recoveries, restoring


def store(connection: sqlite3.Connection, key: str, text: str) -> None:
    """Keep a text under a key, in place of what was kept there."""
    connection.execute("INSERT OR REPLACE INTO memories (key, body) VALUES (?, ?)", (key, text))


def read(connection: sqlite3.Connection, key: str) -> str | None:
    """Return the text that was kept under a key; None where there is none."""
    row = connection.execute("SELECT body FROM memories WHERE key = ?", (key,)).fetchone()
    return None if row is None else str(row[0])


def read_all(connection: sqlite3.Connection, prefix: str) -> dict[str, str]:
    """Return the texts that were kept under keys with a beginning."""
    rows = connection.execute(
        "SELECT key, body FROM memories WHERE key >= :prefix AND substr(key, 1, length(:prefix)) = :prefix",
        {"prefix": prefix},
    )
    return {str(key): str(body) for key, body in rows}


def drop(connection: sqlite3.Connection, key: str) -> None:
    """Keep the text under a key no longer."""
    connection.execute("DELETE FROM memories WHERE key = ?", (key,))


def strike(connection: sqlite3.Connection, key: str, member: str) -> None:
    """Keep a member of the JSON object under a key no longer, and the key with its last one."""
    connection.execute(
        "UPDATE memories SET body = json_remove(body, '$.' || json_quote(?)) WHERE key = ?", (member, key)
    )
    connection.execute("DELETE FROM memories WHERE key = ? AND body = '{}'", (key,))


def sweep_recoveries(connection: sqlite3.Connection, *, before: dt.datetime) -> None:
    """Keep no times of recoveries of organizations that began none since."""
    # Other memories are no JSON.
    connection.execute(
        "DELETE FROM memories WHERE CASE WHEN substr(key, 1, ?) = ? THEN json_extract(body, '$[0]') < ? ELSE 0 END",
        (len(recoveries.MEMORIES), recoveries.MEMORIES, before.timestamp()),
    )


def take_restored(connection: sqlite3.Connection) -> str | None:
    """Return what is remembered of a backup, and remember it no longer."""
    mark = read(connection, restoring.KEY)
    drop(connection, restoring.KEY)
    return mark
