"""What status says of a backlog: magnitudes, so that mail that flows is no news.

A queue changes with every message, and a status that followed it would be a write each. So a number is rounded down to
1, 2 or 5 times a power of ten, a time stays as long as the age that it tells is of the right magnitude, and what is
queued and leaves again at once is not told at all.
"""

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import Any, Final

from mailtier.api import feed
from mailtier.settings import transitions

FRESH: Final = dt.timedelta(seconds=30)
"""A backlog that is younger is mail on its way."""

FIELDS: Final = ("queued", "deferred", "held", "oldest")
"""Of `status.queue`."""

_STEPS: Final = (5, 2, 1)


def magnitude(count: int) -> int:
    """Return the largest of 0, 1, 2, 5, 10, 20, 50 and so on that is not above a number; negative ones are 0."""
    if count < 1:
        return 0
    power = int("1" + "0" * (len(str(count)) - 1))
    return next(step * power for step in _STEPS if step * power <= count)


def total(backlogs: Iterable[feed.QueueShare]) -> feed.QueueShare | None:
    """Return what is queued in all, of no organization; None for nothing."""
    found = list(backlogs)
    if not found:
        return None
    return feed.QueueShare(
        namespace="",
        namespace_uid="",
        organization="",
        queued=sum(each.queued for each in found),
        deferred=sum(each.deferred for each in found),
        held=sum(each.held for each in found),
        oldest_at=min(each.oldest_at for each in found),
    )


def told(backlog: feed.QueueShare | None, *, before: Mapping[str, Any], now: dt.datetime) -> dict[str, Any]:
    """Return what `status.queue` says of a backlog; nothing where it is fresh or there is none.

    Args:
        backlog: What is queued; None for nothing.
        before: What `status.queue` says now.
        now: Aware UTC time.
    """
    if backlog is None or now - backlog.oldest_at < FRESH:
        return {}
    return {
        "queued": magnitude(backlog.queued),
        "deferred": magnitude(backlog.deferred),
        "held": magnitude(backlog.held),
        "oldest": _oldest(backlog.oldest_at, before.get("oldest"), now),
    }


def part(queue: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return what a `status.queue` says of the backlog."""
    return {name: queue[name] for name in FIELDS if name in queue} if queue else {}


def _oldest(at: dt.datetime, before: str | None, now: dt.datetime) -> str:
    if before is not None:
        stood = transitions.moment(before) or now
        if _age(now - stood) == _age(now - at):
            return before
    return transitions.timestamp(at)


def _age(age: dt.timedelta) -> int:
    return magnitude(int(age.total_seconds()))
