"""What the sender learned and would have to learn again: one text for each key, small and rare."""

import sqlite3


def store(connection: sqlite3.Connection, key: str, text: str) -> None:
    """Keep a text under a key, in place of what was kept there."""
    connection.execute("INSERT OR REPLACE INTO memories (key, body) VALUES (?, ?)", (key, text))


def read(connection: sqlite3.Connection, key: str) -> str | None:
    """Return the text that was kept under a key; None where there is none."""
    row = connection.execute("SELECT body FROM memories WHERE key = ?", (key,)).fetchone()
    return None if row is None else str(row[0])
