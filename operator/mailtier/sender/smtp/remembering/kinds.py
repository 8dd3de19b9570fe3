"""What is kept of endpoints, kind by kind: how it is read, how it is given to the next process, and for how long."""

import datetime as dt
from typing import Any, Final, Protocol

from mailtier.sender import clock
from mailtier.sender.queueing import lessons
from mailtier.sender.scheduling import throttle
from mailtier.sender.smtp import destination

Value = Any
"""What JSON can say."""

_BREAKERS_COUNT_FOR: Final = dt.timedelta(hours=1)
"""How long after its pause the faults of a server that nobody asked again still count."""

_LIMITS_COUNT_FOR: Final = dt.timedelta(hours=6)
"""How long after it was learned a limit still counts; by then a server that took one connection has 24 again."""


class Kind(Protocol):
    """One kind of what is learned of an endpoint."""

    @property
    def kept_as(self) -> lessons.Lesson:
        """The key that it is kept under."""

    def read(self, of: destination.Destination, time: clock.Clock) -> Value | None:
        """Return what is to be kept of an endpoint, the same as long as it is no news; None for nothing."""

    def weight(self, value: Value) -> float:
        """Return how much is lost with a value; where there are too many, those of least weight are not kept."""

    def counts(self, value: Value, now: dt.datetime) -> bool:
        """Return whether a value says anything still."""

    def restore(self, of: destination.Destination, value: Value, time: clock.Clock) -> None:
        """Have an endpoint of this process begin where that of an earlier one ended."""


class Breakers:
    """Which servers are left alone: how many faults they had in a row, and until when."""

    kept_as = lessons.Lesson.BREAKERS

    def read(self, of: destination.Destination, time: clock.Clock) -> Value | None:
        """Return faults and the pause's end."""
        switch = of.health.breaker
        return [switch.faults, _to_text(switch.retry_at, time)] if switch.faults else None

    def weight(self, value: Value) -> float:
        """Return the number of faults."""
        return float(value[0])

    def counts(self, value: Value, now: dt.datetime) -> bool:
        """Return whether its pause ended not long ago."""
        return dt.datetime.fromisoformat(value[1]) + _BREAKERS_COUNT_FOR >= now

    def restore(self, of: destination.Destination, value: Value, time: clock.Clock) -> None:
        """Have its breaker begin so."""
        faults, until = value
        retry_at = time.monotonic_at(dt.datetime.fromisoformat(until))
        of.health.breaker.restore(int(faults), now=time.monotonic(), retry_at=retry_at)


class Routes:
    """Which servers are dead, so that their fallback takes the mail: since when, and how often in a row."""

    kept_as = lessons.Lesson.ROUTES

    def read(self, of: destination.Destination, time: clock.Clock) -> Value | None:
        """Return since when, and the times."""
        away = of.health.route.away(time.monotonic()) if of.has_fallback else None
        return None if away is None else [_to_text(away.since, time), away.times]

    def weight(self, value: Value) -> float:
        """Return how often."""
        return float(value[1])

    def counts(self, value: Value, now: dt.datetime) -> bool:
        """Return that it does: a probe soon tells whether the server is there again."""
        del value, now
        return True

    def restore(self, of: destination.Destination, value: Value, time: clock.Clock) -> None:
        """Have its fallback take the mail."""
        since, times = value
        at = min(time.monotonic_at(dt.datetime.fromisoformat(since)), time.monotonic())
        of.health.route.restore(since=at, times=int(times))


class LearnedLimits:
    """How many connections and messages servers were found to take, of all together and of each who uses them."""

    kept_as = lessons.Lesson.LIMITS

    def read(self, of: destination.Destination, time: clock.Clock) -> Value | None:
        """Return what was learned, by a digest of whom it was learned of; "" for all together."""
        learned = of.throttles.learned()
        return {by: _of_throttle(each, time) for by, each in learned.items()} or None

    def weight(self, value: Value) -> float:
        """Return how many there are."""
        return float(len(value))

    def counts(self, value: Value, now: dt.datetime) -> bool:
        """Return whether any of them was learned not long ago."""
        times = [at for each in value.values() for at in (each[1], each[4]) if at is not None]
        return any(dt.datetime.fromisoformat(at) + _LIMITS_COUNT_FOR >= now for at in times)

    def restore(self, of: destination.Destination, value: Value, time: clock.Clock) -> None:
        """Have them hold, and be raised again from when they were learned."""
        of.throttles.restore({by: _to_throttle(each, time) for by, each in value.items()})


ALL: Final[tuple[Kind, ...]] = (Breakers(), Routes(), LearnedLimits())


def _of_throttle(learned: throttle.Learned, time: clock.Clock) -> Value:
    return [
        learned.connections,
        None if learned.connections is None else _to_text(learned.lessened_at, time),
        learned.raises_failed,
        learned.rate,
        None if learned.rate is None else _to_text(learned.slowed_at, time),
    ]


def _to_throttle(value: Value, time: clock.Clock) -> throttle.Learned:
    connections, lessened_at, raises_failed, rate, slowed_at = value
    return throttle.Learned(
        connections=connections,
        lessened_at=_to_reading(lessened_at, time),
        raises_failed=int(raises_failed),
        rate=rate,
        slowed_at=_to_reading(slowed_at, time),
    )


def _to_text(reading: float, time: clock.Clock) -> str:
    # To the second: the two clocks do not differ by quite the same at each look.
    return time.wall_at(reading).replace(microsecond=0).isoformat()


def _to_reading(text: str | None, time: clock.Clock) -> float:
    """Return a moment of the past in seconds of the monotonic clock, wherever the wall clock was set since (R14)."""
    if text is None:
        return float("-inf")
    return min(time.monotonic_at(dt.datetime.fromisoformat(text)), time.monotonic())
