"""The hold of a queue that was restored from a backup, as `queueing.restoring` has it."""

from collections.abc import Callable

from mailtier.mail import reasons
from mailtier.sender import ports
from mailtier.sender.queueing import restoring
from mailtier.sender.scheduling import waits
from mailtier.telemetry import logs

_log = logs.get_logger(__name__)


class RestoredHold:
    """Whether everything is held, which ends when somebody has the mark removed from the queue.

    Attributes:
        held: Why everything is held; None where it is not.
    """

    def __init__(self, queue: ports.DeliveryQueue) -> None:
        self.held: waits.Wait | None = None
        self._queue = queue

    async def load(self) -> None:
        """Look whether the queue was restored."""
        if (mark := await self._queue.restored()) is not None:
            self.held = waits.Wait(
                reason=reasons.DeliveryReason.RESTORED,
                message=restoring.explain(mark),
                ends_with=waits.WaitEnd.PERSON,
            )
            _log.warning("the queue was restored from a backup, and is held", made_at=mark)

    async def look(self, go_on: Callable[[], None]) -> None:
        """Look whether the hold has ended, and go on if it has.

        Args:
            go_on: Called then.
        """
        if self.held is not None and await self._queue.restored() is None:
            self.held = None
            _log.info("the restored queue goes on")
            go_on()
