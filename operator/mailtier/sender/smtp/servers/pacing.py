"""A message and the rate of the server that it goes to: counted at its turn, and again when it goes."""

from collections.abc import Callable

from mailtier.sender import clock
from mailtier.sender.scheduling import limiter


class SlotPace:
    """Counts the messages of one slot, one after the other, against the rate of its server.

    Args:
        rate: Returns the rate as it is now; None without one.
        time: Clocks.
    """

    def __init__(self, rate: Callable[[], limiter.RateLimiter | None], time: clock.Clock) -> None:
        self._rate = rate
        self._clock = time
        self._charge: limiter.Charge | None = None

    @property
    def seconds(self) -> float:
        """How long the rate makes a message wait for the one before; 0 without a rate."""
        rate = self._rate()
        return 0.0 if rate is None else rate.pace_seconds

    def count(self) -> None:
        """Count a message whose turn it is."""
        rate = self._rate()
        self._charge = None if rate is None else rate.take(self._clock.monotonic())

    def may_go(self) -> bool:
        """Return whether the message may go now, and count it now if so."""
        rate, now = self._rate(), self._clock.monotonic()
        if rate is None:
            return True
        if self._charge is None:
            # It went before, to nobody: the session was gone.
            return rate.allowed_at(now) <= now and rate.take(now) is not None
        if rate.postpone(self._charge, now) is None:
            return False
        self._charge = None
        return True

    def refund(self) -> None:
        """Count the message less if it did not go after all."""
        if self._charge is not None:
            self._charge.refund(self._clock.monotonic())
            self._charge = None
