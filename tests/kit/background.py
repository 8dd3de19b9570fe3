"""An event loop in a thread of its own, for servers that have to answer while a test blocks."""

import asyncio
import collections.abc
import contextlib
import threading
import typing

_T = typing.TypeVar("_T")
_SECONDS = 60.0


class Loop:
    """An event loop that runs while its context is entered."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="background-loop", daemon=True)

    def __enter__(self) -> typing.Self:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.run(self._cancel_others())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def run(self, work: collections.abc.Coroutine[typing.Any, typing.Any, _T]) -> _T:
        """Return what a coroutine returns in the loop; to be called from another thread."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_SECONDS)

    @contextlib.contextmanager
    def entered(self, server: contextlib.AbstractAsyncContextManager[_T]) -> collections.abc.Iterator[_T]:
        """Give what a server's context gives, entered in the loop."""
        value = self.run(server.__aenter__())
        try:
            yield value
        finally:
            self.run(server.__aexit__(None, None, None))

    @staticmethod
    async def _cancel_others() -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
