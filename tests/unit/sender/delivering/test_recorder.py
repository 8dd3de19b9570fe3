"""Outcomes on their way into the queue: in their order, and together."""

import asyncio
import collections.abc
import pathlib

import pytest

from kit import queues
from mailtier.api import vocabulary
from mailtier.mail import states
from mailtier.sender.delivering import recorder
from mailtier.sender.storage.sqlite import embedded

S = vocabulary.RecipientState


@pytest.fixture
async def queue(tmp_path: pathlib.Path) -> collections.abc.AsyncIterator[embedded.EmbeddedQueue]:
    """Return an empty queue, which is closed in the end."""
    opened = await embedded.open_queue(tmp_path / "queue", now=queues.Clock(), limits=queues.LIMITS)
    yield opened
    await opened.close()


def _recorder(queue: embedded.EmbeddedQueue) -> recorder.Recorder:
    return recorder.Recorder(queue, on_broken=lambda: None)


async def test_what_is_awaited_comes_after_what_came_before(queue: embedded.EmbeddedQueue) -> None:
    """An outcome that is waited for passes none that was given before, also while others are stored."""
    _, (first, second) = await queues.put(queue, recipients=("a@x.org", "b@x.org"))
    outcomes = _recorder(queue)
    async with queues.stalled(queue):
        outcomes.store(queues.outcome(second, S.DEFERRED))
        await asyncio.sleep(0)
        outcomes.store(queues.outcome(first, S.HELD, attempted=False))
        returned = asyncio.ensure_future(outcomes.store_alone(queues.outcome(first, S.QUEUED, attempted=False)))
        await asyncio.sleep(0)
    await asyncio.wait_for(returned, 30)
    assert await queue.counts() == {S.QUEUED: 1, S.DEFERRED: 1}
    with pytest.raises(states.IllegalTransition):
        await outcomes.store_alone(queues.outcome(first, S.QUEUED, attempted=False))


async def test_what_comes_while_others_are_stored_goes_together(queue: embedded.EmbeddedQueue) -> None:
    """The queue is asked once for all that gathers while it stores, and each is told when it is stored."""
    recipients = [number for _ in range(40) for number in (await queues.put(queue))[1]]
    asked: list[int] = []

    class Counting:
        """A queue whose askers are counted."""

        def settle(self, outcomes: collections.abc.Sequence[object]) -> object:
            """Store outcomes."""
            asked.append(len(outcomes))
            return queue.settle(outcomes)  # type: ignore[arg-type]

    outcomes = recorder.Recorder(Counting(), on_broken=lambda: None)  # type: ignore[arg-type]
    told: list[Exception | None] = []
    async with queues.stalled(queue):
        for number in recipients:
            outcomes.store(queues.outcome(number, S.ACCEPTED), told.append)
            await asyncio.sleep(0)
    await outcomes.close(within_seconds=30)
    assert told == [None] * 40
    assert asked == [1, 39]
    assert await queue.counts() == {}
