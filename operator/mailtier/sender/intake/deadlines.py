"""How long one waits for an answer: the same for all, and so one timer for all of them."""

import asyncio
import collections
from collections.abc import Callable
from typing import Generic, TypeVar

_Answer = TypeVar("_Answer")


class Deadlines(Generic[_Answer]):
    """Answers that come within a time, or are given up.

    A timer for each would be set and taken back as often as there is an answer.

    Args:
        seconds: How long one waits.
        late: Returns what is answered then.
    """

    def __init__(self, seconds: float, *, late: Callable[[], _Answer]) -> None:
        self._seconds = seconds
        self._late = late
        # In the order of their times.
        self._awaited: collections.deque[tuple[float, asyncio.Future[_Answer]]] = collections.deque()
        self._timer: asyncio.TimerHandle | None = None

    def watch(self, answer: asyncio.Future[_Answer]) -> None:
        """Have an answer given up when it does not come in time."""
        loop = asyncio.get_running_loop()
        awaited = self._awaited
        while awaited and awaited[0][1].done():
            awaited.popleft()
        awaited.append((loop.time() + self._seconds, answer))
        if self._timer is None:
            self._timer = loop.call_at(awaited[0][0], self._look)

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        awaited = self._awaited
        while awaited and (awaited[0][1].done() or awaited[0][0] <= loop.time()):
            _, answer = awaited.popleft()
            if not answer.done():
                answer.set_result(self._late())
        self._timer = loop.call_at(awaited[0][0], self._look) if awaited else None
