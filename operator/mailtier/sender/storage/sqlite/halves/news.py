"""The cursor of the feed as it is known, and who waits for it to move."""

import asyncio
from collections.abc import Callable


class News:
    """The cursor of the feed."""

    def __init__(self) -> None:
        self.cursor = 0
        self._listeners: list[Callable[[int], None]] = []
        self._moved = asyncio.Event()

    def announce(self, cursor: int) -> None:
        """Wake those who wait, if the cursor moved; what comes late of another process moves nothing back."""
        if cursor > self.cursor:
            self.cursor = cursor
            self._moved.set()
            self._moved = asyncio.Event()
            for listener in self._listeners:
                listener(cursor)

    def listen(self, listener: Callable[[int], None]) -> None:
        """Have somebody told where the cursor is whenever it moves."""
        self._listeners.append(listener)

    async def wait(self) -> None:
        """Return when the cursor moves."""
        await self._moved.wait()
