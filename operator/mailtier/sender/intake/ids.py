"""Identifiers that sort by the time they were made."""

import datetime as dt
from collections.abc import Callable
from typing import Final

_RANDOM_BYTES: Final = 10
_AT_ONCE: Final = 64
"""Identifiers for which chance is asked at once: to ask the kernel takes as long as all else."""
_COUNTER_BITS: Final = 12
_TAIL_BITS: Final = 62
_VERSION: Final = 7
_VARIANT: Final = 0b10


class TimeSortedIds:
    """Makes UUIDs of version 7 that grow strictly within a process, also where the wall clock steps back.

    Args:
        now: Returns aware UTC time.
        entropy: Returns that many random bytes.

    Source:
        RFC 9562 section 5.7; section 6.2 method 1 (a counter in rand_a that starts at random with a zero in front).
    """

    def __init__(self, *, now: Callable[[], dt.datetime], entropy: Callable[[int], bytes]) -> None:
        self._now = now
        self._entropy = entropy
        self._random = b""
        self._last = 0

    def new(self) -> str:
        """Return the next identifier, 36 characters of lower-case hexadecimal and hyphens."""
        milliseconds = int(self._now().timestamp() * 1000)
        if not self._random:
            self._random = self._entropy(_RANDOM_BYTES * _AT_ONCE)
        randomness, self._random = int.from_bytes(self._random[:_RANDOM_BYTES]), self._random[_RANDOM_BYTES:]
        tail = randomness & ((1 << _TAIL_BITS) - 1)
        # Half of the counter's range is left for the identifiers of the same millisecond.
        start = (randomness >> _TAIL_BITS) & ((1 << (_COUNTER_BITS - 1)) - 1)
        # A full counter carries into the milliseconds, so that identifiers run ahead of the clock rather than back.
        self._last = max(self._last + 1, milliseconds << _COUNTER_BITS | start)
        at, counter = divmod(self._last, 1 << _COUNTER_BITS)
        value = at << 80 | _VERSION << 76 | counter << 64 | _VARIANT << _TAIL_BITS | tail
        digits = f"{value:032x}"
        return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
