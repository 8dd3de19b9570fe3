"""Claiming: what is due of backlogs, read with all that its messages are built from."""

import datetime as dt
import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Final

from mailtier.mail import states
from mailtier.sender import ports
from mailtier.sender.queueing import choosing
from mailtier.sender.storage import values
from mailtier.sender.storage.sqlite import known_rows, rows, suppressions

_OF_STATE: Final = """
    SELECT * FROM (
        SELECT number, due_at FROM recipients INDEXED BY recipients_by_backlog
        WHERE backlog = :backlog AND state = '{state}' AND due_at IS NOT NULL AND due_at >= :since
        ORDER BY due_at, number LIMIT :limit
    )
"""

_JOBS: Final = f"""
    SELECT r.number, r.state, r.due_at, n.id, n.namespace_uid, n.namespace, n.organization, n.category, n.severity,
           n.locale, r.address, n.number, n.payload_bytes, p.body, n.accepted_at, n.expires_at, r.attempts, r.doubts,
           s.settings, x.until, r.id_domain, NULL
    FROM json_each(?) AS wanted
    CROSS JOIN recipients r ON r.number = wanted.value
    CROSS JOIN notifications n ON n.number = r.notification
    CROSS JOIN payloads p ON p.notification = n.number
    LEFT JOIN snapshots s ON s.number = r.snapshot
    {suppressions.JOIN}
"""  # noqa: S608  # A part of a statement.
# In the order in which they are wanted, as CROSS JOIN keeps it: to sort them, all would be read before the first. NULL
# for the number of the Message-ID: nothing was moved here, so that it is the recipient's own.

_WEIGHTS: Final = """
    SELECT r.number, n.payload_bytes FROM json_each(?) AS wanted
    CROSS JOIN recipients r ON r.number = wanted.value
    CROSS JOIN notifications n ON n.number = r.notification
"""

_EXPIRED: Final = """
    SELECT r.number, n.namespace_uid, n.namespace, n.organization, n.category, r.state, r.due_at, n.expires_at,
           r.attempts
    FROM notifications n INDEXED BY notifications_by_expiry
    CROSS JOIN recipients r ON r.notification = n.number
    WHERE n.unfinished > 0 AND n.expires_at <= ? AND r.due_at IS NOT NULL
    ORDER BY n.expires_at
"""

_THESE: Final = """
    SELECT r.number, n.namespace_uid, n.namespace, n.organization, n.category, r.state, r.due_at, n.expires_at,
           r.attempts
    FROM json_each(?) AS wanted
    CROSS JOIN recipients r ON r.number = wanted.value
    CROSS JOIN notifications n ON n.number = r.notification
    WHERE r.due_at IS NOT NULL
"""

_HASTEN: Final = """
    UPDATE recipients SET due_at = :now WHERE number IN (
        SELECT r.number FROM backlogs b
        CROSS JOIN recipients r INDEXED BY recipients_by_backlog ON r.backlog = b.number
        WHERE b.namespace_uid = :uid AND b.namespace = :namespace AND b.organization = :organization
            AND r.state = 'deferred' AND r.due_at > :now
        LIMIT :limit
    )
"""

_ADOPTED_AT_ONCE: Final = 2_000


def adopt(connection: sqlite3.Connection) -> int:
    """Give recipients their backlogs that were stored without, so many at once; return how many there were."""
    found = connection.execute(
        "SELECT r.number, n.namespace_uid, n.namespace, n.organization, n.category "
        "FROM recipients r INDEXED BY recipients_by_backlog JOIN notifications n ON n.number = r.notification "
        "WHERE r.backlog IS NULL AND r.due_at IS NOT NULL LIMIT ?",
        (_ADOPTED_AT_ONCE,),
    ).fetchall()
    numbers = {key: number_of(connection, key) for key in {values.to_key(*key) for _, *key in found}}
    connection.executemany(
        "UPDATE recipients SET backlog = ? WHERE number = ?",
        [(numbers[values.to_key(*key)], one) for one, *key in found],
    )
    return len(found)


def number_of(connection: sqlite3.Connection, key: ports.BacklogKey) -> int:
    """Return the number of a backlog, which is given to it if it has none."""
    known = _find(connection, key)
    if known is not None:
        return known
    number = connection.execute(
        "INSERT INTO backlogs (namespace_uid, namespace, organization, category) VALUES (?, ?, ?, ?)", _columns(key)
    ).lastrowid
    assert number is not None, "an INSERT sets it"
    return number


