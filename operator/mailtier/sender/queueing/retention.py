"""What is kept how long after its end, and what is forgotten first where a namespace's share is used up."""

import dataclasses
import datetime as dt
from collections.abc import Iterable
from typing import Final

KEPT: Final = dt.timedelta(days=7)
"""How long a finished notification stays known, counted from its end or from when its object was last seen."""

FAILED_KEPT: Final = dt.timedelta(days=7)
"""How long the payload of a notification that failed is kept at most, and usually: never longer than its record."""

PROBES_KEPT: Final = dt.timedelta(days=30)
"""A probe result is kept this long after the last probe under its key; a key changes with the configuration."""

FORGOTTEN_AT_ONCE: Final = 500
"""Notifications in one turn: more than one comes to, so that a share that was made smaller is reached soon."""

# An object that stays in the cluster is offered at every relist; its retention is prolonged in steps of this size,
# so that a steady state writes nothing.
_SEEN_STEP: Final = dt.timedelta(hours=1)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class FinishedNotification:
    """A notification that may be forgotten before its time.

    That is one whose recipients are all final and not forgotten yet. Where it came as an object, its end must have been
    read from the feed: the status is the one place that keeps who failed, and why.

    Attributes:
        number: The queue's; grows with every notification.
        stored_bytes: What is kept of it takes.
        key_bytes: What of that stays where a repeat has to be known.
        is_known: Whether a repeat has to be known: it was sent with a key, or came as an object.
    """

    number: int
    stored_bytes: int
    key_bytes: int
    is_known: bool

    @property
    def freed_bytes(self) -> int:
        """What is free once it is forgotten."""
        return self.stored_bytes - self.key_bytes if self.is_known else self.stored_bytes


def keep_until(ended_at: dt.datetime) -> dt.datetime:
    """Return until when a notification stays known that ended then; never as long as it has not."""
    return ended_at + KEPT


def prolong(kept_until: dt.datetime | None, *, seen_at: dt.datetime) -> dt.datetime | None:
    """Return until when a notification is to be kept whose object was seen; None where nothing is to be written.

    Args:
        kept_until: As it is stored; None while it is not finished.
    """
    prolonged = seen_at + KEPT
    return prolonged if kept_until is not None and prolonged > kept_until + _SEEN_STEP else None


def choose(finished: Iterable[FinishedNotification], *, wanted_bytes: int) -> list[FinishedNotification]:
    """Return which notifications are forgotten before their time: no more than it takes, the oldest first.

    Args:
        finished: In the order of their numbers.
        wanted_bytes: How much is to be freed; less is where there is no more.
    """
    chosen, freed_bytes = list[FinishedNotification](), 0
    for each in finished:
        if freed_bytes >= wanted_bytes:
            break
        chosen.append(each)
        freed_bytes += each.freed_bytes
    return chosen
