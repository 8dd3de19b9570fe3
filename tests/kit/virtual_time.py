"""A loop whose hours pass while nobody waits for them: schedules of minutes are tested in milliseconds."""

import asyncio
import collections.abc
import concurrent.futures
import selectors
import typing

_Result = typing.TypeVar("_Result")
_Arguments = typing.TypeVarTuple("_Arguments")

_THREADS_SECONDS = 60.0
"""Real time that work in threads may take; it takes no virtual time, however slow the machine is."""


class _Selector(selectors.DefaultSelector):
    """One that skips time in place of waiting for it.

    Attributes:
        now: The virtual time in seconds.
        in_threads: How many pieces of work threads have in hand.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.in_threads = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Return what is ready; where nothing is, it is later afterwards.

        Raises:
            TimeoutError: A thread does not come to its end.
        """
        if timeout is not None and timeout <= 0:
            return super().select(timeout)
        if self.in_threads:
            ready = super().select(_THREADS_SECONDS)
            if not ready:
                raise TimeoutError(f"work in a thread did not end within {_THREADS_SECONDS:g} s")
            return ready
        ready = super().select(None if timeout is None else 0)
        if not ready and timeout is not None:
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

    def run_in_executor(
        self,
        executor: concurrent.futures.Executor | None,
        func: collections.abc.Callable[[*_Arguments], _Result],
        *args: *_Arguments,
    ) -> asyncio.Future[_Result]:
        """Have a thread do something; time stands still until it is done."""
        work = super().run_in_executor(executor, func, *args)
        self._skipping.in_threads += 1
        work.add_done_callback(self._note_done)
        return work

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:  # noqa: ASYNC109  # As in asyncio.
        """Wait for all threads; the time that is allowed for it does not pass meanwhile."""
        self._skipping.in_threads += 1
        try:
            await super().shutdown_default_executor()
        finally:
            self._skipping.in_threads -= 1

    def _note_done(self, work: asyncio.Future[typing.Any]) -> None:
        self._skipping.in_threads -= 1


def run(main: collections.abc.Coroutine[typing.Any, typing.Any, _Result]) -> _Result:
    """Return what a coroutine returns; within it `loop.time` and `asyncio.sleep` go by virtual time."""
    with asyncio.Runner(loop_factory=_Loop) as runner:
        return runner.run(main)


class SkippableLoop(asyncio.SelectorEventLoop):
    """A loop whose time passes as it does, and further when somebody says so: for work in threads and on sockets."""

    def __init__(self) -> None:
        super().__init__()
        self._skipped_seconds = 0.0

    def time(self) -> float:
        """Return the monotonic time in seconds, with what was skipped."""
        return super().time() + self._skipped_seconds

    def skip(self, seconds: float) -> None:
        """Let time pass."""
        self._skipped_seconds += seconds
