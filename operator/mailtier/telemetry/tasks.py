"""Running the parts of a process together: one that ends unasked ends them all, and is never silent.

The container is started again then, from durable state (crash-only): a process that lives on with half of its
parts would look healthy and do nothing.
"""

import asyncio
import signal
from collections.abc import AsyncIterator, Coroutine, Iterable, Mapping
from typing import Any, Final, TypeVar

from mailtier.telemetry import logs

_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)

_AT_ONCE_SECONDS: Final = 0.001
_REST_SECONDS: Final = 0.002
"""What nobody waits for has a third of the event loop's time at most: a millisecond, and then the others two."""

_T = TypeVar("_T")

_log = logs.get_logger(__name__)


class EndedError(Exception):
    """A part ended although nobody asked it to; its own exception is the cause, if it had one."""


def stop_on_signals(stop: asyncio.Event) -> None:
    """Have SIGTERM and SIGINT set the event; to be called again after a library took the signals for itself."""
    loop = asyncio.get_running_loop()
    for number in _SIGNALS:
        loop.add_signal_handler(number, stop.set)


async def unhurried(items: Iterable[_T]) -> AsyncIterator[_T]:
    """Yield items, as they were at the start, and leave the event loop to others every millisecond."""
    now = asyncio.get_running_loop().time
    until = now() + _AT_ONCE_SECONDS
    for item in list(items):
        yield item
        if now() >= until:
            await asyncio.sleep(_REST_SECONDS)
            until = now() + _AT_ONCE_SECONDS


class Background:
    """Tasks that nobody waits for; what they raise is logged."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._tasks)

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Start a task and return it."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    async def finish(self, *, within_seconds: float) -> None:
        """Wait for all tasks, and cancel what is not done in time."""
        if self._tasks:
            await asyncio.wait(set(self._tasks), timeout=within_seconds)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("a background task failed", exc_info=error)


async def run(
    parts: Mapping[str, Coroutine[Any, Any, object]], *, stop: asyncio.Event, grace_seconds: float = 10.0
) -> None:
    """Run the parts until the event is set, then cancel them, last one first, each with the grace to end.

    Args:
        parts: Coroutines by name, in the order of their start.
        stop: Set by a signal, or by a part that is done.
        grace_seconds: How long a cancelled part may take.

    Raises:
        EndedError: A part ended or failed before the event was set; the others are cancelled as well.
    """
    tasks = {name: asyncio.create_task(part, name=name) for name, part in parts.items()}
    stopping = asyncio.create_task(stop.wait(), name="stop")
    try:
        await asyncio.wait({stopping, *tasks.values()}, return_when=asyncio.FIRST_COMPLETED)
        if not stop.is_set():
            _raise_for(tasks)
    finally:
        stopping.cancel()
        for name, task in reversed(tasks.items()):
            await _cancel(name, task, grace_seconds)


def _raise_for(tasks: Mapping[str, asyncio.Task[object]]) -> None:
    for name, task in tasks.items():
        if task.done():
            cause = None if task.cancelled() else task.exception()
            told = f": {type(cause).__name__}: {cause}" if cause is not None else ""
            raise EndedError(f"{name} ended unasked{told}") from cause


async def _cancel(name: str, task: asyncio.Task[object], grace_seconds: float) -> None:
    already_done = task.done()
    task.cancel()
    await asyncio.wait({task}, timeout=grace_seconds)
    if not task.done():
        _log.warning("a part did not end in time", part=name, grace_seconds=grace_seconds)
    elif not task.cancelled() and (error := task.exception()) is not None and not already_done:
        _log.error("a part failed while it was stopped", part=name, exc_info=error)
