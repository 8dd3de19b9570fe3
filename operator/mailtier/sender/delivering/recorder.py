"""Storing outcomes in the background: the session goes on while the disk writes."""

import asyncio
import functools
from collections.abc import Callable
from typing import Final

from mailtier.mail import states
from mailtier.sender import ports
from mailtier.telemetry import logs, metrics

_MAXIMUM_OUTSTANDING: Final = 2_000

_log = logs.get_logger(__name__)


class Recorder:
    """Takes outcomes and has them stored, in the order in which they come.

    Attributes:
        broken: Set when the storage needs a restart; with its error.
    """

    def __init__(self, queue: ports.Queue, *, on_broken: Callable[[], None]) -> None:
        self.broken: ports.StorageBrokenError | None = None
        self._queue = queue
        self._on_broken = on_broken
        self._outstanding: set[asyncio.Future[None]] = set()
        self._has_room = asyncio.Event()
        self._has_room.set()

    def store(self, outcome: ports.Outcome, then: Callable[[], None] | None = None) -> None:
        """Have an outcome stored.

        Args:
            outcome: What to store.
            then: Called when that is over.
        """
        future = self._queue.record(outcome)
        self._outstanding.add(future)
        if len(self._outstanding) >= _MAXIMUM_OUTSTANDING:
            self._has_room.clear()
        future.add_done_callback(functools.partial(self._stored, outcome, then))

    async def wait_for_room(self) -> None:
        """Return when not too much is outstanding; to be awaited before more work is begun."""
        await self._has_room.wait()

    async def close(self, *, within_seconds: float) -> None:
        """Wait for what is outstanding; what a crash would leave, the queue's own notes cover."""
        if self._outstanding:
            await asyncio.wait(set(self._outstanding), timeout=within_seconds)

    def note_broken(self, error: ports.StorageBrokenError) -> None:
        """Note that the storage needs a restart."""
        self.broken = self.broken or error
        self._on_broken()

    def _stored(self, outcome: ports.Outcome, then: Callable[[], None] | None, future: asyncio.Future[None]) -> None:
        self._outstanding.discard(future)
        if len(self._outstanding) < _MAXIMUM_OUTSTANDING:
            self._has_room.set()
        if future.cancelled():
            return
        error = future.exception()
        if isinstance(error, ports.StorageBrokenError):
            self.note_broken(error)
        elif error is not None:
            # It does not fit what is stored: a defect, which storing it again would only repeat.
            _log.error(
                "an outcome was not stored",
                recipient_number=outcome.recipient_number,
                state=outcome.state,
                exc_info=error,
            )
        else:
            _count(outcome)
        if then is not None:
            then()


def _count(outcome: ports.Outcome) -> None:
    if outcome.attempted:
        metrics.count_attempt(state=outcome.state, reason=outcome.reason)
    if outcome.state in states.FINAL:
        metrics.count_finished(state=outcome.state, reason=outcome.reason)
