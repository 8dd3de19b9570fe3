"""Rows of requests, as `between.requests` has them."""

import datetime as dt
import sqlite3
from collections.abc import Sequence
from typing import Final

from mailtier.sender.between import requests
from mailtier.sender.storage.sqlite import rows

_FORGOTTEN_AFTER: Final = dt.timedelta(minutes=10)
"""An asker that ended without a word withdraws nothing; none waits for so long."""


def ask(connection: sqlite3.Connection, request: requests.NewRequest) -> int:
    """Store a request, and return its number; see `requests.AskingQueue`."""
    connection.execute(
        "DELETE FROM requests WHERE asked_at < ? OR (take_by < ? AND reply IS NULL)",
        (rows.to_micros(request.asked_at - _FORGOTTEN_AFTER), rows.to_micros(request.asked_at)),
    )
    (open_,) = connection.execute(
        "SELECT count(*) FROM requests WHERE namespace_uid = ?", (request.namespace_uid,)
    ).fetchone()
    if open_ >= requests.MOST_OPEN:
        raise requests.TooManyRequestsError("as many requests of the namespace are open as may be; ask again later")
    number = connection.execute(
        "INSERT INTO requests (namespace_uid, kind, body, asked_at, take_by) VALUES (?, ?, ?, ?, ?)",
        (
            request.namespace_uid,
            request.kind.value,
            request.body,
            rows.to_micros(request.asked_at),
            rows.to_micros(request.take_by),
        ),
    ).lastrowid
    assert number is not None, "an INSERT sets it"
    return number


def reply_to(connection: sqlite3.Connection, *, number: int) -> requests.RequestAnswer | None:
    """Return what was answered; see `requests.AskingQueue`."""
    row = connection.execute("SELECT reply, is_answered FROM requests WHERE number = ?", (number,)).fetchone()
    return None if row is None else requests.RequestAnswer(body=row[0], is_final=bool(row[1]))


def withdraw(connection: sqlite3.Connection, *, number: int) -> None:
    """Remove a request."""
    connection.execute("DELETE FROM requests WHERE number = ?", (number,))


def untaken(connection: sqlite3.Connection, *, after: int, now: dt.datetime) -> Sequence[requests.TakenRequest]:
    """Return the requests with higher numbers that somebody waits for: one that was begun whatever its time."""
    found = connection.execute(
        "SELECT number, kind, body FROM requests WHERE number > ? AND is_answered = 0 "
        "AND (take_by >= ? OR reply IS NOT NULL) ORDER BY number",
        (after, rows.to_micros(now)),
    )
    return tuple(
        requests.TakenRequest(number=number, kind=requests.RequestKind(kind), body=body) for number, kind, body in found
    )


def reply(connection: sqlite3.Connection, *, number: int, body: str, is_final: bool) -> bool:
    """Store an answer; see `requests.AnsweringQueue`."""
    return bool(
        connection.execute(
            "UPDATE requests SET reply = ?, is_answered = ? WHERE number = ?", (body, is_final, number)
        ).rowcount
    )
