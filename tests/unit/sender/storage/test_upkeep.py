"""The upkeep of the queue."""

import collections.abc
import dataclasses
import datetime as dt
import pathlib

import pytest_asyncio

from kit import queues
from mailtier.api import feed, vocabulary
from mailtier.sender import clock, ports
from mailtier.sender.queueing import suppressions
from mailtier.sender.storage import upkeep
from mailtier.sender.storage.sqlite import embedded
from mailtier.telemetry import metrics

_DAY = dt.timedelta(days=1)


class _Time:
    """A wall clock and a monotonic clock that move together, or not."""

    def __init__(self) -> None:
        self.wall = queues.START
        self.monotonic = 0.0

    def pass_(self, span: dt.timedelta) -> None:
        """Let time pass."""
        self.wall += span
        self.monotonic += span.total_seconds()

    def clock(self) -> clock.Clock:
        """Return the clocks as the sender takes them."""
        return clock.Clock(wall=lambda: self.wall, monotonic=lambda: self.monotonic, random=lambda: 0.5)


@pytest_asyncio.fixture
async def queue(tmp_path: pathlib.Path) -> collections.abc.AsyncIterator[ports.Queue]:
    """Return an empty queue."""
    opened = await embedded.open_queue(tmp_path / "queue", now=queues.Clock(), limits=queues.LIMITS)
    yield opened
    await opened.close()


def _values() -> dict[str, float]:
    """Return what the metrics say."""
    lines = metrics.exposition("sender").decode().splitlines()
    pairs = (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    return {name: float(value) for name, value in pairs}


async def _finish_one(queue: ports.Queue) -> str:
    enqueued = await queues.enqueue(queue, queues.notification(), quota=queues.QUOTA)
    await queues.settle(queue, queues.outcome(enqueued.pending[0].recipient_number, vocabulary.RecipientState.FAILED))
    return enqueued.id


async def test_finished_notifications_are_forgotten(queue: ports.Queue, tmp_path: pathlib.Path) -> None:
    """A finished notification is removed after its retention, and not before."""
    time = _Time()
    kept = upkeep.Upkeep(queue, directory=tmp_path / "queue", time=time.clock())
    id_ = await _finish_one(queue)
    time.pass_(6 * _DAY)
    await kept.step()
    assert await queue.find(queues.LANE, id_) is not None
    time.pass_(2 * _DAY)
    await kept.step()
    assert await queue.find(queues.LANE, id_) is None


async def test_nothing_is_forgotten_after_the_wall_clock_jumped(queue: ports.Queue, tmp_path: pathlib.Path) -> None:
    """While the wall clock may be wrong nothing is removed, or its object would mail again (R14)."""
    time = _Time()
    kept = upkeep.Upkeep(queue, directory=tmp_path / "queue", time=time.clock())
    id_ = await _finish_one(queue)
    time.pass_(dt.timedelta(minutes=2))
    await kept.step()
    time.wall += 30 * _DAY
    time.pass_(dt.timedelta(minutes=2))
    await kept.step()
    assert await queue.find(queues.LANE, id_) is not None


async def test_queue_is_measured(queue: ports.Queue, tmp_path: pathlib.Path) -> None:
    """The metrics tell what waits, for how long, and how large the queue and its volume are."""
    time = _Time()
    await queues.enqueue(queue, queues.notification(), quota=queues.QUOTA)
    time.pass_(dt.timedelta(minutes=5))
    await upkeep.Upkeep(queue, directory=tmp_path / "queue", time=time.clock()).step()
    values = _values()
    assert values['mailtier_recipients{state="queued"}'] == 1
    assert values["mailtier_oldest_recipient_age_seconds"] == 300
    assert values["mailtier_queue_bytes"] > 4096
    assert 0 < values["mailtier_queue_volume_used_ratio"] < 1


async def test_what_failed_is_counted_while_it_is_kept(queue: ports.Queue, tmp_path: pathlib.Path) -> None:
    """The metrics tell how many texts are kept to be sent again, and to how many addresses nothing is sent."""
    time = _Time()
    kept = upkeep.Upkeep(queue, directory=tmp_path / "queue", time=time.clock())
    unknown = feed.LastFailure(scope="Recipient", phase="rcpt", code=550, enhanced="5.1.1")
    for _ in range(suppressions.REFUSALS):
        _, (number,) = await queues.put(queue, recipients=("nobody@example.org",))
        outcome = queues.outcome(number, vocabulary.RecipientState.FAILED)
        await queues.settle(queue, dataclasses.replace(outcome, failure=unknown))
    for passed, failed, suppressed in ((dt.timedelta(0), suppressions.REFUSALS, 1), (8 * _DAY, 0, 0)):
        time.pass_(passed)
        # What one removes the next one does not find.
        for _ in range(2):
            await kept.step()
        values = _values()
        assert (values["mailtier_failed_kept"], values["mailtier_suppressed_addresses"]) == (failed, suppressed)
