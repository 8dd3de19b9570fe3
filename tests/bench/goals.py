"""What the sender is to reach, and whether the figures of a run do: each goal is a ratio or a bound of one run."""

import collections.abc
import dataclasses
import typing

from bench import message
from bench.sender import table

Tables = collections.abc.Mapping[str, collections.abc.Sequence[collections.abc.Mapping[str, table.Cell]]]
"""Rows by the name of their table, as a bench writes them."""

_FEW, _SOME, _MANY = 20, 100, 1_000
_BATCH = 50


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """One of them.

    Attributes:
        what: What is measured.
        unit: Of both figures.
        bound: The least, or the most, that it is to be.
        is_most: Whether it is the most.
        found: Returns it; None where the run did not measure it.
    """

    what: str
    unit: str
    bound: float
    is_most: bool = False
    found: collections.abc.Callable[[Tables], float | None]

    def verdict(self, found: float) -> str:
        """Return whether a figure reaches it."""
        return "reached" if (found <= self.bound if self.is_most else found >= self.bound) else "missed"


def new_table() -> table.Table:
    """Return the table, without rows."""
    return table.Table(
        name="goals",
        title="Goals",
        columns={"what": "what", "found": "found", "bound": "goal", "unit": "unit", "verdict": "verdict"},
    )


def judge(tables: Tables, into: table.Table) -> None:
    """Add a row for each goal."""
    for goal in GOALS:
        found = goal.found(tables)
        into.add(
            what=goal.what,
            found=found,
            bound=f"{'at most' if goal.is_most else 'at least'} {goal.bound:g}",
            unit=goal.unit,
            verdict="not measured" if found is None else goal.verdict(found),
        )


def _cell(tables: Tables, name: str, column: str, **where: table.Cell) -> float | None:
    """Return a figure of the first row in which columns have values."""
    for row in tables.get(name, ()):
        found = row.get(column)
        if isinstance(found, float | int) and all(row.get(key) == value for key, value in where.items()):
            return float(found)
    return None


def _whole(requests: int, organizations: int) -> collections.abc.Callable[[Tables], float | None]:
    return lambda tables: _cell(tables, "whole way", "per_second", organizations=organizations, requests=requests)


def _ratio(
    above: collections.abc.Callable[[Tables], float | None], below: collections.abc.Callable[[Tables], float | None]
) -> collections.abc.Callable[[Tables], float | None]:
    def found(tables: Tables) -> float | None:
        over, under = above(tables), below(tables)
        return over / under if over is not None and under else None

    return found


def _last_us(organizations: int) -> collections.abc.Callable[[Tables], float | None]:
    """Return the CPU of a message in the last row of single notifications with so many organizations."""

    def found(tables: Tables) -> float | None:
        rows = [row for row in tables.get("whole way", ()) if row.get("organizations") == organizations]
        return next((_number(row, "sender_us") for row in reversed(rows) if row.get("requests") == 1), None)

    return found


def _number(row: collections.abc.Mapping[str, table.Cell], column: str) -> float | None:
    found = row.get(column)
    return float(found) if isinstance(found, float | int) else None


def _transport(program: str, **where: table.Cell) -> collections.abc.Callable[[Tables], float | None]:
    """Return the rate of a program, with ten connections unless it is told otherwise."""
    wanted = {"connections": 10, "tls": "off", "round_trip_ms": None} | where

    def found(tables: Tables) -> float | None:
        for row in tables.get("transport", ()):
            if str(row.get("program", "")).startswith(program) and all(row.get(k) == v for k, v in wanted.items()):
                return _number(row, "per_second")
        return None

    return found


def _far(tables: Tables) -> float | None:
    found = _transport("ours", round_trip_ms=20)(tables)
    return None if found is None else found / 10


OURS: typing.Final = _transport("ours")

GOALS: typing.Final = (
    Goal(what="whole way, one a request, 20 organizations", unit="messages/s", bound=3_000, found=_whole(1, _FEW)),
    Goal(what="whole way, batches of 50, 20 organizations", unit="messages/s", bound=4_500, found=_whole(_BATCH, _FEW)),
    Goal(
        what="1,000 organizations, one a request, of the rate with 20",
        unit="x",
        bound=0.85,
        found=_ratio(_whole(1, _MANY), _whole(1, _FEW)),
    ),
    Goal(
        what="1,000 organizations, batches, of the rate with 20",
        unit="x",
        bound=0.85,
        found=_ratio(_whole(_BATCH, _MANY), _whole(_BATCH, _FEW)),
    ),
    Goal(
        what="ten times the organizations and messages, CPU of a message",
        unit="x",
        bound=1.15,
        is_most=True,
        found=_ratio(_last_us(_MANY), _last_us(_SOME)),
    ),
    Goal(
        what="p99 from a request to the reply, 1,000/s open loop",
        unit="ms",
        bound=20,
        is_most=True,
        found=lambda tables: _cell(tables, "latency", "p99_ms", rate=1_000.0),
    ),
    Goal(
        what="a message, rendered and built",
        unit="µs",
        bound=60,
        is_most=True,
        found=lambda tables: _cell(tables, "message", "us", what=message.BY_SENDER),
    ),
    Goal(what="transport, of smtp-source", unit="x", bound=0.8, found=_ratio(OURS, _transport("smtp-source"))),
    Goal(what="transport, of nodemailer", unit="x", bound=3, found=_ratio(OURS, _transport("nodemailer"))),
    Goal(what="transport, of go-mail", unit="x", bound=1.5, found=_ratio(OURS, _transport("go-mail"))),
    Goal(
        what="transport, CPU of a message",
        unit="µs",
        bound=35,
        is_most=True,
        found=lambda tables: _cell(
            tables, "transport", "client_us", program="ours", connections=10, tls="off", round_trip_ms=None
        ),
    ),
    Goal(what="a connection over a network of 20 ms", unit="messages/s", bound=40, found=_far),
    Goal(
        what="delivery, a connection over a network of 20 ms",
        unit="messages/s",
        bound=40,
        found=lambda tables: _cell(tables, "delivery", "per_second", connections=1, round_trip_ms=20),
    ),
)
