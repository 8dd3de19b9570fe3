"""What is done each minute or so, whatever else happens: old records are removed, and the queue is measured."""

import asyncio
import contextlib
import datetime as dt
import os
import pathlib
from typing import Final, NoReturn, Protocol

from mailtier.sender import clock, ports
from mailtier.telemetry import failed_metrics, logs, metrics

_PURGE_SECONDS: Final = 60.0
_MEASURE_SECONDS: Final = 15.0

_log = logs.get_logger(__name__)


class UpkeepQueue(ports.DeliveryQueue, Protocol):
    """What is kept up."""

    async def suppressed(self, *, now: dt.datetime) -> int:
        """Return to how many addresses nothing is sent, those of different organizations counted each."""

    async def oldest(self) -> dt.datetime | None:
        """Return when the oldest notification that has a recipient without a final state was accepted."""

    async def kept_payloads(self) -> int:
        """Return of how many notifications that failed the payload is kept."""


class Upkeep:
    """The housekeeping of a queue.

    Args:
        queue: What is kept up.
        directory: Where it lies; None where that is nobody's here to measure.
        time: Clocks.
    """

    def __init__(self, queue: UpkeepQueue, *, directory: pathlib.Path | None, time: clock.Clock) -> None:
        self._queue = queue
        self._directory = directory
        self._clock = time
        self._guard = clock.JumpGuard(time)
        self._purge_at = time.monotonic() + _PURGE_SECONDS

    async def run(self) -> NoReturn:
        """Keep the queue up until cancelled; a failure is logged, and passes or comes again."""
        while True:
            try:
                await self.step()
            except Exception:  # noqa: BLE001 - Whatever it is, what is queued goes on being delivered.
                _log.exception("the upkeep of the queue failed; trying again")
            await asyncio.sleep(_MEASURE_SECONDS)

    async def step(self) -> None:
        """Measure, and purge when it is time."""
        await self._measure()
        await self._purge()

    async def _measure(self) -> None:
        oldest = await self._queue.oldest()
        age = self._clock.wall() - oldest if oldest is not None else None
        metrics.set_recipients(
            await self._queue.counts(), oldest_age_seconds=max(age.total_seconds(), 0.0) if age is not None else 0.0
        )
        failed_metrics.set_kept(await self._queue.kept_payloads())
        failed_metrics.set_suppressed(await self._queue.suppressed(now=self._clock.wall()))
        if self._directory is None:
            return
        size_bytes, used_ratio = await asyncio.to_thread(_measure_volume, self._directory)
        metrics.set_queue_size(size_bytes=size_bytes, volume_used_ratio=used_ratio)

    async def _purge(self) -> None:
        # What is forgotten too early is mailed again when its object is recreated (R14).
        if self._guard.is_paused() or self._clock.monotonic() < self._purge_at:
            return
        self._purge_at = self._clock.monotonic() + _PURGE_SECONDS
        if removed := await self._queue.purge(now=self._clock.wall()):
            _log.info("old notifications were removed", count=removed)


def _measure_volume(directory: pathlib.Path) -> tuple[int, float]:
    """Return the size of the directory's files in bytes, and the part of their volume that is in use."""
    size_bytes = 0
    for path in directory.iterdir():
        # A file may go between the two calls.
        with contextlib.suppress(FileNotFoundError):
            size_bytes += path.stat().st_size
    volume = os.statvfs(directory)
    used = volume.f_blocks - volume.f_bfree
    return size_bytes, used / max(used + volume.f_bavail, 1)
