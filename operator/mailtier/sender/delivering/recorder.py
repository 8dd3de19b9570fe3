"""Storing outcomes in the background: the session goes on while the disk writes."""

import asyncio
import contextlib
import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Final

from mailtier.mail import states
from mailtier.sender import ports
from mailtier.telemetry import attempt_metrics, logs

_MAXIMUM_OUTSTANDING: Final = 2_000
_AT_ONCE: Final = 256
"""Outcomes that are stored together; what comes meanwhile gathers for the next time. To wake the queue's thread for
each of them takes as long as to store it."""

_log = logs.get_logger(__name__)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Report:
    """An outcome, and what is to be called when it is stored."""

    outcome: ports.Outcome
    then: Callable[[Exception | None], None] | None


class Recorder:
    """Takes outcomes and has them stored, in the order in which they come.

    Attributes:
        broken: Set when the storage needs a restart; with its error.
    """

    def __init__(self, queue: ports.DeliveryQueue, *, on_broken: Callable[[], None]) -> None:
        self.broken: ports.StorageBrokenError | None = None
        self._queue = queue
        self._on_broken = on_broken
        self._gathered: list[_Report] = []
        self._outstanding = 0
        self._storing: asyncio.Future[Sequence[Exception | None]] | None = None
        self._has_room = asyncio.Event()
        self._has_room.set()

    def store(self, outcome: ports.Outcome, then: Callable[[Exception | None], None] | None = None) -> None:
        """Have an outcome stored, together with others that come before the loop goes on or while others are stored.

        Args:
            outcome: What to store.
            then: Called when that is over, with the error if it was not stored.
        """
        if not self._gathered and self._storing is None:
            asyncio.get_running_loop().call_soon(self._flush)
        self._gathered.append(_Report(outcome=outcome, then=then))
        self._outstanding += 1
        if self._outstanding >= _MAXIMUM_OUTSTANDING:
            self._has_room.clear()

    async def store_alone(self, outcome: ports.Outcome) -> None:
        """Store an outcome, after those that came before it.

        Raises:
            Exception: What kept it from being stored.
        """
        stored: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()
        self.store(outcome, lambda error: None if stored.done() else stored.set_result(error))
        if (error := await stored) is not None:
            raise error

    @property
    def has_room(self) -> bool:
        """Whether more work may be begun."""
        return self._has_room.is_set()

    async def wait_for_room(self) -> None:
        """Return when not too much is outstanding; to be awaited before more work is begun."""
        await self._has_room.wait()

    async def close(self, *, within_seconds: float) -> None:
        """Wait for what is outstanding; what a crash would leave, the queue's own notes cover."""
        self._flush()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_seconds):
                while self._storing is not None:
                    await asyncio.wait((self._storing,))

    def note_broken(self, error: ports.StorageBrokenError) -> None:
        """Note that the storage needs a restart."""
        self.broken = self.broken or error
        self._on_broken()

    def _flush(self) -> None:
        if self._storing is not None or not self._gathered:
            return
        reports, self._gathered = self._gathered[:_AT_ONCE], self._gathered[_AT_ONCE:]
        self._storing = self._queue.settle([report.outcome for report in reports])
        self._storing.add_done_callback(functools.partial(self._stored, reports))

    def _stored(self, reports: Sequence[_Report], future: asyncio.Future[Sequence[Exception | None]]) -> None:
        self._storing = None
        try:
            self._outstanding -= len(reports)
            if self._outstanding < _MAXIMUM_OUTSTANDING:
                self._has_room.set()
            if not future.cancelled():
                for report, error in zip(reports, future.result(), strict=True):
                    self._tell(report, error)
        finally:
            self._flush()

    def _tell(self, report: _Report, error: Exception | None) -> None:
        if error is None:
            _count(report.outcome)
        elif isinstance(error, ports.StorageBrokenError):
            self.note_broken(error)
        else:
            # It does not fit what is stored: a defect, which storing it again would only repeat.
            _log.error(
                "an outcome was not stored",
                recipient_number=report.outcome.recipient_number,
                state=report.outcome.state,
                exc_info=error,
            )
        if report.then is not None:
            report.then(error)


def _count(outcome: ports.Outcome) -> None:
    if outcome.attempted:
        attempt_metrics.count_attempt(state=outcome.state, reason=outcome.reason)
    if outcome.state in states.FINAL:
        attempt_metrics.count_finished(state=outcome.state, reason=outcome.reason)
