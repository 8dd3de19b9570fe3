"""Payloads of notifications that failed: kept for a while, so that they can be sent again, and wiped then (R11).

They are wiped where they stand, as all payloads are (`schema` says why). A notification whose payload is kept has
`payload_until`, also while it is being sent again; what has an end may be wiped, what has none is needed.
"""

import dataclasses
import datetime as dt
import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any, Final

from mailtier.sender.storage.sqlite import rows

_FOREVER: Final = 2**63 - 1
_AT_ONCE: Final = 200
_BYTES_AT_ONCE: Final = 4 * 1024 * 1024
"""Wiping writes as much as storing did; between two such steps others have their turn."""


def wipe_past(connection: sqlite3.Connection, *, now: dt.datetime | None) -> int:
    """Wipe some of the payloads whose time is over; return how many.

    Args:
        now: Aware UTC time; None for the end of all times: what was kept is kept no longer.
    """
    return len(
        _wipe(
            connection,
            "SELECT number, namespace_uid, payload_bytes FROM notifications INDEXED BY notifications_kept_by_time "
            "WHERE payload_until IS NOT NULL AND payload_until < ? AND unfinished = 0 ORDER BY payload_until LIMIT ?",
            _FOREVER if now is None else rows.to_micros(now),
        )
    )


def wipe_namespace(connection: sqlite3.Connection, *, namespace_uid: str) -> int:
    """Wipe some of what is kept of a namespace; return how many payloads."""
    return len(_wipe(connection, _OF_NAMESPACE, namespace_uid))


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class KeptPayload:
    """A payload that may be wiped.

    Attributes:
        notification: The notification's number.
    """

    notification: int
    size_bytes: int


def choose(
    connection: sqlite3.Connection, *, namespace_uid: str, wanted_bytes: int
) -> tuple[Sequence[KeptPayload], bool]:
    """Return which kept payloads of a namespace go to make room, the oldest first, and whether there may be more."""
    chosen, size_bytes = list[KeptPayload](), 0
    found = _find(connection, _OF_NAMESPACE, namespace_uid)
    for number, _, payload_bytes in found:
        if size_bytes >= min(wanted_bytes, _BYTES_AT_ONCE):
            return chosen, True
        chosen.append(KeptPayload(notification=number, size_bytes=payload_bytes))
        size_bytes += payload_bytes
    return chosen, len(found) == _AT_ONCE


def wipe(connection: sqlite3.Connection, payloads: Iterable[KeptPayload]) -> None:
    """Wipe kept payloads. The counter of their namespaces is left to the caller."""
    for each in payloads:
        connection.execute("UPDATE payloads SET body = NULL WHERE notification = ?", (each.notification,))
        connection.execute(
            "UPDATE notifications SET payload_until = NULL, stored_bytes = stored_bytes - ? WHERE number = ?",
            (each.size_bytes, each.notification),
        )


def namespaces(connection: sqlite3.Connection) -> tuple[str, ...]:
    """Return the uids of the namespaces of which something is kept, each once."""
    found = connection.execute(
        # From one to the next by the index, however much is kept of each.
        """
        WITH RECURSIVE of_kept (uid) AS (
            SELECT min(namespace_uid) FROM notifications INDEXED BY notifications_kept_by_namespace
            WHERE payload_until IS NOT NULL
            UNION ALL
            SELECT (
                SELECT min(namespace_uid) FROM notifications INDEXED BY notifications_kept_by_namespace
                WHERE payload_until IS NOT NULL AND namespace_uid > of_kept.uid
            )
            FROM of_kept WHERE of_kept.uid IS NOT NULL
        )
        SELECT uid FROM of_kept WHERE uid IS NOT NULL
        """
    )
    return tuple(uid for (uid,) in found)


def count(connection: sqlite3.Connection) -> int:
    """Return of how many notifications that failed the payload is kept."""
    (found,) = connection.execute(
        "SELECT count(*) FROM notifications INDEXED BY notifications_kept WHERE payload_until IS NOT NULL"
    ).fetchone()
    return int(found)


def next_kept(connection: sqlite3.Connection, *, after: int) -> int | None:
    """Return the number of the next notification whose payload is kept; None where there is none."""
    (found,) = connection.execute(
        "SELECT min(number) FROM notifications INDEXED BY notifications_kept "
        "WHERE payload_until IS NOT NULL AND number > ?",
        (after,),
    ).fetchone()
    return None if found is None else int(found)


_OF_NAMESPACE: Final = (
    "SELECT number, namespace_uid, payload_bytes FROM notifications INDEXED BY notifications_kept_by_namespace "
    "WHERE payload_until IS NOT NULL AND namespace_uid = ? AND unfinished = 0 ORDER BY number LIMIT ?"
)


def _find(connection: sqlite3.Connection, statement: str, argument: object) -> list[tuple[Any, ...]]:
    return connection.execute(statement, (argument, _AT_ONCE)).fetchall()


def _wipe(connection: sqlite3.Connection, statement: str, argument: object) -> list[int]:
    """Wipe what a statement names, as much as one step may, and give its bytes back; return the numbers."""
    wiped, size_bytes = list[int](), 0
    for number, namespace_uid, payload_bytes in _find(connection, statement, argument):
        if wiped and size_bytes + payload_bytes > _BYTES_AT_ONCE:
            break
        wiped.append(number)
        size_bytes += payload_bytes
        wipe_one(connection, KeptPayload(notification=number, size_bytes=payload_bytes), namespace_uid=namespace_uid)
    return wiped


def wipe_one(connection: sqlite3.Connection, payload: KeptPayload, *, namespace_uid: str) -> None:
    """Wipe a kept payload, and give its bytes back to its namespace."""
    wipe(connection, [payload])
    connection.execute(
        "UPDATE usage SET stored_bytes = stored_bytes - ? WHERE namespace_uid = ?", (payload.size_bytes, namespace_uid)
    )
