"""How many questions that came to nothing somebody may have asked of the apiserver (R15)."""

import collections
from collections.abc import Callable
from typing import Final

_BURST: Final = 20
_PER_SECOND: Final = 1.0
_REMEMBERED: Final = 4_096


class TooManyError(Exception):
    """Somebody's questions were refused too often.

    Args:
        retry_after_seconds: When the next may be asked.
    """

    def __init__(self, retry_after_seconds: float) -> None:
        super().__init__(f"too many questions came to nothing; the next in {retry_after_seconds:.0f} s")
        self.retry_after_seconds = retry_after_seconds


class Allowances:
    """A bucket for each asker: a question takes from it, and one that was answered favourably gives it back.

    Args:
        monotonic: Returns seconds of a clock that never jumps.
        burst: Questions at once.
        per_second: Questions in the long run.
    """

    def __init__(self, *, monotonic: Callable[[], float], burst: int = _BURST, per_second: float = _PER_SECOND) -> None:
        self._monotonic = monotonic
        self._burst = burst
        self._per_second = per_second
        # What was taken, and when that was so: it becomes less with time.
        self._taken: collections.OrderedDict[str, tuple[float, float]] = collections.OrderedDict()

    def take(self, asker: str) -> None:
        """Count a question.

        Raises:
            TooManyError: The bucket is empty.
        """
        taken = self._now_taken(asker)
        if taken + 1 > self._burst:
            raise TooManyError((taken + 1 - self._burst) / self._per_second)
        self._set(asker, taken + 1)

    def give_back(self, asker: str) -> None:
        """Count a question less: it was answered favourably."""
        self._set(asker, self._now_taken(asker) - 1)

    def _now_taken(self, asker: str) -> float:
        taken, at = self._taken.get(asker, (0.0, 0.0))
        return max(taken - (self._monotonic() - at) * self._per_second, 0.0)

    def _set(self, asker: str, taken: float) -> None:
        self._taken.pop(asker, None)
        if taken > 0:
            self._taken[asker] = (taken, self._monotonic())
        if len(self._taken) > _REMEMBERED:
            self._taken.popitem(last=False)
