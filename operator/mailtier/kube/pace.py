"""At most so many requests of a sort a second, in the order in which they were asked for."""

import asyncio
from collections.abc import Callable


class Pace:
    """Turns that come at a rate; the generic cell rate algorithm (ITU-T I.371), whose state is one number.

    Whoever waits is served first in, first out: let those who share it take turns before they come here.

    Args:
        per_second: The rate.
        burst: Turns at once after a pause.
        monotonic: Seconds on a clock that never steps.
    """

    def __init__(self, *, per_second: float, burst: int, monotonic: Callable[[], float]) -> None:
        self._interval_seconds = 1 / per_second
        self._ahead_seconds = (burst - 1) / per_second
        self._monotonic = monotonic
        self._next = float("-inf")

    async def turn(self) -> None:
        """Return when it is one's turn."""
        wait = self.book()
        if wait > 0:
            await asyncio.sleep(wait)

    def book(self) -> float:
        """Take a turn; return in how many seconds it is."""
        now = self._monotonic()
        due = max(self._next, now - self._ahead_seconds)
        self._next = due + self._interval_seconds
        return max(0.0, due - now)
