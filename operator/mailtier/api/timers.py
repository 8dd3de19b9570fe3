"""Keys that wait for their times, in a heap that forgets what nobody waits for any more."""

import heapq
import itertools
from collections.abc import Hashable, Iterator
from typing import Final, Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)

_STALE: Final = 1_000
"""So many entries may be stale whatever else waits: compacting costs as much as the heap is long."""


class Timers(Generic[Key]):
    """One time for each key, in the unit of the caller's clock.

    A heap cannot take a key out of its middle. So what is replaced or removed stays in it, stale, until its time has
    come or there is more of it than of what is waited for.
    """

    __slots__ = ("_heap", "_numbers", "_waiting")

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Key]] = []
        self._waiting: dict[Key, tuple[float, int, Key]] = {}
        self._numbers = itertools.count()

    def __len__(self) -> int:
        return len(self._waiting)

    def __contains__(self, key: Key) -> bool:
        return key in self._waiting

    @property
    def entries(self) -> int:
        """How many times are in memory, the stale ones included."""
        return len(self._heap)

    def at(self, key: Key) -> float | None:
        """Return the time of a key; None where it does not wait."""
        waiting = self._waiting.get(key)
        return None if waiting is None else waiting[0]

    def set(self, key: Key, at: float) -> None:
        """Let a key wait for a time, in place of the one that it waits for."""
        entry = self._waiting[key] = (at, next(self._numbers), key)
        heapq.heappush(self._heap, entry)
        self._compact()

    def remove(self, key: Key) -> None:
        """Let a key wait no longer, if it did."""
        if self._waiting.pop(key, None) is not None:
            self._compact()

    def due(self, now: float) -> Iterator[Key]:
        """Take out and yield what waits for `now` or a time before: by time, then in the order of `set`."""
        while (at := self.next_at()) is not None and at <= now:
            key = heapq.heappop(self._heap)[2]
            del self._waiting[key]
            yield key

    def next_at(self) -> float | None:
        """Return the first time that is waited for; None if there is none."""
        while self._heap and not self._is_waited_for(self._heap[0]):
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def _is_waited_for(self, entry: tuple[float, int, Key]) -> bool:
        return self._waiting.get(entry[2]) is entry

    def _compact(self) -> None:
        # More than half are stale when this happens, so that each entry pays for one other.
        if len(self._heap) > 2 * len(self._waiting) + _STALE:
            self._heap = [entry for entry in self._heap if self._is_waited_for(entry)]
            heapq.heapify(self._heap)
