"""Intake and delivery with one queue between them, each with its own connections, as two processes have."""

import asyncio
import collections.abc
import contextlib
import dataclasses
import datetime as dt
import pathlib

import pytest

from kit import queues, wait
from mailtier.api import vocabulary
from mailtier.sender import ports
from mailtier.sender.storage import volume
from mailtier.sender.storage.sqlite import embedded
from mailtier.sender.storage.sqlite.halves import delivery_half, intake_half

_S = vocabulary.RecipientState


@dataclasses.dataclass(slots=True)
class _Halves:
    """Opens halves of one queue."""

    directory: pathlib.Path
    stack: contextlib.AsyncExitStack

    async def intake(self, **limits: object) -> intake_half.IntakeHalf:
        """Return the intake's."""
        chosen = dataclasses.replace(queues.LIMITS, **limits)  # type: ignore[arg-type]  # Fields by name.
        opened = await embedded.open_intake(self.directory, limits=chosen)
        self.stack.push_async_callback(opened.close)
        return opened

    async def delivery(self, **limits: object) -> delivery_half.DeliveryHalf:
        """Return delivery's."""
        chosen = dataclasses.replace(queues.LIMITS, **limits)  # type: ignore[arg-type]  # Fields by name.
        opened = await embedded.open_delivery(self.directory, now=queues.Clock(), limits=chosen)
        self.stack.push_async_callback(opened.close)
        return opened


@pytest.fixture
async def halves(tmp_path: pathlib.Path) -> collections.abc.AsyncIterator[_Halves]:
    """Return what opens halves, which are closed with the test."""
    async with contextlib.AsyncExitStack() as stack:
        yield _Halves(tmp_path / "queue", stack)


async def _claim(queue: ports.DeliveryQueue) -> list[ports.Claimed]:
    demands = [
        ports.Demand(
            backlog=key, due_by=None, states={_S.QUEUED, _S.IN_DOUBT, _S.DEFERRED}, limit=1_000, limit_bytes=10**9
        )
        for key in await queue.backlogs()
    ]
    return list((await queue.claim(demands)).claimed)


async def _put(queue: ports.IntakeQueue, **changes: object) -> str:
    return (await queues.enqueue(queue, queues.notification(**changes), quota=queues.QUOTA)).id


async def test_what_one_stores_the_other_delivers(halves: _Halves) -> None:
    """An intake that was there first makes the tables; what it took is claimed and settled beside it."""
    intake = await halves.intake()
    id_ = await _put(intake)
    delivery = await halves.delivery()
    (claimed,) = await _claim(delivery)
    assert claimed.job.notification_id == id_
    await queues.settle(delivery, queues.outcome(claimed.job.recipient_number, _S.ACCEPTED))  # type: ignore[arg-type]  # Of a half.
    record = await intake.find(queues.LANE, id_)
    assert record is not None
    assert [each.state for each in record.recipients] == [_S.ACCEPTED]


async def test_a_delivery_that_comes_back_recovers_while_the_intake_writes(halves: _Halves) -> None:
    """What a dead delivery noted is answered as after any crash, and nothing that is taken meanwhile is lost."""
    intake = await halves.intake()
    id_ = await _put(intake)
    dead = await embedded.open_delivery(halves.directory, now=queues.Clock(), limits=queues.LIMITS)
    (claimed,) = await _claim(dead)
    await dead.note_dot(claimed.job.recipient_number, queues.SNAPSHOT)
    dead.note_accepted(claimed.job.recipient_number)
    # As after SIGKILL: nothing of it is stored.
    await dead.close()
    writing = asyncio.gather(*(_put(intake) for _ in range(200)))
    delivery = await halves.delivery()
    taken = await writing
    record = await intake.find(queues.LANE, id_)
    assert record is not None
    assert [each.state for each in record.recipients] == [_S.ACCEPTED]
    assert {each.job.notification_id for each in await _claim(delivery)} == set(taken)


async def test_each_half_is_open_once(halves: _Halves) -> None:
    """A second delivery does not recover under a living one, nor does a second intake, or one process with both."""
    await halves.intake()
    await halves.delivery()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(embedded, "LOCK_SECONDS", 0.2)
        with pytest.raises(volume.InUseError):
            await halves.intake()
        with pytest.raises(volume.InUseError):
            await halves.delivery()
    with pytest.raises(volume.InUseError):
        await embedded.open_queue(halves.directory, now=queues.Clock(), limits=queues.LIMITS)


async def test_a_half_is_waited_for_that_ends_in_a_moment(halves: _Halves) -> None:
    """A process whose supervisor was killed has the lock a little longer than that lives."""
    former = await embedded.open_intake(halves.directory, limits=queues.LIMITS)
    coming = asyncio.create_task(halves.intake())
    await asyncio.sleep(0)
    await former.close()
    await coming


async def test_the_intake_takes_nothing_once_delivery_gave_its_reserve(halves: _Halves) -> None:
    """The reserve is delivery's, and says to the intake that the volume is full (R13)."""
    delivery = await halves.delivery()
    intake = await halves.intake()
    await _put(intake)
    delivery._room.give_up()
    with pytest.raises(ports.StorageFullError):
        await _put(intake)
    delivery._room.restore()
    await _put(intake)


async def test_delivery_truncates_what_the_intake_wrote(halves: _Halves) -> None:
    """No payload stays in the write-ahead log for long, whoever wrote it there (R11)."""
    await halves.delivery(truncate_every=dt.timedelta(seconds=0.2))
    intake = await halves.intake()
    log = halves.directory / "queue.sqlite3-wal"
    for _ in range(2):
        await _put(intake)
        await wait.until_async(lambda: log.stat().st_size == 0, within_seconds=10, why="the log is empty")


async def test_a_cursor_that_moved_elsewhere_is_waited_for(halves: _Halves) -> None:
    """Who waits for a change is woken by the bell's word, and by what was read without it."""
    delivery, intake = await halves.delivery(), await halves.intake()
    moved = list[int]()
    delivery.news.listen(moved.append)
    await _put(intake, source=queues.source())
    cursor = (await intake.changes(0)).cursor
    waiting = asyncio.create_task(intake.wait_for_change(cursor, within=dt.timedelta(seconds=30)))
    (claimed,) = await _claim(delivery)
    await queues.settle(delivery, queues.outcome(claimed.job.recipient_number, _S.ACCEPTED))  # type: ignore[arg-type]  # Of a half.
    await wait.until_async(lambda: bool(moved), within_seconds=5, why="delivery tells where the cursor is")
    intake.news.announce(moved[-1])
    await waiting
    (item,) = (await intake.changes(cursor)).items
    assert getattr(item, "complete", False)
