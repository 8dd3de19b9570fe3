"""Keeps what was learned of endpoints for the next process, as much as belongs to each of those who name them (R15)."""

import asyncio
import collections
import functools
import hashlib
import json
from collections.abc import Iterable
from typing import Final

from mailtier.sender import clock
from mailtier.sender.secrets import logins
from mailtier.sender.smtp import destination
from mailtier.sender.smtp.remembering import kinds
from mailtier.sender.smtp.servers import destination_key
from mailtier.telemetry import logs

_MOST: Final = 1_000
_MOST_PER_PARTY: Final = 50
"""R15: of so many endpoints of one namespace it is kept; of the others the next process learns it anew."""

_UNASKED_SECONDS: Final = 3600.0
"""So long after the start what earlier processes kept is forgotten of endpoints that nobody used since."""

_log = logs.get_logger(__name__)


class EndpointMemory:
    """What this process learned, for the next one, and what earlier processes did.

    Args:
        memory: Where it is kept.
        time: Clocks.
    """

    def __init__(self, memory: logins.Memory, time: clock.Clock) -> None:
        self._shelves = [_Shelf(kind, memory, time) for kind in kinds.ALL]

    async def load(self) -> None:
        """Read what earlier processes kept."""
        await asyncio.gather(*(shelf.load() for shelf in self._shelves))

    def restore(self, made: destination.Destination) -> None:
        """Have a new destination begin where an earlier process left the same endpoint."""
        for shelf in self._shelves:
            shelf.restore(made)

    async def keep(self, known: Iterable[destination.Destination]) -> None:
        """Keep what is known now, where that is news."""
        present = list(known)
        for shelf in self._shelves:
            await shelf.keep(present)


class _Shelf:
    """What is kept of one kind, by a digest of the endpoint."""

    def __init__(self, kind: kinds.Kind, memory: logins.Memory, time: clock.Clock) -> None:
        self._kind = kind
        self._memory = memory
        self._clock = time
        self._earlier: dict[str, kinds.Value] = {}
        self._began_at = time.monotonic()
        self._last: str | None = None
        self._is_keeping = False

    async def load(self) -> None:
        try:
            self._last = await self._memory.recall(self._kind.kept_as)
            now = self._clock.wall()
            earlier = json.loads(self._last or "{}")
            self._earlier = {digest: each for digest, each in earlier.items() if self._kind.counts(each, now)}
        except Exception as error:  # noqa: BLE001 - whatever it is, servers are asked again.
            self._earlier = {}
            _log.warning(
                "what was learned of servers could not be read", kind=self._kind.kept_as, error=type(error).__name__
            )

    def restore(self, made: destination.Destination) -> None:
        value = self._earlier.pop(_digest(made.key), None)
        if value is not None and self._kind.counts(value, self._clock.wall()):
            self._kind.restore(made, value, self._clock)

    async def keep(self, known: Iterable[destination.Destination]) -> None:
        kept = json.dumps(self._now(known))
        if self._is_keeping or kept == (self._last or "{}"):
            return
        self._is_keeping = True
        try:
            await self._memory.remember(self._kind.kept_as, kept)
            self._last = kept
        except Exception as error:  # noqa: BLE001 - mail goes on without it.
            _log.warning(
                "what is learned of servers could not be kept", kind=self._kind.kept_as, error=type(error).__name__
            )
        finally:
            self._is_keeping = False

    def _now(self, known: Iterable[destination.Destination]) -> dict[str, kinds.Value]:
        """Return what is to be kept: what weighs most first, where there is too much."""
        now, is_over = self._clock.wall(), self._clock.monotonic() - self._began_at > _UNASKED_SECONDS
        self._earlier = {
            digest: each for digest, each in self._earlier.items() if not is_over and self._kind.counts(each, now)
        }
        learned = [(each.key, value) for each in known if (value := self._kind.read(each, self._clock)) is not None]
        learned.sort(key=lambda each: self._kind.weight(each[1]), reverse=True)
        counts: collections.Counter[str] = collections.Counter()
        kept: dict[str, kinds.Value] = {}
        for key, value in learned:
            counts[key.party] += 1
            if counts[key.party] <= _MOST_PER_PARTY and len(kept) < _MOST:
                kept[_digest(key)] = value
        return self._earlier | kept


@functools.lru_cache(maxsize=_MOST)
def _digest(key: destination_key.DestinationKey) -> str:
    return hashlib.sha256(repr(key).encode()).hexdigest()[:32]
