"""Organizations whose messages are held: why, since when, and when to judge them anew; pure."""

import dataclasses
import datetime as dt
from collections.abc import Iterator
from typing import Final

from mailtier.api import doubling
from mailtier.mail import reasons
from mailtier.sender import ports
from mailtier.sender.scheduling import standing

_RECHECKS: Final = doubling.Backoff(first=dt.timedelta(seconds=5), most=dt.timedelta(minutes=1))
"""R9: a Secret that is not right yet is read again after 5 s, backing off to a minute."""
FIRST_RECHECK_SECONDS: Final = _RECHECKS.first.total_seconds()

TOLD_AFTER_SECONDS: Final = 10.0
"""A hold shorter than that is not worth a write for each of its messages."""


@dataclasses.dataclass(slots=True, kw_only=True)
class Hold:
    """A hold in force.

    Attributes:
        since: Seconds of the monotonic clock.
        recheck_at: When to try again without being told of a change; None where only a change helps.
        judged: How often it was judged so, the first time included.
    """

    held: standing.Held
    since: float
    recheck_at: float | None
    judged: int


class Holds:
    """All holds in force. Times are seconds of a monotonic clock."""

    def __init__(self) -> None:
        self._holds: dict[ports.LaneKey, Hold] = {}
        self._on_trial: dict[ports.LaneKey, Hold] = {}

    def __len__(self) -> int:
        return len(self._holds)

    def find(self, key: ports.LaneKey) -> Hold | None:
        """Return an organization's hold."""
        return self._holds.get(key)

    def current(self) -> dict[ports.LaneKey, standing.Held]:
        """Return why each organization is held."""
        return {key: hold.held for key, hold in self._holds.items()}

    def hold(
        self, key: ports.LaneKey, held: standing.Held, *, now: float, recheck: bool, trial_at: float | None = None
    ) -> bool:
        """Begin a hold, or go on with it; return whether it is a new one, or has another reason.

        Args:
            key: The organization.
            held: Why.
            now: Seconds of the monotonic clock.
            recheck: Whether time alone may mend it.
            trial_at: When it may be mended, where that is known and comes first.
        """
        former = self._holds.get(key) or self._on_trial.pop(key, None)
        # A hold that was ended only for a trial goes on where it was.
        goes_on = former is not None and former.held.reason == held.reason
        judged = former.judged + 1 if former and goes_on else 1
        recheck_at = now + _RECHECKS.ceiling(judged).total_seconds()
        if trial_at is not None:
            recheck_at = min(recheck_at, trial_at)
        self._holds[key] = Hold(
            held=held,
            since=former.since if former and goes_on else now,
            recheck_at=recheck_at if recheck else None,
            judged=judged,
        )
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
            if hold.recheck_at is not None and hold.recheck_at <= now:
                yield key

    def to_fail(self, now: float) -> Iterator[tuple[ports.LaneKey, reasons.DeliveryReason]]:
        """Yield the organizations whose messages are given up, and why."""
        for key, hold in list(self._holds.items()):
            held = hold.held
            if held.fails_after is None or held.fails_with is None:
                continue
            if hold.since + held.fails_after.total_seconds() <= now:
                yield key, held.fails_with

    def is_told(self, key: ports.LaneKey, now: float) -> bool:
        """Return whether an organization's messages are to be shown as held."""
        hold = self._holds.get(key)
        return hold is not None and hold.since + TOLD_AFTER_SECONDS <= now
