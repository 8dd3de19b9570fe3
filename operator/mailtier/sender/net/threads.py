"""Threads for what would hold the event loop, of which each namespace has its share (R15).

threads = SharedThreads("tls", total=4)
made = await threads.run(namespace, work)

What waits for its namespace's share holds no thread. A thread cannot be called back: whoever gives up leaves it busy,
and it is its namespace's until it is done.
"""

import asyncio
import concurrent.futures
import functools
import weakref
from collections.abc import Callable
from typing import Any, Final, TypeVar

_T = TypeVar("_T")

_EACH: Final = 1
"""So that one whose work takes long has one thread busy, and others' work goes on."""


class SharedThreads:
    """Threads for one purpose.

    Args:
        name: The purpose, for debuggers.
        total: How many there are.
    """

    def __init__(self, name: str, *, total: int) -> None:
        self._threads = concurrent.futures.ThreadPoolExecutor(total, thread_name_prefix=name)
        self._rooms: weakref.WeakValueDictionary[str, asyncio.Semaphore] = weakref.WeakValueDictionary()

    async def run(self, owner: str, work: Callable[[], _T]) -> _T:
        """Return what work returns, or raise what it raises; it begins when its owner has a thread.

        Args:
            owner: The namespace whose share it takes.
            work: Runs in a thread.
        """
        room = self._rooms.get(owner)
        if room is None:
            room = self._rooms[owner] = asyncio.Semaphore(_EACH)
        await room.acquire()
        working = asyncio.get_running_loop().run_in_executor(self._threads, work)
        # Not when this is cancelled, but when the thread is free: it cannot be called back.
        working.add_done_callback(functools.partial(_free, room))
        return await asyncio.shield(working)


def _free(room: asyncio.Semaphore, worked: asyncio.Future[Any]) -> None:
    if not worked.cancelled():
        # Seen here, because whoever waited for it may be gone.
        worked.exception()
    room.release()
