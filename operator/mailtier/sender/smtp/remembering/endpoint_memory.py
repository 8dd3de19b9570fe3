"""Keeps what was learned of endpoints for the next process, as much as belongs to each of those who name them (R15)."""

import asyncio
import collections
import functools
import hashlib
import json
from collections.abc import Iterable
from typing import Final

from mailtier.sender import clock
from mailtier.sender.queueing import lessons
from mailtier.sender.secrets import logins
from mailtier.sender.smtp import destination
from mailtier.sender.smtp.remembering import kinds
from mailtier.sender.smtp.servers import destination_key
from mailtier.telemetry import logs, tasks

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
        of: Which sender this is, where several keep what they learned; "" where one keeps all.
    """

    def __init__(self, memory: logins.Memory, time: clock.Clock, *, of: str = "") -> None:
        self._shelves = [_Shelf(kind, memory, time, of=of) for kind in kinds.ALL]

    async def load(self) -> None:
        """Read what earlier processes, and other senders, kept."""
        await asyncio.gather(*(shelf.load() for shelf in self._shelves))

    def restore(self, made: destination.Destination) -> None:
        """Have a new destination begin where an earlier process left the same endpoint."""
        for shelf in self._shelves:
            shelf.restore(made)

    async def keep(self, known: Iterable[destination.Destination], *, is_last: bool = False) -> None:
        """Keep what is known now, where that is news; `is_last` also where it is being kept just now."""
        present = list(known)
        for shelf in self._shelves:
            await shelf.keep(present, is_last=is_last)


class _Shelf:
    """What is kept of one kind, by a digest of the endpoint."""

    def __init__(self, kind: kinds.Kind, memory: logins.Memory, time: clock.Clock, *, of: str) -> None:
        self._kind = kind
        self._memory = memory
        self._clock = time
        self._key = lessons.key(kind.kept_as, sender=of)
        self._earlier: dict[str, kinds.Value] = {}
        # Of what others kept, by the digest: under which key.
        self._of_others: dict[str, str] = {}
        self._taken_over: list[tuple[str, str]] = []
        self._began_at = time.monotonic()
        self._kept: dict[str, kinds.Value] = {}
        self._keeping = asyncio.Lock()

    async def load(self) -> None:
        try:
            kept = dict(await self._memory.recall_all(f"{self._kind.kept_as}/"))
            if (alone := await self._memory.recall(self._kind.kept_as)) is not None:
                kept[self._kind.kept_as] = alone
            for key, text in kept.items():
                values = json.loads(text)
                if key == self._key:
                    self._kept = values
                self._read(key, values)
        except Exception as error:  # noqa: BLE001 - whatever it is, servers are asked again.
            _log.warning(
                "what was learned of servers could not be read", kind=self._kind.kept_as, error=type(error).__name__
            )

    def _read(self, key: str, values: dict[str, kinds.Value]) -> None:
        now = self._clock.wall()
        for digest, value in values.items():
            known = self._earlier.get(digest)
            if self._kind.counts(value, now) and (
                known is None or self._kind.weight(value) >= self._kind.weight(known)
            ):
                self._earlier[digest] = value
                if key == self._key:
                    self._of_others.pop(digest, None)
                else:
                    self._of_others[digest] = key

    def restore(self, made: destination.Destination) -> None:
        digest = _digest(made.key)
        value = self._earlier.pop(digest, None)
        if value is not None and self._kind.counts(value, self._clock.wall()):
            self._kind.restore(made, value, self._clock)
        if (key := self._of_others.pop(digest, None)) is not None:
            self._taken_over.append((key, digest))

    async def keep(self, known: Iterable[destination.Destination], *, is_last: bool) -> None:
        if self._keeping.locked() and not is_last:
            return
        async with self._keeping:
            present = await self._now(known)
            try:
                if present != self._kept:
                    await self._memory.remember(self._key, json.dumps(present))
                    self._kept = present
                while self._taken_over:
                    # It may be gone, or has that server no longer.
                    await self._memory.strike(*self._taken_over[-1])
                    self._taken_over.pop()
            except Exception as error:  # noqa: BLE001 - mail goes on without it.
                _log.warning(
                    "what is learned of servers could not be kept", kind=self._kind.kept_as, error=type(error).__name__
                )

    async def _now(self, known: Iterable[destination.Destination]) -> dict[str, kinds.Value]:
        """Return what is to be kept: what weighs most first, where there is too much."""
        now, is_over = self._clock.wall(), self._clock.monotonic() - self._began_at > _UNASKED_SECONDS
        self._earlier = {
            digest: each for digest, each in self._earlier.items() if not is_over and self._kind.counts(each, now)
        }
        # What others keep is theirs to keep. All at once: an endpoint that is made meanwhile takes its part out.
        earlier = {digest: each for digest, each in self._earlier.items() if digest not in self._of_others}
        learned = list[tuple[destination_key.DestinationKey, kinds.Value]]()
        async for each in tasks.unhurried(known):
            if (value := self._kind.read(each, self._clock)) is not None:
                learned.append((each.key, value))
        learned.sort(key=lambda each: self._kind.weight(each[1]), reverse=True)
        counts: collections.Counter[str] = collections.Counter()
        kept: dict[str, kinds.Value] = {}
        for key, value in learned:
            counts[key.party] += 1
            if counts[key.party] <= _MOST_PER_PARTY and len(kept) < _MOST:
                kept[_digest(key)] = value
        return earlier | kept


@functools.lru_cache(maxsize=_MOST)
def _digest(key: destination_key.DestinationKey) -> str:
    return hashlib.sha256(repr(key).encode()).hexdigest()[:32]
