"""Claiming: what is due of backlogs, read with all that its messages are built from."""

import dataclasses
import datetime as dt
import itertools
import json
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from typing import Final

from mailtier.mail import states
from mailtier.sender import ports
from mailtier.sender.storage import values
from mailtier.sender.storage.sqlite import known_rows, rows, suppressions

_OF_STATE: Final = """
    SELECT * FROM (
        SELECT due_at, number FROM recipients INDEXED BY recipients_by_backlog
        WHERE backlog = :backlog AND state = '{state}' AND due_at IS NOT NULL ORDER BY due_at, number LIMIT :limit
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
_WEIGHED: Final = 8
"""Recipients of a demand from which on it is looked first how many of them fit, and only those are read."""

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


def read_backlogs(connection: sqlite3.Connection) -> dict[ports.BacklogKey, dt.datetime]:
    """Return every backlog that has a recipient without a final state, and when its first one is due."""
    firsts = ", ".join(
        f"(SELECT min(due_at) FROM recipients WHERE backlog = b.number AND state = '{state.value}' "  # noqa: S608
        "AND due_at IS NOT NULL)"
        for state in sorted(states.UNFINISHED)
    )
    found = connection.execute(f"SELECT namespace_uid, namespace, organization, category, {firsts} FROM backlogs b")  # noqa: S608
    backlogs = {}
    for uid, namespace, organization, category, *due in found:
        if known := [at for at in due if at is not None]:
            backlogs[values.to_key(uid, namespace, organization, category)] = rows.from_micros(min(known))
    return backlogs


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
    chosen: dict[int, _Choice] = {}
    choices = []
    for demand in demands:
        found, left = _choose(connection, demand, numbers.get(demand.backlog), claimed(demand.backlog))
        choices.append(_Choice(demand, found, left))
        chosen |= dict.fromkeys(_fitting(connection, found, demand.limit_bytes), choices[-1])
    # One read for all of them: of a thousand organizations each has a message or two.
    for job in _read(connection, list(chosen)):
        chosen[job.pending.recipient_number].offer(job)
    next_due: dict[ports.BacklogKey, dt.datetime | None] = {}
    for choice in choices:
        left = choice.left
        if len(choice.taken) < len(choice.found):
            left = (_read_due(connection, choice.found[len(choice.taken)]), *left)
        next_due[choice.demand.backlog] = rows.from_micros(min(left)) if left else None
    return ports.Claims(claimed=[job for choice in choices for job in choice.taken], next_due=next_due)


@dataclasses.dataclass(slots=True, eq=False)
class _Choice:
    """What was chosen for a demand.

    Attributes:
        found: Recipients, those first that are due first.
        left: When what is left is due: the first, if any.
        taken: Those that there is room for.
        weight_bytes: Of their payloads.
        is_full: Whether one did not fit.
    """

    demand: ports.Demand
    found: Sequence[int]
    left: Sequence[int]
    taken: list[ports.Claimed] = dataclasses.field(default_factory=list)
    weight_bytes: int = 0
    is_full: bool = False

    def offer(self, job: ports.Claimed) -> None:
        """Take the next one, unless it or one before it is too much; the first is taken in any case."""
        fits = not self.taken or self.weight_bytes + job.payload_bytes <= self.demand.limit_bytes
        self.is_full = self.is_full or not fits
        if not self.is_full:
            self.taken.append(job)
            self.weight_bytes += job.payload_bytes


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


def claim_these(connection: sqlite3.Connection, *, recipients: Sequence[int]) -> Sequence[ports.Pending]:
    """Return those of some recipients that have no final state."""
    return [rows.to_pending(row) for row in connection.execute(_THESE, (json.dumps(list(recipients)),))]


def _choose(
    connection: sqlite3.Connection, demand: ports.Demand, number: int | None, claimed: AbstractSet[int]
) -> tuple[Sequence[int], Sequence[int]]:
    """Return the recipients to claim, and the times at which what is left of them is due: the first, if any.

    Args:
        number: The backlog's; None where it has none.
    """
    if number is None:
        return (), ()
    statement = " UNION ALL ".join(_OF_STATE.format(state=state.value) for state in sorted(demand.states))
    due_by = float("inf") if demand.due_by is None else rows.to_micros(demand.due_by)
    due_from = float("inf") if demand.due_from is None else rows.to_micros(demand.due_from)
    chosen: list[int] = []
    # One more than could be chosen tells what is left.
    arguments = {"backlog": number, "limit": demand.limit + len(claimed) + 1}
    found = connection.execute(f"{statement} ORDER BY 1, 2", arguments)
    for due_at, recipient in found:
        if recipient in claimed:
            continue
        if len(chosen) == demand.limit or due_by < due_at < due_from:
            return chosen, (due_at,)
        chosen.append(recipient)
    return chosen, ()


def _fitting(connection: sqlite3.Connection, found: Sequence[int], limit_bytes: int) -> Sequence[int]:
    """Return the recipients for which there is room: the first in any case, and few unseen."""
    if len(found) < _WEIGHED:
        return found
    weights = dict(connection.execute(_WEIGHTS, (json.dumps(list(found)),)).fetchall())
    sums = itertools.accumulate(weights.get(number, 0) for number in found)
    return [
        number for place, (number, sum_) in enumerate(zip(found, sums, strict=True)) if not place or sum_ <= limit_bytes
    ]


def _read(connection: sqlite3.Connection, recipients: Sequence[int]) -> Iterator[ports.Claimed]:
    if not recipients:
        return
    yield from values.to_claimed(connection.execute(_JOBS, (json.dumps(list(recipients)),)))


def _read_due(connection: sqlite3.Connection, recipient: int) -> int:
    (due_at,) = connection.execute("SELECT due_at FROM recipients WHERE number = ?", (recipient,)).fetchone()
    return int(due_at)


def _find(connection: sqlite3.Connection, key: ports.BacklogKey) -> int | None:
    row = connection.execute(
        "SELECT number FROM backlogs WHERE namespace_uid = ? AND namespace = ? AND organization = ? AND category = ?",
        _columns(key),
    ).fetchone()
    return None if row is None else int(row[0])


def _columns(key: ports.BacklogKey) -> tuple[str, ...]:
    return key.lane.namespace_uid, key.lane.namespace, key.lane.organization, key.category.value
