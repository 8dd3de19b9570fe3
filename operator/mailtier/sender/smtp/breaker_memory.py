"""Which servers were left alone, kept for the next process: it would else ask all that are down at once again."""

import collections
import datetime as dt
import functools
import hashlib
import json
from collections.abc import Iterable
from typing import Final

from mailtier.sender import clock
from mailtier.sender.net import breaker
from mailtier.sender.secrets import logins
from mailtier.sender.smtp import destination
from mailtier.sender.smtp.servers import destination_key
from mailtier.telemetry import logs

_MEMORY: Final = "breakers"
_MOST: Final = 1_000
_MOST_PER_PARTY: Final = 50
"""R15: of so many endpoints of one namespace it is kept; of the others the next process learns it anew."""

_TOLD_FOR: Final = dt.timedelta(hours=1)
"""How long after its pause the faults of a server that nobody asked again still count."""

_log = logs.get_logger(__name__)

_Kept = dict[str, tuple[int, dt.datetime]]
"""By a digest of the endpoint: how many faults in a row, and when its pause ends, aware UTC."""


class BreakerMemory:
    """The breakers of this process for the next one, and those of earlier processes.

    Args:
        memory: Where they are kept.
        time: Clocks.
    """

    def __init__(self, memory: logins.Memory, time: clock.Clock) -> None:
        self._memory = memory
        self._clock = time
        self._earlier: _Kept = {}
        self._last: str | None = None
        self._is_keeping = False

    async def load(self) -> None:
        """Read what earlier processes kept."""
        try:
            self._last = await self._memory.recall(_MEMORY)
            for digest, (faults, until) in json.loads(self._last or "{}").items():
                self._earlier[digest] = (int(faults), dt.datetime.fromisoformat(until))
        except Exception as error:  # noqa: BLE001 - whatever it is, servers are asked again.
            _log.warning("which servers were left alone could not be read", error=type(error).__name__)

    def restore(self, key: destination_key.DestinationKey, switch: breaker.Breaker) -> None:
        """Have a new breaker begin where an earlier process left that of the same endpoint."""
        faults, until = self._earlier.pop(_digest(key), (0, None))
        if until is None or until + _TOLD_FOR < self._clock.wall():
            return
        switch.restore(faults, now=self._clock.monotonic(), retry_at=self._clock.monotonic_at(until))

    async def keep(self, known: Iterable[destination.Destination]) -> None:
        """Keep the breakers as they are, if that is news."""
        kept = json.dumps({digest: (faults, until.isoformat()) for digest, (faults, until) in self._now(known).items()})
        if self._is_keeping or kept == (self._last or "{}"):
            return
        self._is_keeping = True
        try:
            await self._memory.remember(_MEMORY, kept)
            self._last = kept
        except Exception as error:  # noqa: BLE001 - mail goes on without it.
            _log.warning("which servers are left alone could not be kept", error=type(error).__name__)
        finally:
            self._is_keeping = False

    def _now(self, known: Iterable[destination.Destination]) -> _Kept:
        """Return what is to be kept: the most faults first, where there are too many."""
        oldest = self._clock.wall() - _TOLD_FOR
        self._earlier = {digest: each for digest, each in self._earlier.items() if each[1] >= oldest}
        faulty = [each for each in known if each.health.breaker.faults]
        faulty.sort(key=lambda each: each.health.breaker.faults, reverse=True)
        counts: collections.Counter[str] = collections.Counter()
        kept: _Kept = {}
        for each in faulty:
            counts[each.key.party] += 1
            if counts[each.key.party] <= _MOST_PER_PARTY and len(kept) < _MOST:
                switch = each.health.breaker
                # To the second: the two clocks do not differ by quite the same at each look.
                until = self._clock.wall_at(switch.retry_at).replace(microsecond=0)
                kept[_digest(each.key)] = (switch.faults, until)
        return self._earlier | kept


@functools.lru_cache(maxsize=_MOST)
def _digest(key: destination_key.DestinationKey) -> str:
    return hashlib.sha256(repr(key).encode()).hexdigest()[:32]
