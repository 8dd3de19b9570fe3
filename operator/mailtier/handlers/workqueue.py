"""A coalescing queue of keys: what many events ask for is done once, one at a time for each key.

The idea is client-go's workqueue: a key that is added while it waits is one key; a key that is added while it is
being worked on is worked on again afterwards; a failure comes back later, each time later. It is written once for
every kind. Which key is next, `fairness` says. And a key rests after its work: what changes over and over, two
pipelines at odds about one object perhaps, is worked on at a bounded rate.
"""

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable, Hashable
from typing import Final, Generic, TypeVar

from mailtier.api import doubling, timers
from mailtier.handlers import fairness
from mailtier.telemetry import logs

Key = TypeVar("Key", bound=Hashable)

_log = logs.get_logger(__name__)

_BACKOFF: Final = doubling.Backoff(first=dt.timedelta(milliseconds=200), most=dt.timedelta(minutes=1))


class WorkQueue(Generic[Key]):
    """Keys without repeats, in a fair order, with a delay where asked for."""

    def __init__(
        self,
        work: Callable[[Key], Awaitable[None]],
        *,
        workers: int,
        monotonic: Callable[[], float],
        jitter: Callable[[], float],
        backoff: doubling.Backoff = _BACKOFF,
        observe: Callable[[int], None] = lambda _depth: None,
        on_retry: Callable[[], None] = lambda: None,
        flow: Callable[[Key], Hashable] = lambda _key: None,
        rest: dt.timedelta = dt.timedelta(0),
    ) -> None:
        """Make an idle queue.

        Args:
            work: Handles one key; an exception means that it is tried again.
            workers: How many keys are worked on at the same time.
            monotonic: Seconds on a clock that never steps.
            jitter: Random numbers from 0 up to 1.
            backoff: How long a failed key waits.
            observe: Gets how many keys wait or are being worked on, when that changes.
            on_retry: Called when a key failed and is tried again.
            flow: Returns whose key it is; these take turns. By default all keys are one's.
            rest: How long a key waits at least from the end of its work to its next.
        """
        self._work = work
        self._workers = workers
        self._monotonic = monotonic
        self._jitter = jitter
        self._backoff = backoff
        self._observe = observe
        self._on_retry = on_retry
        self._ready = fairness.Order[Key](flow)
        self._active: set[Key] = set()
        self._again: dict[Key, bool] = {}
        self._rest_seconds = rest.total_seconds()
        self._rests_until: dict[Key, float] = {}
        self._resting: dict[Key, bool] = {}
        self._failures: dict[Key, int] = {}
        self._delays = timers.Timers[Key]()
        self._wake = asyncio.Event()
        self._later = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    def __len__(self) -> int:
        return len(self._ready) + len(self._active) + len(self._resting)

    @property
    def delays(self) -> int:
        """How many delays are remembered, those included that nobody waits for any more."""
        return self._delays.entries

    def add(self, key: Key, *, background: bool = False) -> None:
        """Have a key worked on as soon as it is its turn.

        Args:
            key: The key.
            background: Whether it can wait for those that cannot.
        """
        if key in self._active:
            self._delays.remove(key)
            self._again[key] = background and self._again.get(key, True)
        elif key in self._resting:
            self._resting[key] = background and self._resting[key]
        elif key not in self._ready and (left := self._rests_until.get(key, 0.0) - self._monotonic()) > 0:
            self._resting[key] = background
            self._idle.clear()
            self._observe(len(self))
            self.add_after(key, dt.timedelta(seconds=left))
        else:
            self._delays.remove(key)
            self._make_ready(key, background=background)

    def add_after(self, key: Key, delay: dt.timedelta) -> None:
        """Have a key worked on after a delay, in the background, unless something asks for it sooner."""
        at = self._monotonic() + delay.total_seconds()
        known = self._delays.at(key)
        if known is not None and known <= at:
            return
        self._delays.set(key, at)
        if self._delays.next_at() == at:
            self._later.set()

    def forget(self, key: Key) -> None:
        """Drop what is known of a key, but not that it waits: what it names is gone."""
        if key not in self._resting:
            self._delays.remove(key)
        self._failures.pop(key, None)

    async def idle(self) -> None:
        """Return when nothing waits for its turn or is being worked on; delayed keys may be left."""
        await self._idle.wait()

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._release_delayed())
            for _ in range(self._workers):
                group.create_task(self._worker())

    def _make_ready(self, key: Key, *, background: bool) -> None:
        self._ready.add(key, background=background)
        self._observe(len(self))
        self._idle.clear()
        self._wake.set()

    async def _worker(self) -> None:
        while True:
            while not self._ready:
                self._wake.clear()
                await self._wake.wait()
            key = self._ready.take()
            self._active.add(key)
            try:
                await self._work(key)
            except Exception:  # noqa: BLE001  # A bug or an outage in one key must not stop the others.
                failures = self._failures[key] = self._failures.get(key, 0) + 1
                _log.warning("reconcile failed; it will be tried again", key=str(key), failures=failures, exc_info=True)
                self._on_retry()
                self.add_after(key, self._backoff.after(failures, jitter=self._jitter()))
            else:
                self._failures.pop(key, None)
            finally:
                self._active.discard(key)
                self._have_rest(key)
                if key in self._again:
                    self.add(key, background=self._again.pop(key))
                self._observe(len(self))
                if not len(self):
                    self._idle.set()

    def _have_rest(self, key: Key) -> None:
        if not self._rest_seconds:
            return
        now = self._monotonic()
        # All rest equally long, so that the first are those whose rest is over.
        while self._rests_until and next(iter(self._rests_until.values())) <= now:
            del self._rests_until[next(iter(self._rests_until))]
        self._rests_until.pop(key, None)
        self._rests_until[key] = now + self._rest_seconds

    def _release(self, key: Key) -> None:
        if key in self._active:
            self._again.setdefault(key, True)
        else:
            self._make_ready(key, background=self._resting.pop(key, True))

    async def _release_delayed(self) -> None:
        while True:
            self._later.clear()
            now = self._monotonic()
            for key in self._delays.due(now):
                self._release(key)
            next_at = self._delays.next_at()
            wait = None if next_at is None else next_at - now
            try:
                async with asyncio.timeout(wait):
                    await self._later.wait()
            except TimeoutError:
                continue
