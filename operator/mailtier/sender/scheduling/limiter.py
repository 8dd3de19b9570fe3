"""How many messages a minute, and how much of anything for each key: the generic cell rate algorithm."""

import dataclasses
from collections.abc import Hashable
from typing import Final, Generic, TypeVar

_K = TypeVar("_K", bound=Hashable)
_PRUNED_ABOVE: Final = 1_000

_MINUTE_SECONDS = 60.0
_SLACK_SECONDS: Final = 0.001
"""What is added and taken away again is not quite the same number."""

_BURST_SHARE = 10
"""A tenth of a minute's messages may go at once, so that a handful of notifications does not wait."""


class Meter:
    """What was sent so far, as the algorithm remembers it: one number, in seconds of a monotonic clock.

    Limiters that share one count each other's messages, each at its own rate.

    Args:
        full_at: As for `begin_full`; None where nothing was sent.
    """

    __slots__ = ("full_at", "next_at")

    def __init__(self, full_at: float | None = None) -> None:
        self.next_at = float("-inf")
        self.full_at = full_at

    def begin_full(self, at: float) -> None:
        """Count as many messages as may have been sent until a time: how many there were is not known."""
        self.full_at = at if self.full_at is None else max(at, self.full_at)


@dataclasses.dataclass(frozen=True, slots=True)
class Charge:
    """What one message cost; the limiter that took it may have another rate by now, or be gone.

    Attributes:
        until: When the meter has forgotten it.
    """

    meter: Meter
    seconds: float
    until: float

    def left(self, now: float) -> float:
        """Return what the meter has not forgotten of it."""
        return min(max(self.until - now, 0.0), self.seconds)

    def refund(self, now: float = float("-inf")) -> None:
        """Count a message less: it did not go after all.

        Args:
            now: What the meter has forgotten until then is not refunded; everything is by default.
        """
        self.meter.next_at -= self.left(now)


class RateLimiter:
    """Allows at most `per_minute` messages in any minute.

    Args:
        per_minute: At least 1.
        meter: What it counts by; one of its own by default.

    Source:
        ITU-T I.371, virtual scheduling: one number is the whole state.
    """

    __slots__ = ("_interval_seconds", "_meter", "_tolerance_seconds", "per_minute")

    def __init__(self, per_minute: int, meter: Meter | None = None) -> None:
        if per_minute < 1:
            raise ValueError("a rate is at least one message a minute")
        burst = max(1, per_minute // _BURST_SHARE)
        # What a burst takes at once is saved from the steady rate; else a minute could hold both.
        self._interval_seconds = _MINUTE_SECONDS / (per_minute - burst + 1)
        self._tolerance_seconds = (burst - 1) * self._interval_seconds
        self._meter = meter or Meter()
        self.per_minute = per_minute

    @property
    def pace_seconds(self) -> float:
        """How long a message waits for the one before, at an even pace."""
        return _MINUTE_SECONDS / self.per_minute

    def allowed_at(self, now: float) -> float:
        """Return when the next message may go, in seconds of the clock of `now`; at most `now` if it may go now."""
        self._fill()
        return max(now, self._meter.next_at - self._tolerance_seconds)

    def take(self, now: float) -> Charge:
        """Count a message that goes now, and return what it costs."""
        self._fill()
        self._meter.next_at = max(now, self._meter.next_at) + self._interval_seconds
        return Charge(self._meter, self._interval_seconds, self._meter.next_at)

    def postpone(self, charge: Charge, now: float) -> Charge | None:
        """Count a message now that was counted when it was its turn; None where it may not go now.

        Between the two lies what a session takes to open. Counted at its turn alone, messages that were held up go
        together with those that were not, and a minute holds more than its rate.
        """
        charge.refund(now)
        if self.allowed_at(now) > now + _SLACK_SECONDS:
            charge.meter.next_at += charge.left(now)
            return None
        return self.take(now)

    def _fill(self) -> None:
        """Have counted what is not known: at a time when a message may go, the meter stands so high at most."""
        if (at := self._meter.full_at) is not None:
            self._meter.full_at = None
            self._meter.next_at = max(self._meter.next_at, at + self._tolerance_seconds + self._interval_seconds)


class Buckets(Generic[_K]):
    """Gives each key so many at once, and then one in a while.

    Args:
        burst: How many at once, at least 1.
        every_seconds: How long it takes until there is one more.
    """

    def __init__(self, *, burst: int, every_seconds: float) -> None:
        self._every_seconds = every_seconds
        self._tolerance_seconds = (burst - 1) * every_seconds
        self._next_at: dict[_K, float] = {}

    def __len__(self) -> int:
        """Return how many keys are remembered; the others may take all of their burst."""
        return len(self._next_at)

    def allowed_at(self, key: _K, now: float) -> float:
        """Return when a key may take its next one, in seconds of the clock of `now`; at most `now` if it may now."""
        return max(now, self._next_at.get(key, now) - self._tolerance_seconds)

    def take(self, key: _K, now: float) -> None:
        """Count one that is taken now."""
        if len(self._next_at) > _PRUNED_ABOVE:
            # A bucket that is full again is no news.
            self._next_at = {known: at for known, at in self._next_at.items() if at > now}
        self._next_at[key] = max(now, self._next_at.get(key, now)) + self._every_seconds
