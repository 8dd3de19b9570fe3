"""What both halves are made of."""

import contextlib
import dataclasses
import functools
from collections.abc import Callable

from mailtier.sender.queueing import restoring
from mailtier.sender.storage import volume
from mailtier.sender.storage.sqlite import memories, readers, writer
from mailtier.sender.storage.sqlite.halves import news


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """The open parts of a queue.

    Attributes:
        commits: The one writer of this process.
        reads: Its readers.
        room: Whether the volume takes new work.
        told: The cursor of the feed.
        closing: Closes them.
    """

    commits: writer.Writer
    reads: readers.Readers
    room: volume.WorkRoom
    told: news.News
    closing: contextlib.AsyncExitStack


class Half:
    """One of the halves, or both."""

    def __init__(self, opened: Opened) -> None:
        self._writer = opened.commits
        self._readers = opened.reads
        self._room = opened.room
        self._news = opened.told
        self._closing = opened.closing

    @property
    def news(self) -> news.News:
        """The cursor of the feed, as this process knows it."""
        return self._news

    async def restored(self) -> str | None:
        """Return of when the backup is that it was restored from, until it goes on."""
        return await self._readers.read(functools.partial(memories.read, key=restoring.KEY))

    async def close(self) -> None:
        """Commit what is under way, leave no payload outside the database, and let another sender open the queue."""
        await self._closing.aclose()

    async def _in_steps(self, step: Callable[..., int]) -> int:
        total = 0
        while removed := await self._writer.submit(step):
            total += removed
        return total
