"""Callers that are given up: what was committed for them is handed to delivery, wherever they were."""

import asyncio
import itertools
import pathlib

import pytest

from kit import interruption, queues, wait, ways_in
from mailtier.api import notification
from mailtier.sender.intake import taking
from mailtier.sender.storage.sqlite import embedded


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("way", [ways_in.WaysIn.request, ways_in.WaysIn.batch, ways_in.WaysIn.offer])
async def test_what_was_committed_is_scheduled(queue: queues.WholeQueue, way: ways_in.Way, late: bool) -> None:
    """Cancelled at any await, at once or when the result is there, a caller leaves no row that delivery misses (R4)."""
    handed = ways_in.Handed()
    entered = ways_in.WaysIn(queue, handed)
    for at in itertools.count():
        interrupted = interruption.Interruption(at=at, late=late)
        await way(entered, interrupted)
        await entered.taking.drain()
        stored = [each.recipient_number for each in await queues.unfinished(queue)]
        assert handed.recipients() == stored, f"given up at await {at}"
        if not interrupted.happened:
            break
    assert at > 0
    assert stored


async def test_room_for_a_batch_is_taken_until_it_is_stored(tmp_path: pathlib.Path) -> None:
    """While the queue does not go on, batches that have arrived are bounded as those that arrive (R15)."""
    queue = await embedded.open_queue(tmp_path / "queue", now=queues.Clock(), limits=queues.LIMITS)
    entered = ways_in.WaysIn(queue, ways_in.Handed())
    never = interruption.Interruption(at=-1, late=False)
    async with queues.stalled(queue):
        waiting = asyncio.create_task(entered.batch(never))
        await wait.until_async(entered.is_storing, within_seconds=10, why="the batch is on its way into the queue")
        assert entered.room_taken() == 1
    await waiting
    assert entered.room_taken() == 0
    await queue.close()


async def test_what_is_not_stored_in_time_is_told_and_scheduled(tmp_path: pathlib.Path) -> None:
    """Of a batch that the queue does not get to nobody knows whether it is stored; what is, delivery hears of (R4)."""
    queue = await embedded.open_queue(tmp_path / "queue", now=queues.Clock(), limits=queues.LIMITS)
    handed = ways_in.Handed()
    taker = ways_in.taker(queue, handed, commit_seconds=0.1)
    content = notification.NotificationRequest.model_validate(
        {"category": "JobAlert", "text": "it failed", "recipients": ways_in.crowd(20)}
    )
    source = taking.HttpsRequest(caller="tester", key=None)
    async with queues.stalled(queue):
        verdicts = await taker.take_all([(content, source)] * 5, ways_in.settings())
        assert [type(verdict) for verdict in verdicts] == [taking.UnansweredError] * 5
        with pytest.raises(taking.UnansweredError):
            await taker.take(content, ways_in.settings(), source)
        assert handed.recipients() == []
    await taker.drain()
    # The first commit of the batch, and the one that came alone; what was not begun is not stored.
    assert handed.recipients() == [each.recipient_number for each in await queues.unfinished(queue)]
    assert len(handed.recipients()) == 80
    await queue.close()


async def test_a_queue_that_does_not_answer_takes_nothing_more(tmp_path: pathlib.Path) -> None:
    """What would wait for it has no bound: it is refused at once, and not stored later; readiness says so (R13)."""
    queue = await embedded.open_queue(tmp_path / "queue", now=queues.Clock(), limits=queues.LIMITS)
    handed = ways_in.Handed()
    taker = ways_in.taker(queue, handed, commit_seconds=0.05, stalled_seconds=0.1)
    content = notification.NotificationRequest.model_validate(
        {"category": "JobAlert", "text": "it failed", "recipients": ["o@example.com"]}
    )
    source = taking.HttpsRequest(caller="tester", key=None)
    async with queues.stalled(queue):
        assert taker.stalled() is None
        with pytest.raises(taking.UnansweredError):
            await taker.take(content, ways_in.settings(), source)
        told = await wait.until_async(taker.stalled, within_seconds=10, why="it is seen that the queue does not answer")
        assert "has not answered" in told
        with pytest.raises(taking.StalledError):
            await taker.take(content, ways_in.settings(), source)
        verdicts = await taker.take_all([(content, source)] * 2, ways_in.settings())
        assert [type(verdict) for verdict in verdicts] == [taking.StalledError] * 2
    await taker.drain()
    assert taker.stalled() is None
    assert len(handed.recipients()) == 1
    assert handed.recipients() == [each.recipient_number for each in await queues.unfinished(queue)]
    await queue.close()
