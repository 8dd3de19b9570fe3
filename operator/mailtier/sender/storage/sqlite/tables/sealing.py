"""The mark of a queue that was moved to a database: no sender opens it again.

A program that does not know the mark sees tables of a version far above its own, and opens nothing either.
"""

import dataclasses
import json
import sqlite3
from typing import Final

_SEALED: Final = 1_000_000
"""Is added to `user_version`."""

_KEY: Final = "sealed"
"""Of the memory that holds the mark."""


class SealedError(Exception):
    """The queue was moved to a database, or is on its way there; nothing was changed."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Seal:
    """Where a queue goes.

    Attributes:
        move: The id of the move, by which the database knows what came with it.
        database: The id of the database.
        place: What a person knows the database by: hosts and name, without user and password.
        is_finished: Whether all of it is there.
    """

    move: str
    database: str
    place: str
    is_finished: bool = False


def split(user_version: int) -> tuple[int, bool]:
    """Return which is the oldest version that runs on the tables, and whether the queue is sealed."""
    return user_version % _SEALED, user_version >= _SEALED


def join(runs: int, *, is_sealed: bool) -> int:
    """Return the `user_version` of tables."""
    return runs + _SEALED if is_sealed else runs


def read(connection: sqlite3.Connection) -> Seal | None:
    """Return where a queue goes; None where it stays."""
    _, sealed = split(connection.execute("PRAGMA user_version").fetchone()[0])
    if not sealed:
        return None
    (body,) = connection.execute("SELECT body FROM memories WHERE key = ?", (_KEY,)).fetchone()
    return Seal(**json.loads(body))


def write(connection: sqlite3.Connection, seal: Seal) -> None:
    """Seal a queue, or change what its seal says, in the transaction that is open."""
    runs, _ = split(connection.execute("PRAGMA user_version").fetchone()[0])
    connection.execute(
        "INSERT OR REPLACE INTO memories (key, body) VALUES (?, ?)", (_KEY, json.dumps(dataclasses.asdict(seal)))
    )
    connection.execute(f"PRAGMA user_version = {join(runs, is_sealed=True)}")


def explain(connection: sqlite3.Connection) -> str:
    """Return where a sealed queue went, and what to do."""
    seal = read(connection)
    if seal is None or seal.is_finished:
        place = "a database" if seal is None else seal.place
        return (
            f"this queue was moved to {place}, and nothing is delivered from here any more: start the sender with"
            " --queue-dsn-file, or move the queue's folder away to begin an empty one"
        )
    return (
        f"this queue is on its way to {seal.place}, and nothing is delivered from here any more: run `mailtier queue"
        " move` again until it has come to its end, and start the sender with --queue-dsn-file"
    )
