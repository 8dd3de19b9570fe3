"""How much a server was found to take, learned from its refusals: down at once, and up again slowly; pure."""

import dataclasses
import datetime as dt
from typing import Final, Self

from mailtier.api import doubling
from mailtier.sender.scheduling import limiter

_RAISES: Final = doubling.Backoff(first=dt.timedelta(minutes=1), most=dt.timedelta(minutes=15))
"""After how long one connection more is tried; longer each time that one more was too many."""

_RATE_DOUBLES_SECONDS: Final = 60.0
_FIRST_RATE: Final = 6
"""Messages a minute, where nothing is known of how many were taken."""
_FREE_RATE: Final = 600
"""A server that takes so many a minute is not limited any more."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Learned:
    """What is learned of one server, as the next process is to know it. Times are seconds of a monotonic clock.

    Attributes:
        connections: How many it took when it refused last; None where it did not.
        lessened_at: When that was.
        raises_failed: How often one more was too many.
        rate: How many messages a minute it took then; None where it refused none.
        slowed_at: When that was.
    """

    connections: int | None
    lessened_at: float
    raises_failed: int
    rate: int | None
    slowed_at: float


class Throttle:
    """What is learned of one server for one who uses it. Times are seconds of a monotonic clock.

    Whoever is refused with several connections uses half of them from then on; with one alone, half of the messages a
    minute that were taken. Refusals of what began before the last time say nothing new.

    Attributes:
        epoch: How often it was lessened.
    """

    def __init__(self) -> None:
        self.epoch = 0
        self._connections: int | None = None
        self._lessened_at = float("-inf")
        self._raises_failed = 0
        self._rate: int | None = None
        self._slowed_at = float("-inf")
        self._meter = limiter.Meter()
        self._minute_at = float("-inf")
        self._taken = self._taken_before = 0

    @classmethod
    def of(cls, learned: Learned) -> Self:
        """Return one that begins with what an earlier process learned."""
        made = cls()
        made._connections, made._lessened_at = learned.connections, learned.lessened_at
        made._raises_failed = learned.raises_failed
        made._rate, made._slowed_at = learned.rate, learned.slowed_at
        return made

    def learned(self) -> Learned:
        """Return what is to be known of it by the next process."""
        return Learned(
            connections=self._connections,
            lessened_at=self._lessened_at,
            raises_failed=self._raises_failed,
            rate=self._rate,
            slowed_at=self._slowed_at,
        )

    def connections(self, cap: int, now: float) -> int:
        """Return how many connections may be used at a time, `cap` at most."""
        if self._connections is None:
            return cap
        every_seconds = _RAISES.ceiling(max(1, self._raises_failed)).total_seconds()
        return min(cap, self._connections + int((now - self._lessened_at) // every_seconds))

    def rate(self, now: float) -> int | None:
        """Return how many messages a minute may go; None without a limit."""
        if self._rate is None:
            return None
        doubled = self._rate * 2 ** min(int((now - self._slowed_at) // _RATE_DOUBLES_SECONDS), 10)
        return doubled if doubled < _FREE_RATE else None

    def is_over(self, cap: int, now: float) -> bool:
        """Return whether nothing is limited any more."""
        return self.connections(cap, now) >= cap and self.rate(now) is None

    def allowed_at(self, now: float) -> float:
        """Return when the next message may go; at most `now` if it may go now."""
        rate = self.rate(now)
        return now if rate is None else limiter.RateLimiter(rate, self._meter).allowed_at(now)

    def note_gone(self, now: float) -> None:
        """Count a message that goes now."""
        if (rate := self.rate(now)) is not None:
            limiter.RateLimiter(rate, self._meter).take(now)

    def note_taken(self, now: float) -> None:
        """Count a message that the server took."""
        self._turn_minute(now)
        self._taken += 1

    def lessen(self, *, used: int, floor: int, cap: int, now: float) -> int | None:
        """Use fewer connections, and return how many; None where they are as few as they may be.

        Args:
            used: How many were in use when one was refused, at least 2.
            floor: How many are left in any case, at least 1.
            cap: How many there might be.
            now: Seconds of the monotonic clock.
        """
        present = self.connections(cap, now)
        fewer = max(floor, min(present, used) // 2)
        if fewer >= present:
            return None
        self._raises_failed += self._connections is not None and present > self._connections
        self._connections, self._lessened_at = fewer, now
        self.epoch += 1
        return fewer

    def slow_down(self, now: float) -> int:
        """Let fewer messages go, and return how many a minute; the next one waits for its time."""
        self._turn_minute(now)
        known = self.rate(now) or self._taken + self._taken_before or 2 * _FIRST_RATE
        self._rate, self._slowed_at = max(1, known // 2), now
        self.epoch += 1
        self.note_gone(now)
        return self._rate

    def _turn_minute(self, now: float) -> None:
        passed = (now - self._minute_at) // _RATE_DOUBLES_SECONDS
        if passed >= 1:
            self._taken_before = self._taken if passed < 2 else 0  # noqa: PLR2004 - the minute before this one.
            self._taken, self._minute_at = 0, now
