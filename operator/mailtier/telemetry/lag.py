"""How late the event loop is: what one tenant makes it do is time in which it does nothing for the others (R15)."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Final, NoReturn

import prometheus_client

from mailtier.telemetry import metrics

PERIOD_SECONDS: Final = 0.1

_lag = prometheus_client.Histogram(
    "mailtier_loop_lag_seconds",
    "How much later than it should the event loop got to something, looked at ten times a second.",
    buckets=metrics.FAST,
    registry=metrics.COMMON,
)


@contextlib.asynccontextmanager
async def watched(observe: Callable[[float], None] = _lag.observe) -> AsyncIterator[None]:
    """Look every tenth of a second how late the loop is, while the context lasts.

    Args:
        observe: Told the seconds between the moment that was asked for and the one that it became.
    """
    watching = asyncio.create_task(_watch(observe), name="loop-lag")
    try:
        yield
    finally:
        watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watching


async def _watch(observe: Callable[[float], None]) -> NoReturn:
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + PERIOD_SECONDS
        await asyncio.sleep(PERIOD_SECONDS)
        observe(max(0.0, loop.time() - due))
