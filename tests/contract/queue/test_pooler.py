"""A pooler by transaction between a sender and its database, which goes away and comes back (R4)."""

import asyncio
import collections.abc
import contextlib
import pathlib
import tempfile

import pytest

from kit import invariants, pooler, postgres, queues, wait
from mailtier.api import vocabulary
from mailtier.sender import ports
from mailtier.sender.storage.postgres import shared_queue

S = vocabulary.RecipientState

_RESTARTS = 10
_WORKERS = 16
_BETWEEN = 50
"""Notifications that are taken in before it is killed again."""


@pytest.fixture(name="dsn")
async def database() -> collections.abc.AsyncIterator[str]:
    """Return the address of an empty database."""
    dsn = await asyncio.to_thread(postgres.new_database)
    yield dsn
    await asyncio.to_thread(postgres.drop_database, dsn)


@pytest.fixture(name="between")
def running_pooler(dsn: str) -> collections.abc.Iterator[pooler.Pooler]:
    """Return a pooler before the database; in a folder that not only root may enter."""
    with (
        tempfile.TemporaryDirectory(prefix="mailtier-pooler-") as folder,
        pooler.Pooler(pathlib.Path(folder), dsn) as running,
    ):
        yield running


@contextlib.asynccontextmanager
async def _opened(dsn: str, *, only_takes_in: bool) -> collections.abc.AsyncIterator[shared_queue.SharedQueue]:
    options = shared_queue.SharedOptions(dsn=lambda: dsn, name="sender-0")
    queue = await shared_queue.open_queue(options, now=queues.Clock(), only_takes_in=only_takes_in)
    try:
        yield queue
    finally:
        await queue.close()


async def test_everything_goes_through_a_pooler(dsn: str, between: pooler.Pooler) -> None:
    """Taken in by one process, claimed, noted and settled by another, looked up by the first, all through a pooler."""
    async with (
        _opened(between.dsn, only_takes_in=True) as intake,
        _opened(between.dsn, only_takes_in=False) as delivery,
    ):
        ids = [(await queues.put(intake, source=queues.source(f"object-{number}")))[0] for number in range(20)]
        for each in await queues.claim(delivery):
            await delivery.note_dot(each.pending.recipient_number, queues.SNAPSHOT)
            delivery.note_accepted(each.pending.recipient_number)
            await queues.settle(delivery, queues.outcome(each.pending.recipient_number, S.ACCEPTED))
        assert [await queues.states(intake, id_) for id_ in ids] == [[S.ACCEPTED]] * len(ids)
        assert {each.id for each in await queues.changed_objects(intake, 0)} == set(ids)
        assert await delivery.purge(now=queues.START) == 0
    assert invariants.shared_violations(dsn) == []


class _Load:
    """Takes in and delivers until it is told to stop.

    Args:
        intake: Where it comes in.
        delivery: Where it is delivered.
    """

    def __init__(self, intake: shared_queue.SharedQueue, delivery: shared_queue.SharedQueue) -> None:
        self._intake = intake
        self._delivery = delivery
        self._stop = asyncio.Event()
        self.acknowledged: list[str] = []

    async def take_in(self) -> None:
        """Note what is acknowledged; what is not is told."""
        while not self._stop.is_set():
            with contextlib.suppress(ports.StorageAwayError, ports.StorageBrokenError):
                self.acknowledged.append((await queues.put(self._intake))[0])

    async def deliver(self) -> None:
        """Deliver what there is, as often as it takes."""
        while not self._stop.is_set():
            for each in await queues.claim(self._delivery, limit=50):
                number = each.pending.recipient_number
                try:
                    await self._delivery.note_dot(number, queues.SNAPSHOT)
                except OSError:
                    # The dot did not leave: it is claimed again.
                    self._delivery.unclaim([number])
                else:
                    self._delivery.note_accepted(number)
                    await queues.settle(self._delivery, queues.outcome(number, S.ACCEPTED))

    async def restart(self, between: pooler.Pooler) -> None:
        """Kill the pooler again and again, and stop when it goes on after the last time."""
        for _ in range(_RESTARTS):
            enough = len(self.acknowledged) + _BETWEEN
            await asyncio.to_thread(between.kill)
            await asyncio.to_thread(between.start)
            await wait.until_async(
                lambda enough=enough: len(self.acknowledged) >= enough,  # type: ignore[misc]  # Bound at once.
                within_seconds=60,
                why="it goes on",
            )
        self._stop.set()


async def test_a_pooler_that_is_killed_loses_nothing(dsn: str, between: pooler.Pooler) -> None:
    """Whatever was acknowledged is in the database, once, and settled once; errors are tried again (R4)."""
    async with (
        _opened(between.dsn, only_takes_in=True) as intake,
        _opened(between.dsn, only_takes_in=False) as delivery,
    ):
        load = _Load(intake, delivery)
        await asyncio.gather(load.restart(between), load.deliver(), *(load.take_in() for _ in range(_WORKERS)))
        for each in await queues.claim(delivery):
            await queues.settle(delivery, queues.outcome(each.pending.recipient_number, S.ACCEPTED))
    found = dict(postgres.read(dsn, _STATES))
    assert found == dict.fromkeys(load.acknowledged, "accepted")
    assert invariants.shared_violations(dsn) == []
    print(f"{len(found)} acknowledged over {_RESTARTS} SIGKILLs of the pooler: all there, none twice")


_STATES = """
    SELECT n.id, r.state FROM mailtier.notifications n JOIN mailtier.recipients r ON r.notification = n.number
"""
