"""Callers that are given up: what was committed for them is handed to delivery, wherever they were."""

import itertools
import pathlib

import pytest

from kit import interruption, queues, ways_in


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("way", [ways_in.WaysIn.request, ways_in.WaysIn.batch, ways_in.WaysIn.offer])
@pytest.mark.parametrize("backend", sorted(queues.BACKENDS))
async def test_what_was_committed_is_scheduled(
    backend: str, way: ways_in.Way, late: bool, tmp_path: pathlib.Path
) -> None:
    """Cancelled at any await, at once or when the result is there, a caller leaves no row that delivery misses (R4)."""
    factory = queues.Factory(backend=backend, directory=tmp_path / "queue")
    queue = await factory.open()
    handed = ways_in.Handed()
    entered = ways_in.WaysIn(queue, handed)
    for at in itertools.count():
        interrupted = interruption.Interruption(at=at, late=late)
        await way(entered, interrupted)
        await entered.taking.drain()
        stored = sorted([each.recipient async for each in queue.pending()])
        assert handed.recipients() == stored, f"given up at await {at}"
        if not interrupted.happened:
            break
    assert at > 0
    assert stored
    await factory.close_all()
