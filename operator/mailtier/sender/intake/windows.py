"""How many of something an organization may begin in a minute, counted exactly."""

import collections
from collections.abc import Callable
from typing import Final

from mailtier.sender import ports

_WINDOW_SECONDS: Final = 60.0
_PRUNE_ABOVE: Final = 1_000


class Windows:
    """A sliding minute for each organization.

    A bucket (`limiter.RateLimiter`) spreads what may go; here everything up to the limit may come at once, as people
    do who are all locked out by the same change.

    Args:
        per_minute: The most in any minute.
        monotonic: Returns seconds of a clock that never jumps.
    """

    def __init__(self, per_minute: int, *, monotonic: Callable[[], float]) -> None:
        self._per_minute = per_minute
        self._monotonic = monotonic
        self._taken: dict[ports.LaneKey, collections.deque[float]] = {}

    def take(self, lane: ports.LaneKey) -> float:
        """Count one and return 0, or return how many seconds later one may come."""
        now = self._monotonic()
        if len(self._taken) > _PRUNE_ABOVE:
            self._prune(now)
        taken = self._taken.setdefault(lane, collections.deque(maxlen=self._per_minute))
        if len(taken) == self._per_minute and taken[0] > now - _WINDOW_SECONDS:
            return taken[0] + _WINDOW_SECONDS - now
        taken.append(now)
        return 0.0

    def give_back(self, lane: ports.LaneKey) -> None:
        """Count one less: nothing new came of it."""
        if taken := self._taken.get(lane):
            taken.pop()

    def _prune(self, now: float) -> None:
        for lane in [lane for lane, taken in self._taken.items() if not taken or taken[-1] <= now - _WINDOW_SECONDS]:
            del self._taken[lane]
