"""A coalescing queue of keys: what many events ask for is done once, one at a time for each key.

The idea is client-go's workqueue: a key that is added while it waits is one key; a key that is added while it is
being worked on is worked on again afterwards; a failure comes back later, each time later. It is written once for
every kind.
"""

import asyncio
import collections
import dataclasses
import datetime as dt
import heapq
import itertools
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

from mailtier.telemetry import logs

Key = TypeVar("Key", bound=Hashable)

_log = logs.get_logger(__name__)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """How long a failed key waits: `first` doubled with each failure in a row, at most `most`."""

    first: dt.timedelta = dt.timedelta(milliseconds=200)
    most: dt.timedelta = dt.timedelta(minutes=1)

    def delay(self, failures: int, *, jitter: float) -> dt.timedelta:
        """Return the wait after this many failures in a row.

        Args:
            failures: At least 1.
            jitter: From 0 up to 1; the upper half of the wait is drawn with it, so that many keys that failed
                together do not come back together.
        """
        full = min(self.first * (1 << min(failures - 1, 30)), self.most)
        return full * (0.5 + jitter / 2)


class WorkQueue(Generic[Key]):
    """Keys in the order they were added, without repeats, with a delay where asked for."""

    def __init__(
        self,
        work: Callable[[Key], Awaitable[None]],
        *,
        workers: int,
        monotonic: Callable[[], float],
        jitter: Callable[[], float],
        backoff: Backoff | None = None,
        observe: Callable[[int], None] = lambda _depth: None,
    ) -> None:
        """Make an idle queue.

        Args:
            work: Handles one key; an exception means that it is tried again.
            workers: How many keys are worked on at the same time.
            monotonic: Seconds on a clock that never steps.
            jitter: Random numbers from 0 up to 1.
            backoff: How long a failed key waits.
            observe: Gets how many keys wait or are being worked on, when that changes.
        """
        self._work = work
        self._workers = workers
        self._monotonic = monotonic
        self._jitter = jitter
        self._backoff = backoff or Backoff()
        self._observe = observe
        self._ready: collections.OrderedDict[Key, None] = collections.OrderedDict()
        self._active: set[Key] = set()
        self._again: set[Key] = set()
        self._failures: dict[Key, int] = {}
        self._delayed: list[tuple[float, int, Key]] = []
        self._due: dict[Key, float] = {}
        self._sequence = itertools.count()
        self._wake = asyncio.Event()
        self._later = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    def __len__(self) -> int:
        return len(self._ready) + len(self._active)

    def add(self, key: Key) -> None:
        """Have a key worked on as soon as a worker is free."""
        self._due.pop(key, None)
        if key in self._active:
            self._again.add(key)
            return
        if key not in self._ready:
            self._ready[key] = None
            self._observe(len(self))
            self._idle.clear()
            self._wake.set()

    def add_after(self, key: Key, delay: dt.timedelta) -> None:
        """Have a key worked on after a delay, unless something asks for it sooner."""
        at = self._monotonic() + delay.total_seconds()
        known = self._due.get(key)
        if known is not None and known <= at:
            return
        self._due[key] = at
        heapq.heappush(self._delayed, (at, next(self._sequence), key))
        if self._delayed[0][2] == key:
            self._later.set()

    def forget(self, key: Key) -> None:
        """Drop a key's delay and failures: what it names is gone."""
        self._due.pop(key, None)
        self._failures.pop(key, None)

    async def idle(self) -> None:
        """Return when nothing is ready or being worked on; delayed keys may be left."""
        await self._idle.wait()

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._release_delayed())
            for _ in range(self._workers):
                group.create_task(self._worker())

    async def _worker(self) -> None:
        while True:
            while not self._ready:
                self._wake.clear()
                await self._wake.wait()
            key, _ = self._ready.popitem(last=False)
            self._active.add(key)
            try:
                await self._work(key)
            except Exception:  # noqa: BLE001  # A bug or an outage in one key must not stop the others.
                failures = self._failures[key] = self._failures.get(key, 0) + 1
                _log.warning("reconcile failed; it will be tried again", key=str(key), failures=failures, exc_info=True)
                self.add_after(key, self._backoff.delay(failures, jitter=self._jitter()))
            else:
                self._failures.pop(key, None)
            finally:
                self._active.discard(key)
                if key in self._again:
                    self._again.discard(key)
                    self.add(key)
                self._observe(len(self))
                if not self._ready and not self._active:
                    self._idle.set()

    async def _release_delayed(self) -> None:
        while True:
            self._later.clear()
            now = self._monotonic()
            while self._delayed and self._delayed[0][0] <= now:
                at, _, key = heapq.heappop(self._delayed)
                if self._due.get(key) == at:
                    self.add(key)
            wait = self._delayed[0][0] - now if self._delayed else None
            try:
                async with asyncio.timeout(wait):
                    await self._later.wait()
            except TimeoutError:
                continue
