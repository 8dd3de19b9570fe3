"""What probes found: the latest result by probe key, and what became of credentials in earlier processes (R12)."""

import asyncio
from collections.abc import Container, Iterable, Sequence
from typing import Final

from mailtier.api import feed, reasons
from mailtier.sender import clock, ports
from mailtier.sender.probing import probe, targets
from mailtier.telemetry import logs

_AGAIN_SECONDS: Final = 5.0

_log = logs.get_logger(__name__)


class ProbeMemory:
    """The results that are known; each is stored for the operator and for the next process.

    Attributes:
        loaded: Whether what earlier processes found is known.
    """

    def __init__(self, queue: ports.DeliveryQueue) -> None:
        self._queue = queue
        self._known: dict[str, feed.Probe] = {}
        # By the Secret's version.
        self._learned: dict[str, list[feed.Probe]] = {}
        self.loaded = False

    def __len__(self) -> int:
        """Return how many results are in memory."""
        return len(self._known)

    async def load(self) -> None:
        """Read what earlier processes found, however long the queue takes."""
        while not self.loaded:
            try:
                found = await self._queue.probes()
                self._known = {known.key: known for known in found} | self._known
                self._note_learned(found)
                self.loaded = True
            except Exception:  # noqa: BLE001 - whatever it is may pass.
                _log.exception("earlier probes could not be read; trying again")
                await asyncio.sleep(_AGAIN_SECONDS)

    async def learn(self) -> None:
        """Read what other senders found meanwhile."""
        found = await self._queue.probes()
        for known in found:
            mine = self._known.get(known.key)
            if mine is None or mine.probed_at <= known.probed_at:
                self._known[known.key] = known
        self._learned = {}
        self._note_learned(found)

    def find(self, key: str) -> feed.Probe | None:
        """Return the latest result for a probe key."""
        return self._known.get(key)

    def first_at(self, key: str, version: str, time: clock.Clock) -> float:
        """Return when settings are probed first: at once, unless an earlier process did so lately."""
        known, now = self.find(key), time.monotonic()
        if known is None or known.secret_version != version or known.reason != reasons.VERIFIED.name:
            return now
        return max(now, time.monotonic_at(known.probed_at) + targets.GOOD_SECONDS)

    def learned(self, version: str) -> Sequence[feed.Probe]:
        """Return the results of earlier processes that say that a version of a Secret was refused, or succeeded."""
        return self._learned.get(version, ())

    async def record(self, result: feed.Probe, *, is_current: bool) -> None:
        """Store a result.

        Args:
            result: Of a probe.
            is_current: Whether somebody's settings still have its key.
        """
        if is_current:
            self._known[result.key] = result
        await self._queue.record_probe(result)

    def forget(self, key: str) -> None:
        """Forget the result of settings that are gone."""
        self._known.pop(key, None)

    def _note_learned(self, found: Iterable[feed.Probe]) -> None:
        for known in found:
            if known.reason in probe.REFUSED or known.reason == reasons.VERIFIED.name:
                self._learned.setdefault(known.secret_version, []).append(known)

    def keep(self, keys: Container[str]) -> None:
        """Forget all results but those of some keys."""
        self._known = {key: known for key, known in self._known.items() if key in keys}
