"""What senders remember, and what a sender that is gone remembered for itself."""

import time
from collections.abc import Callable, Mapping
from typing import Final

from mailtier.sender.queueing import lessons
from mailtier.sender.storage.postgres.database import connections

READ: Final = "SELECT body FROM mailtier.memories WHERE key = $1"
STORE: Final = """
    INSERT INTO mailtier.memories (key, body) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET body = EXCLUDED.body
"""

# The key alone says whose it is, and senders' numbers are never given twice.
_OF_GONE: Final = """
    SELECT m.key FROM mailtier.memories m
    WHERE split_part(m.key, '/', 1) = ANY ($1::text[]) AND split_part(m.key, '/', 2) ~ '^[0-9]+$'
        AND NOT EXISTS (SELECT FROM mailtier.senders s WHERE s.number::text = split_part(m.key, '/', 2))
"""
_FORGET: Final = "DELETE FROM mailtier.memories WHERE key = ANY ($1::text[])"
# One statement each: the sender whose it is may write it at the same time.
_STRIKE: Final = "UPDATE mailtier.memories SET body = (body::jsonb - $2::text)::text WHERE key = $1"
_FORGET_EMPTY: Final = "DELETE FROM mailtier.memories WHERE key = $1 AND body = '{}'"


class MemoryTables:
    """What senders remember.

    Args:
        pool: Of the database.
        monotonic: Returns seconds of a clock that never jumps.
    """

    def __init__(self, pool: connections.Connections, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._memories = pool
        self._monotonic = monotonic
        self._gone: dict[str, float] = {}

    async def remember(self, key: str, text: str) -> None:
        """Keep what the sender learned under a key, in place of what was kept there."""
        await self._memories.fetch(STORE, key, text)

    async def recall(self, key: str) -> str | None:
        """Return what was kept under a key; None where nothing was."""
        found = await self._memories.fetch(READ, key)
        return next((str(body) for (body,) in found), None)

    async def recall_all(self, prefix: str) -> Mapping[str, str]:
        """Return what was kept under keys with a beginning."""
        found = await self._memories.fetch(
            "SELECT key, body FROM mailtier.memories WHERE key >= $1 AND starts_with(key, $1)", prefix
        )
        return {str(key): str(body) for key, body in found}

    async def forget(self, key: str) -> None:
        """Keep what was kept under a key no longer."""
        await self._memories.fetch("DELETE FROM mailtier.memories WHERE key = $1", key)

    async def strike(self, key: str, member: str) -> None:
        """Keep a member of the JSON object under a key no longer, and the key with its last one."""
        await self._memories.fetch(_STRIKE, key, member)
        await self._memories.fetch(_FORGET_EMPTY, key)

    async def forget_gone(self) -> None:
        """Forget what senders learned that have been gone for a while; to be asked now and then."""
        now = self._monotonic()
        found = await self._memories.fetch(_OF_GONE, [lesson.value for lesson in lessons.Lesson])
        self._gone = {str(key): self._gone.get(str(key), now) for (key,) in found}
        past = [key for key, since in self._gone.items() if since + lessons.OUTLIVES.total_seconds() <= now]
        if past:
            await self._memories.fetch(_FORGET, past)
