"""A queue of every backend, opened as often as a test likes on the same storage."""

import collections.abc
import pathlib

import pytest

from kit import queues


@pytest.fixture(params=sorted(queues.BACKENDS))
async def queue_factory(
    request: pytest.FixtureRequest, tmp_path: pathlib.Path
) -> collections.abc.AsyncIterator[queues.Factory]:
    """Return what opens queues of the backend under test."""
    factory = queues.Factory(backend=request.param, directory=tmp_path / "queue")
    yield factory
    await factory.close_all()


@pytest.fixture
async def queue(queue_factory: queues.Factory) -> queues.WholeQueue:
    """Return an empty queue."""
    return await queue_factory.open()
