"""Time and chance, handed in where the program is wired up."""

import dataclasses
import datetime as dt
from collections.abc import Callable

from mailtier.telemetry import logs

_log = logs.get_logger(__name__)


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

    def wall_at(self, reading: float) -> dt.datetime:
        """Return the aware UTC time at a reading of the monotonic clock, as far as the wall clock is right now."""
        return self.wall() + dt.timedelta(seconds=reading - self.monotonic())


class JumpGuard:
    """Tells when the wall clock jumped, and for how long nothing may expire after that (R14).

    A jump forward makes every message look old at once. For an hour after one, nothing expires: each message is
    tried again meanwhile, and somebody can set the clock right.
    """

    LIMIT = dt.timedelta(minutes=5)
    PAUSE = dt.timedelta(hours=1)

    def __init__(self, time: Clock) -> None:
        self._clock = time
        self._offset: float | None = None
        self._paused_until = float("-inf")

    def is_paused(self) -> bool:
        """Compare the clocks, and return whether expiry is paused.

        Drift is followed from one reading to the next, so that only what happens between two counts. It is asked
        before each decision about expiry, and each second.
        """
        monotonic = self._clock.monotonic()
        offset = self._clock.wall().timestamp() - monotonic
        previous, self._offset = self._offset, offset
        if previous is not None and abs(offset - previous) > self.LIMIT.total_seconds():
            self._paused_until = monotonic + self.PAUSE.total_seconds()
            _log.warning("the wall clock jumped; nothing expires for an hour", seconds=round(offset - previous))
        return monotonic < self._paused_until
