"""Time and chance, handed in where the program is wired up."""

import dataclasses
import datetime as dt
from collections.abc import Callable


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """The sources of time and randomness that delivery uses.

    Attributes:
        wall: Aware UTC time; may jump.
        monotonic: Seconds that only grow; timers are kept in it.
        random: A number in [0, 1), for jitter.
    """

    wall: Callable[[], dt.datetime]
    monotonic: Callable[[], float]
    random: Callable[[], float]

    def monotonic_at(self, moment: dt.datetime) -> float:
        """Return the reading of the monotonic clock at an aware UTC time, as far as the wall clock is right now."""
        return self.monotonic() + (moment - self.wall()).total_seconds()


class JumpGuard:
    """Tells when the wall clock jumped, and for how long nothing may expire after that (R14).

    A jump forward makes every message look old at once. For an hour after one, nothing expires: each message is
    tried again meanwhile, and somebody can set the clock right.
    """

    LIMIT = dt.timedelta(minutes=5)
    PAUSE = dt.timedelta(hours=1)

    def __init__(self) -> None:
        self._offset: float | None = None
        self._paused_until = float("-inf")

    def observe(self, *, wall: dt.datetime, monotonic: float) -> bool:
        """Compare the clocks; return whether this reading shows a jump.

        Drift is followed from one reading to the next, so that only what happens between two counts.
        """
        offset = wall.timestamp() - monotonic
        previous, self._offset = self._offset, offset
        if previous is None or abs(offset - previous) <= self.LIMIT.total_seconds():
            return False
        self._paused_until = monotonic + self.PAUSE.total_seconds()
        return True

    def is_paused(self, monotonic: float) -> bool:
        """Return whether expiry is paused."""
        return monotonic < self._paused_until
