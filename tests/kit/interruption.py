"""Gives up a piece of work at one of its awaits, whichever is asked for."""

import asyncio
import collections.abc
import typing

from mailtier.telemetry import tasks

_T = typing.TypeVar("_T")


class Interruption:
    """Cancels the task in which a coroutine runs, at one of its awaits.

    Args:
        at: Number of the await, from 0.
        late: Whether what is awaited is there already, and the task has not gone on yet; else at once.
    """

    def __init__(self, *, at: int, late: bool) -> None:
        self._at = at
        self._late = late
        self.happened = False

    async def of(self, work: collections.abc.Coroutine[typing.Any, typing.Any, _T]) -> _T:
        """Return what the coroutine returns; it is cancelled unless it ends before."""
        return await _Watched(work, self._await)

    def _await(self, number: int, awaited: "asyncio.Future[object] | None") -> None:
        task = asyncio.current_task()
        if number != self._at or task is None:
            return
        self.happened = True
        if self._late and awaited is not None:
            # Before the task's own callback, which is added when it has yielded.
            awaited.add_done_callback(lambda _: task.cancel())
        else:
            task.cancel()


class Workers(tasks.Background):
    """Tasks of a sender, of which the first of a kind is interrupted; others keep house.

    Args:
        interrupting: What is done to it.
        kind: The qualified name of its coroutine.

    Attributes:
        first: That task, once it was started.
    """

    def __init__(self, interrupting: Interruption, *, kind: str) -> None:
        super().__init__()
        self._interrupting = interrupting
        self._kind = kind
        self.first: asyncio.Task[None] | None = None

    def spawn(self, work: collections.abc.Coroutine[typing.Any, typing.Any, None]) -> asyncio.Task[None]:
        """Start a task and return it."""
        if self.first is not None or getattr(work, "__qualname__", "") != self._kind:
            return super().spawn(work)
        self.first = super().spawn(self._interrupting.of(work))
        return self.first


class _Watched(typing.Generic[_T]):
    """Awaits a coroutine, and tells of each await before it begins."""

    def __init__(
        self,
        work: collections.abc.Coroutine[typing.Any, typing.Any, _T],
        tell: collections.abc.Callable[[int, "asyncio.Future[object] | None"], None],
    ) -> None:
        self._work = work
        self._tell = tell

    def __await__(self) -> collections.abc.Generator[typing.Any, typing.Any, _T]:
        number = 0
        error: BaseException | None = None
        while True:
            try:
                awaited = self._work.send(None) if error is None else self._work.throw(error)
            except StopIteration as end:
                return typing.cast("_T", end.value)
            self._tell(number, awaited)
            number += 1
            error = None
            try:
                yield awaited
            except BaseException as raised:  # noqa: BLE001  # It belongs to the coroutine, whatever it is.
                error = raised
