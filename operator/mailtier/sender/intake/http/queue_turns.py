"""Turns of namespaces at asking the queue: it has few readers, and each answer may be large (R15)."""

import asyncio
from typing import Final

from mailtier.sender.intake.http import problems
from mailtier.sender.net import shares
from mailtier.telemetry import share_metrics

_TOTAL: Final = 8
_PER_NAMESPACE: Final = 2
"""Requests that are worked on at the same time."""
_WAIT_SECONDS: Final = 10.0
_AGAIN_SECONDS: Final = 2


class QueueTurns:
    """Turns at the queue, for requests of one purpose.

    Args:
        of: The purpose, for metrics.
    """

    def __init__(self, of: share_metrics.Share) -> None:
        self._shares = shares.Shares(of, total=_TOTAL, each=_PER_NAMESPACE)

    async def take(self, namespace: str) -> shares.ShareSlot:
        """Return a namespace's turn, to be entered.

        Raises:
            HttpProblem: It did not come in time.
        """
        try:
            async with asyncio.timeout(_WAIT_SECONDS):
                return await self._shares.take(namespace)
        except TimeoutError:
            raise problems.HttpProblem(
                problems.UNAVAILABLE,
                f"{_PER_NAMESPACE} requests of a namespace about the queue are worked on at the same time, and {_TOTAL}"
                " of all; send it again",
                headers={"Retry-After": str(_AGAIN_SECONDS)},
            ) from None
