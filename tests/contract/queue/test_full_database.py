"""A database whose disk is full: new work is refused, and what was finished is stored once there is room (R4, R13)."""

import asyncio
import datetime as dt

from kit import full_database, invariants, postgres, queues
from mailtier.api import vocabulary
from mailtier.sender import ports
from mailtier.sender.storage.postgres import shared_queue

S = vocabulary.RecipientState

_LARGE = "x" * 100_000


async def _taken(queue: ports.Queue) -> ports.Enqueued | None:
    """Return that a large notification was taken; None where it was refused for want of room."""
    try:
        return await queues.enqueue(queue, queues.notification(text=_LARGE), quota=queues.QUOTA)
    except ports.StorageFullError:
        return None


async def test_a_full_disk_of_the_database_loses_nothing() -> None:
    """It is refused what does not fit, outcomes wait for room without being lost, and then all goes on (R4, R13)."""
    with full_database.running() as full:
        dsn = await asyncio.to_thread(postgres.new_database, full.server)
        options = shared_queue.SharedOptions(dsn=lambda: dsn, name="sender-0", lease=dt.timedelta(minutes=5))
        queue = await shared_queue.open_queue(options, now=queues.Clock())
        small = [await queues.enqueue(queue, queues.notification(), quota=queues.QUOTA) for _ in range(600)]
        await asyncio.to_thread(full.fill)
        # What is free in the pages that there are takes some of them.
        large: list[ports.Enqueued] = []
        while (taken := await _taken(queue)) is not None:
            large.append(taken)
        # More of them than what is free in the pages that there are can hold.
        numbers = [each.pending[0].recipient_number for each in small]
        settling = queue.settle([queues.outcome(number, S.ACCEPTED) for number in numbers])
        await asyncio.wait([settling], timeout=1)
        assert not settling.done()
        # Who asks is answered meanwhile.
        assert await queue.find(queues.LANE, small[0].id) is not None
        await asyncio.to_thread(full.free)
        assert await settling == [None] * len(small)
        taken = await _taken(queue)
        assert taken is not None
        large.append(taken)
        assert [await queues.states(queue, each.id) for each in small] == [[S.ACCEPTED]] * len(small)
        assert [await queues.states(queue, each.id) for each in large] == [[S.QUEUED]] * len(large)
        await queue.close()
        assert await asyncio.to_thread(invariants.shared_violations, dsn) == []
