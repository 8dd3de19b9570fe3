"""When a server is left alone: after a fault of its own, for a pause that doubles until it works again."""

import datetime as dt
import enum
from typing import Final

from mailtier.api import doubling

_PAUSES: Final = doubling.Backoff(first=dt.timedelta(seconds=1), most=dt.timedelta(minutes=5))
LONGEST_PAUSE_SECONDS: Final = _PAUSES.most.total_seconds()


class BreakerState(enum.StrEnum):
    """Whether sessions may be opened."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half open"
    """The pause is over, or the server was never used: one session may try."""


class Breaker:
    """The memory of one server's faults. Times are seconds of a monotonic clock.

    It counts faults of the server alone, and any of them opens it: the first pause is as short as a lost
    connection deserves, and a server that is down is tried every few minutes. It begins half open: thousands of
    servers that never answer are then as many connections, and not as many times the limit of each. That it lets
    somebody in is enough to end that: what the first message comes to may take minutes.
    """

    __slots__ = ("_faults", "_proven", "_retry_at", "_trial")

    def __init__(self) -> None:
        self._faults = 0
        self._proven = False
        self._retry_at = 0.0
        self._trial = False

    def state(self, now: float) -> BreakerState:
        """Return whether sessions may be opened."""
        if self._faults == 0 and self._proven:
            return BreakerState.CLOSED
        return BreakerState.HALF_OPEN if now >= self._retry_at else BreakerState.OPEN

    @property
    def faults(self) -> int:
        """How many faults came in a row, each after the pause of the one before."""
        return self._faults

    def restore(self, faults: int, *, now: float, retry_at: float) -> None:
        """Begin with the faults that an earlier process counted.

        Args:
            faults: How many, in a row.
            now: Seconds of the monotonic clock.
            retry_at: When their pause ends; never later than the longest pause from now.
        """
        self._faults = faults
        self._retry_at = min(retry_at, now + LONGEST_PAUSE_SECONDS)

    @property
    def retry_at(self) -> float:
        """When the pause ends; in the past where there is none."""
        return self._retry_at

    def awaits_trial(self, now: float) -> bool:
        """Return whether a pause is over, and nobody has tried since."""
        return bool(self._faults) and not self._trial and self.state(now) is BreakerState.HALF_OPEN

    def acquire(self, now: float) -> bool:
        """Return whether a session may be used now; half open, only one at a time gets leave."""
        match self.state(now):
            case BreakerState.CLOSED:
                return True
            case BreakerState.OPEN:
                return False
            case BreakerState.HALF_OPEN:
                if self._trial:
                    return False
                self._trial = True
                return True

    def give_back(self) -> None:
        """Give leave back without news, so that another may try."""
        self._trial = False

    def note_alive(self) -> None:
        """Note that the server greets, whatever it said to somebody: if it had no faults, all may use it."""
        if self._faults == 0:
            self._proven = True
            self._trial = False

    def allow_trial(self, now: float) -> None:
        """End the pause, and forget none of its faults."""
        self._retry_at = min(self._retry_at, now)

    def succeed(self) -> None:
        """Note that the server works."""
        self._faults = 0
        self._proven = True
        self._trial = False
        self._retry_at = 0.0

    def fail(self, now: float, *, jitter: float) -> None:
        """Note a fault of the server.

        Faults that arrive during a pause come from sessions that were open before; they say nothing new and do
        not lengthen it, or a hundred connections lost at once would be a pause of hours.

        Args:
            now: Seconds of the monotonic clock.
            jitter: Random number in [0, 1): the pause is drawn from its upper half.
        """
        self._trial = False
        if self.state(now) is BreakerState.OPEN:
            return
        self._faults += 1
        self._retry_at = now + _PAUSES.after(self._faults, jitter=jitter).total_seconds()
