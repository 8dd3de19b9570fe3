"""Addresses that servers refused as unknown, as `queueing.suppressions` has it."""

import collections
import dataclasses
import datetime as dt
import sqlite3
from collections.abc import Sequence
from typing import Final

from mailtier.api import vocabulary
from mailtier.sender import ports
from mailtier.sender.between import filing
from mailtier.sender.queueing import suppressions
from mailtier.sender.storage import values

JOIN: Final = f"""
    LEFT JOIN suppressions x ON x.namespace_uid = n.namespace_uid AND x.organization = n.organization
        AND x.address = lower(r.address) AND x.refusals >= {suppressions.REFUSALS}
"""
"""Finds until when nothing is sent to a recipient `r` of a notification `n`: `x.until`; SQLite's `lower` is ASCII's."""

_ALL: Final = ""
"""No organization has this name."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Refused:
    """A recipient that was refused, and where it belongs."""

    namespace_uid: str
    organization: str
    address: str
    category: vocabulary.Category
    notification: int


def note(connection: sqlite3.Connection, outcomes: Sequence[ports.Outcome]) -> None:
    """Count the refusals among outcomes that are being stored, and forget the oldest where there are too many."""
    charged = collections.Counter[str]()
    for outcome in outcomes:
        # Nearly none of them: what was accepted costs no statement.
        if outcome.failure is None or outcome.due_at is not None:
            continue
        refused = _read(connection, outcome.recipient_number)
        if suppressions.is_refusal(outcome, refused.category):
            _count(connection, refused, outcome.at)
            charged[refused.namespace_uid] += 1
    for namespace_uid in charged:
        connection.execute(
            "DELETE FROM suppressions WHERE (namespace_uid, organization, address) IN ("
            "SELECT namespace_uid, organization, address FROM suppressions WHERE namespace_uid = ? "
            "ORDER BY refused_at DESC LIMIT -1 OFFSET ?)",
            (namespace_uid, suppressions.MOST),
        )


def read_page(
    connection: sqlite3.Connection, *, namespace_uid: str, now: dt.datetime, after: filing.SuppressionKey, limit: int
) -> filing.SuppressionPage:
    """Return a part of a list; see `filing.FilingQueue`."""
    found = connection.execute(
        "SELECT organization, address, refused_at, until FROM suppressions "
        "WHERE namespace_uid = ? AND (organization, address) > (?, ?) AND refusals >= ? AND until > ? "
        "ORDER BY organization, address LIMIT ?",
        (namespace_uid, *after, suppressions.REFUSALS, values.to_micros(now), limit + 1),
    ).fetchall()
    return values.to_suppression_page(found, limit)


def clear(
    connection: sqlite3.Connection, *, namespace_uid: str, organization: str | None, addresses: Sequence[str] | None
) -> int:
    """Forget refusals; return of how many addresses. See `filing.FilingQueue`."""
    wanted = "DELETE FROM suppressions WHERE namespace_uid = ? AND ? IN (organization, ?)"
    key = (namespace_uid, _ALL if organization is None else organization, _ALL)
    if addresses is None:
        return connection.execute(wanted, key).rowcount
    return sum(
        connection.execute(f"{wanted} AND address = ?", (*key, suppressions.normalized(address))).rowcount
        for address in addresses
    )


def count(connection: sqlite3.Connection, *, now: dt.datetime) -> int:
    """Return to how many addresses nothing is sent."""
    (found,) = connection.execute(
        "SELECT count(*) FROM suppressions WHERE refusals >= ? AND until > ?",
        (suppressions.REFUSALS, values.to_micros(now)),
    ).fetchone()
    return int(found)


def sweep(connection: sqlite3.Connection, *, now: dt.datetime) -> None:
    """Forget what is over."""
    connection.execute("DELETE FROM suppressions WHERE until <= ?", (values.to_micros(now),))


def _read(connection: sqlite3.Connection, recipient: int) -> _Refused:
    uid, organization, address, category, notification = connection.execute(
        "SELECT n.namespace_uid, n.organization, r.address, n.category, n.number "
        "FROM recipients r JOIN notifications n ON n.number = r.notification WHERE r.number = ?",
        (recipient,),
    ).fetchone()
    return _Refused(
        namespace_uid=uid,
        organization=organization,
        address=suppressions.normalized(address),
        category=vocabulary.Category(category),
        notification=notification,
    )


def _count(connection: sqlite3.Connection, refused: _Refused, at: dt.datetime) -> None:
    key = (refused.namespace_uid, refused.organization, refused.address)
    row = connection.execute(
        "SELECT refusals, notification, refused_at, until FROM suppressions "
        "WHERE namespace_uid = ? AND organization = ? AND address = ?",
        key,
    ).fetchone()
    known = suppressions.after(values.to_refused_address(row), notification=refused.notification, at=at)
    connection.execute(
        "INSERT OR REPLACE INTO suppressions "
        "(namespace_uid, organization, address, refusals, notification, refused_at, until) "
        "VALUES (?, ?, ?, ?, ?, ?, ?)",
        (*key, known.refusals, known.notification, values.to_micros(known.refused_at), values.to_micros(known.until)),
    )
