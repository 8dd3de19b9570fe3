"""A queue of every backend, opened as often as a test likes on the same storage."""

import collections.abc
import dataclasses
import pathlib

import pytest
from kit import queues

from mailtier.sender import ports


@dataclasses.dataclass(slots=True)
class QueueFactory:
    """Opens queues of one backend on one storage, and closes those that the test leaves open."""

    backend: str
    directory: pathlib.Path
    clock: queues.Clock = dataclasses.field(default_factory=queues.Clock)
    _opened: list[ports.Queue] = dataclasses.field(default_factory=list)

    async def open(self) -> ports.Queue:
        """Return the queue, open."""
        queue = await queues.BACKENDS[self.backend](self.directory, self.clock)
        self._opened.append(queue)
        return queue

    async def close(self) -> None:
        """Close the queue that is open."""
        await self._opened.pop().close()

    async def reopen(self) -> ports.Queue:
        """Return the queue after a restart in good order."""
        await self.close()
        return await self.open()

    async def close_all(self) -> None:
        """Close what is open still."""
        while self._opened:
            await self.close()


@pytest.fixture(params=sorted(queues.BACKENDS))
async def queue_factory(
    request: pytest.FixtureRequest, tmp_path: pathlib.Path
) -> collections.abc.AsyncIterator[QueueFactory]:
    """Return what opens queues of the backend under test."""
    factory = QueueFactory(backend=request.param, directory=tmp_path / "queue")
    yield factory
    await factory.close_all()


@pytest.fixture
async def queue(queue_factory: QueueFactory) -> ports.Queue:
    """Return an empty queue."""
    return await queue_factory.open()