def read_backlogs(
    connection: sqlite3.Connection, *, due_from: ports.DueFrom | None
) -> Mapping[ports.BacklogKey, dt.datetime]:
    """Return every backlog that has a recipient without a final state, and when that is due which is claimed first."""
    ends = ", ".join(
        f"(SELECT {end}(due_at) FROM recipients WHERE backlog = b.number AND state = '{state.value}' "  # noqa: S608
        "AND due_at IS NOT NULL)"
        for state in sorted(states.UNFINISHED)
        for end in ("min", "max")
    )
    found = connection.execute(f"SELECT namespace_uid, namespace, organization, category, {ends} FROM backlogs b")  # noqa: S608
    known = ((values.to_key(*row[:4]), [at for at in row[4:] if at is not None]) for row in found)
    return dict(values.to_first_due(key, min(due), max(due), due_from) for key, due in known if due)


def claim(
    connection: sqlite3.Connection,
    demands: Sequence[ports.Demand],
    *,
    claimed: Callable[[ports.BacklogKey], AbstractSet[int]],
) -> ports.Claims:
    """Return what is there of each demand, without what is claimed already.

    Args:
        claimed: Returns the recipients of a backlog that are claimed.
    """
    numbers = known_rows.backlogs_of(connection, {demand.backlog for demand in demands})
    choices = [values.to_choice(demand, claimed(demand.backlog)) for demand in demands]
    for choice in choices:
        if (number := numbers.get(choice.demand.backlog)) is not None:
            _look(connection, choice, number)
    heavy = choosing.to_weigh(choices)
    weights = dict(connection.execute(_WEIGHTS, (json.dumps(heavy),)).fetchall()) if heavy else {}
    chosen = {number: choice for choice in choices for number in choice.fitting(weights)}
    # One read for all of them: of a thousand organizations each has a message or two.
    for job in _read(connection, list(chosen)):
        chosen[job.pending.recipient_number].offer(job)
    return values.to_claims(choices)


def claim_expired(
    connection: sqlite3.Connection, *, now: dt.datetime, limit: int, claimed: AbstractSet[int]
) -> tuple[Sequence[ports.Pending], dt.datetime | None]:
    """Return recipients whose max age is reached, without what is claimed already, and when the next one's is."""
    found: list[ports.Pending] = []
    for row in connection.execute(_EXPIRED, (rows.to_micros(now),)):
        if row[0] not in claimed:
            found.append(rows.to_pending(row))
        if len(found) == limit:
            break
    (next_at,) = connection.execute(
        "SELECT min(expires_at) FROM notifications INDEXED BY notifications_by_expiry WHERE unfinished > 0"
    ).fetchone()
    return found, None if next_at is None else rows.from_micros(next_at)


def claim_these(connection: sqlite3.Connection, *, numbers: Sequence[int]) -> Sequence[ports.Pending]:
    """Return those of some recipients that have no final state."""
    return [rows.to_pending(row) for row in connection.execute(_THESE, (json.dumps(list(numbers)),))]


def hasten(connection: sqlite3.Connection, *, lane: ports.LaneKey, now: dt.datetime, limit: int) -> int:
    """Have deferred recipients of a lane be due now, so many at once; return how many there were."""
    arguments = {"uid": lane.namespace_uid, "namespace": lane.namespace, "organization": lane.organization}
    return connection.execute(_HASTEN, arguments | {"now": rows.to_micros(now), "limit": limit}).rowcount


def _look(connection: sqlite3.Connection, choice: choosing.BacklogChoice, number: int) -> None:
    """Choose recipients of the backlog that has a number."""
    statement = " UNION ALL ".join(_OF_STATE.format(state=state.value) for state in sorted(choice.demand.states))
    statement = f"{statement} ORDER BY 2, 1"
    arguments = {"backlog": number, "limit": choice.rows, "since": 0}
    choice.look(connection.execute(statement, arguments))
    if choice.beyond is not None:
        choice.look(connection.execute(statement, arguments | {"since": choice.beyond}))


def _read(connection: sqlite3.Connection, numbers: Sequence[int]) -> Iterator[ports.Claimed]:
    if not numbers:
        return
    yield from values.to_claimed(connection.execute(_JOBS, (json.dumps(list(numbers)),)))


def _find(connection: sqlite3.Connection, key: ports.BacklogKey) -> int | None:
    row = connection.execute(
        "SELECT number FROM backlogs WHERE namespace_uid = ? AND namespace = ? AND organization = ? AND category = ?",
        _columns(key),
    ).fetchone()
    return None if row is None else int(row[0])


def _columns(key: ports.BacklogKey) -> tuple[str, ...]:
    return key.lane.namespace_uid, key.lane.namespace, key.lane.organization, key.category.value
