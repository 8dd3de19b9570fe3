"""Organizations whose messages are held: why, since when, and when to judge them anew; pure."""

import dataclasses
import datetime as dt
from collections.abc import Iterator
from typing import Final

from mailtier.api import doubling
from mailtier.mail import reasons
from mailtier.sender import ports
from mailtier.sender.scheduling import waits

_RECHECKS: Final = doubling.Backoff(first=dt.timedelta(seconds=5), most=dt.timedelta(minutes=1))
"""R9: a Secret that is not right yet is read again after 5 s, backing off to a minute."""
FIRST_RECHECK_SECONDS: Final = _RECHECKS.first.total_seconds()

LASTING_SECONDS: Final = 10.0
"""A hold shorter than that is not worth a write for each of its messages."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Hold:
    """A hold in force.

    Attributes:
        since: Seconds of the monotonic clock.
        judged: How often it was judged so, the first time included.
    """

    wait: waits.Wait
    since: float
    judged: int


class Holds:
    """All holds in force. Times are seconds of a monotonic clock."""

    def __init__(self) -> None:
        self._holds: dict[ports.LaneKey, _Hold] = {}
        self._on_trial: dict[ports.LaneKey, _Hold] = {}

    def __len__(self) -> int:
        return len(self._holds)

    def find(self, key: ports.LaneKey) -> waits.Wait | None:
        """Return what an organization is held for; None where it is not held."""
        hold = self._holds.get(key)
        return None if hold is None else hold.wait

    def current(self) -> dict[ports.LaneKey, waits.Wait]:
        """Return what each organization is held for."""
        return {key: hold.wait for key, hold in self._holds.items()}

    def hold(self, key: ports.LaneKey, wait: waits.Wait, *, now: float, recheck: bool) -> bool:
        """Begin a hold, or go on with it; return whether it is a new one, or has another reason.

        Args:
            key: The organization.
            wait: What for; where it has a time, that is when it may be over.
            now: Seconds of the monotonic clock.
            recheck: Whether it may be over without being told, so that it is judged anew after some time, and after
                more the more often that was for nothing.
        """
        former = self._holds.get(key) or self._on_trial.pop(key, None)
        # A hold that was ended only for a trial goes on where it was.
        goes_on = former is not None and former.wait.reason == wait.reason
        judged = former.judged + 1 if former and goes_on else 1
        if recheck:
            wait = dataclasses.replace(wait, until=min(wait.until, now + _RECHECKS.ceiling(judged).total_seconds()))
        self._holds[key] = _Hold(wait=wait, since=former.since if former and goes_on else now, judged=judged)
        return not goes_on

    def end(self, key: ports.LaneKey) -> None:
        """End a hold because what caused it has changed."""
        self._holds.pop(key, None)
        self._on_trial.pop(key, None)

    def begin_trial(self, key: ports.LaneKey) -> None:
        """End a hold to see whether its cause is gone; it is remembered until `confirm`."""
        hold = self._holds.pop(key, None)
        if hold is not None:
            self._on_trial[key] = hold

    def confirm(self, key: ports.LaneKey) -> None:
        """Forget what the organization was held for before the trial: it works again."""
        self._on_trial.pop(key, None)

    def to_recheck(self, now: float) -> Iterator[ports.LaneKey]:
        """Yield the organizations to be judged anew."""
        for key, hold in list(self._holds.items()):
            if hold.wait.until <= now:
                yield key

    def to_fail(self, now: float) -> Iterator[tuple[ports.LaneKey, reasons.DeliveryReason]]:
        """Yield the organizations whose messages are given up, and why."""
        for key, hold in list(self._holds.items()):
            wait = hold.wait
            if wait.fails_after is None or wait.fails_with is None:
                continue
            if hold.since + wait.fails_after.total_seconds() <= now:
                yield key, wait.fails_with

    def lasts(self, key: ports.LaneKey, now: float) -> bool:
        """Return whether an organization's messages are to be stored as held."""
        hold = self._holds.get(key)
        return hold is not None and hold.since + LASTING_SECONDS <= now
