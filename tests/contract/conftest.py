"""A queue of every backend, opened as often as a test likes on the same storage."""

import collections.abc
import pathlib

import pytest

from kit import postgres, queues


@pytest.fixture(params=sorted(queues.BACKENDS))
async def queue_factory(
    request: pytest.FixtureRequest, tmp_path: pathlib.Path
) -> collections.abc.AsyncIterator[queues.Factory]:
    """Return what opens queues of the backend under test."""
    is_shared = request.param == "postgres"
    place = postgres.new_database() if is_shared else str(tmp_path / "queue")
    factory = queues.Factory(backend=request.param, place=place)
    yield factory
    await factory.close_all()
    if is_shared:
        postgres.drop_database(place)


@pytest.fixture
async def queue(queue_factory: queues.Factory) -> queues.WholeQueue:
    """Return an empty queue."""
    return await queue_factory.open()
