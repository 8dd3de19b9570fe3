"""Hearing of what others committed, by LISTEN; and, where that is not heard, by looking now and then."""

import asyncio
import contextlib
from typing import Any, Final

from mailtier.sender.storage.postgres.database import connections
from mailtier.telemetry import logs

_LOOK_SECONDS: Final = 1.0
"""Whoever waits looks as often as this: a pooler that hands out connections by transaction lets nothing be heard."""

_log = logs.get_logger(__name__)


class ChannelBell:
    """What is announced on one channel.

    Args:
        pool: Where a connection of its own comes from.
        channel: The channel.
    """

    def __init__(self, pool: connections.Connections, channel: str) -> None:
        self._pool = pool
        self._channel = channel
        self._rung = asyncio.Event()
        self._listening: Any = None
        self._opening = asyncio.Lock()
        self._closed = False

    async def wait(self) -> None:
        """Return when something was announced, or it is time to look."""
        await self._listen()
        rung = self._rung
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LOOK_SECONDS):
                await rung.wait()

    async def close(self) -> None:
        """Hear nothing any more."""
        self._closed = True
        if self._listening is not None:
            self._listening.terminate()

    async def _listen(self) -> None:
        async with self._opening:
            if self._closed or (self._listening is not None and not self._listening.is_closed()):
                return
            connection: Any = None
            try:
                connection = await self._pool.open()
                await connection.add_listener(self._channel, self._ring)
                if not self._closed:
                    self._listening = connection
                # What came before it was heard is looked for.
                self._ring()
            except Exception as error:  # noqa: BLE001 - whoever waits looks anyway.
                _log.warning("the queue's database lets nothing be heard", error=connections.describe(error))
            finally:
                # Whoever waits may be cancelled meanwhile, and the next one opens another.
                if connection is not None and connection is not self._listening:
                    connection.terminate()

    def _ring(self, *_: object) -> None:
        self._rung.set()
        self._rung = asyncio.Event()
