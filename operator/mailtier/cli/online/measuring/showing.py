"""What is under way, as text and as a document; pure."""

import datetime as dt
from collections.abc import Mapping
from typing import Any, Final

from mailtier.api import prose
from mailtier.cli import tables, terminal
from mailtier.cli.online.measuring import activity

_NAMED: Final = 6
_OLD_SECONDS: Final = 3_600


def text(found: activity.Activity, *, now: dt.datetime, painter: terminal.Painter, width: int) -> list[str]:
    """Return lines for people: the whole, then the organizations with a backlog, the largest first.

    Args:
        found: What is under way.
        now: Aware UTC time, for ages.
        painter: Colours, or does not.
        width: Characters of a line.
    """
    titles: dict[str, list[tables.Cell]] = {
        "Queue": _queue(found),
        "Rates": _rates(found),
        "Met": [(", ".join(f"{reason} {rate:.1f}/s" for reason, rate in list(found.met.items())[:_NAMED]), None)],
        "Servers": _servers(found),
        "Held": [(_listed(found.holds), terminal.Colour.WAITING)],
        "Pods": [(f"{pod}: {problem}", terminal.Colour.BAD) for pod, problem in found.problems.items()],
    }
    lines = [
        line
        for title, parts in titles.items()
        if any(part for part, _ in parts)
        for line in tables.titled(title, parts, painter, width)
    ]
    return [*lines, "", *_organizations(found, now, painter, width)]


def document(found: activity.Activity) -> dict[str, Any]:
    """Return it for programs."""
    return {
        "recipients": dict(found.states),
        "oldestSeconds": round(found.oldest_seconds, 1),
        "ratesPerSecond": {name: round(rate, 2) for name, rate in found.rates.items()},
        "metPerSecond": {reason: round(rate, 2) for reason, rate in found.met.items()},
        "destinations": dict(found.destinations),
        "sessions": found.sessions,
        "holds": dict(found.holds),
        "problems": dict(found.problems),
        "organizations": [
            {
                "namespace": each.namespace,
                "name": each.name,
                "queued": each.queued,
                "deferred": each.deferred,
                "held": each.held,
                **({"oldest": terminal.stamp(each.oldest_at)} if each.oldest_at else {}),
                **({"reason": each.reason} if each.reason else {}),
            }
            for each in found.organizations
        ],
    }


def _queue(found: activity.Activity) -> list[tables.Cell]:
    total = sum(found.states.values())
    told = f"{prose.counted(total, 'recipient')}{f': {_listed(found.states)}' if total else ''}"
    if not total:
        return [(told, None)]
    is_old = found.oldest_seconds >= _OLD_SECONDS
    age = f"the oldest for {terminal.age(found.oldest_seconds)}"
    return [(told, None), (age, terminal.Colour.BAD if is_old else None)]


def _rates(found: activity.Activity) -> list[tables.Cell]:
    if not found.rates:
        return [("", None)]
    rates = found.rates
    return [
        (f"{rates['taken']:.1f}/s taken", None),
        (f"{rates['delivered']:.1f}/s delivered", terminal.Colour.GOOD if rates["delivered"] else None),
        (f"{rates['failed']:.1f}/s failed", terminal.Colour.BAD if rates["failed"] else None),
        (f"{rates['attempts']:.1f}/s attempts", None),
    ]


def _servers(found: activity.Activity) -> list[tables.Cell]:
    told = [(f"{count} with their breaker {breaker}", None) for breaker, count in found.destinations.items()]
    return [*told, (f"{prose.counted(found.sessions, 'session')} open", None)]


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items())


def _organizations(found: activity.Activity, now: dt.datetime, painter: terminal.Painter, width: int) -> list[str]:
    if not found.organizations:
        return ["No organization has a backlog."]
    return tables.table(
        ("ORGANIZATION", "QUEUED", "DEFERRED", "HELD", "OLDEST", "REASON"),
        [
            (
                (f"{each.namespace}/{each.name}", None),
                *((f"{count:,}" if count else "-", None) for count in (each.queued, each.deferred, each.held)),
                (terminal.age((now - each.oldest_at).total_seconds()) if each.oldest_at else "", None),
                (each.reason, terminal.Colour.BAD),
            )
            for each in found.organizations
        ],
        painter,
        width=width,
        folded=("REASON",),
    )
