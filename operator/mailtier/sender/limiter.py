"""How many messages a minute: the generic cell rate algorithm."""

import dataclasses

_MINUTE_SECONDS = 60.0
_BURST_SHARE = 10
"""A tenth of a minute's messages may go at once, so that a handful of notifications does not wait."""


class Meter:
    """What was sent so far, as the algorithm remembers it: one number, in seconds of a monotonic clock.

    Limiters that share one count each other's messages, each at its own rate.
    """

    __slots__ = ("next_at",)

    def __init__(self) -> None:
        self.next_at = float("-inf")


@dataclasses.dataclass(frozen=True, slots=True)
class Charge:
    """What one message cost; the limiter that took it may have another rate by now, or be gone."""

    meter: Meter
    seconds: float

    def give_back(self) -> None:
        """Count a message less: it did not go after all."""
        self.meter.next_at -= self.seconds


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

    def allowed_at(self, now: float) -> float:
        """Return when the next message may go, in seconds of the clock of `now`; at most `now` if it may go now."""
        return max(now, self._meter.next_at - self._tolerance_seconds)

    def take(self, now: float) -> Charge:
        """Count a message that goes now, and return what it costs."""
        self._meter.next_at = max(now, self._meter.next_at) + self._interval_seconds
        return Charge(self._meter, self._interval_seconds)
