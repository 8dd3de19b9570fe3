"""A loop whose hours pass while nobody waits for them: schedules of minutes are tested in milliseconds."""

import asyncio
import collections.abc
import selectors
import typing

_Result = typing.TypeVar("_Result")

_THREADS_SECONDS = 0.0005
"""Real time that work in threads has to show itself before time is skipped."""


class _Selector(selectors.DefaultSelector):
    """One that skips time in place of waiting for it."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Return what is ready; where nothing is, it is later afterwards."""
        if timeout is None or timeout <= 0:
            return super().select(timeout)
        ready = super().select(_THREADS_SECONDS)
        if not ready:
            self.now += timeout
        return ready


class _Loop(asyncio.SelectorEventLoop):
    """A loop that goes by its selector's time."""

    def __init__(self) -> None:
        self._skipping = _Selector()
        super().__init__(self._skipping)

    def time(self) -> float:
        """Return the virtual time in seconds."""
        return self._skipping.now


def run(main: collections.abc.Coroutine[typing.Any, typing.Any, _Result]) -> _Result:
    """Return what a coroutine returns; within it `loop.time` and `asyncio.sleep` go by virtual time."""
    with asyncio.Runner(loop_factory=_Loop) as runner:
        return runner.run(main)
