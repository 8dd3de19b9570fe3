"""A database that is killed while a sender stores in it: what was acknowledged is there, and is there once (R4)."""

import asyncio
import datetime as dt
import signal

import pytest

from kit import lossy, postgres, queues
from mailtier.api import vocabulary
from mailtier.sender import ports
from mailtier.sender.storage.postgres import shared_queue

S = vocabulary.RecipientState

_ROUNDS = 3
_WITHIN_SECONDS = 20


async def test_a_database_that_is_killed_loses_nothing() -> None:
    """Whoever waits when it dies is answered once it is there again, and each thing is stored once (R4)."""
    with postgres.running("fsync=on") as server:
        dsn = await asyncio.to_thread(postgres.new_database, server)
        queue = await shared_queue.open_queue(
            shared_queue.SharedOptions(dsn=lambda: dsn, name="sender-0", lease=dt.timedelta(minutes=5)),
            now=queues.Clock(),
        )
        numbers: list[int] = []
        for round_ in range(_ROUNDS):
            new = [queues.notification(id=f"ntf-{round_}-{number}") for number in range(200)]
            storing = [asyncio.ensure_future(queues.enqueue(queue, each, quota=queues.QUOTA)) for each in new[:100]]
            settling = [queue.settle([queues.outcome(number, S.DEFERRED)]) for number in numbers]
            await asyncio.wait(storing, return_when=asyncio.FIRST_COMPLETED)
            storing += [asyncio.ensure_future(queues.enqueue(queue, each, quota=queues.QUOTA)) for each in new[100:]]
            assert server.child is not None
            server.child.signal(signal.SIGKILL)
            await asyncio.to_thread(server.child.wait, within_seconds=30)
            await asyncio.to_thread(server.begin)
            stored: list[ports.Enqueued] = await asyncio.gather(*storing)
            assert all(not any(errors) for errors in await asyncio.gather(*settling))
            assert {each.id for each in stored} == {each.id for each in new}
            assert not any(each.repeated for each in stored)
            numbers += [pending.recipient_number for each in stored for pending in each.pending]
        found = await queues.unfinished(queue)
        assert sorted(each.recipient_number for each in found) == sorted(numbers)
        # Each outcome counts once, though its commit may have been stored and not answered.
        earlier = [each.attempts for each in found if each.recipient_number in numbers[:200]]
        assert earlier == [_ROUNDS - 1] * 200
        await queue.close()


@pytest.mark.parametrize("lost", [1, 3])
async def test_a_commit_that_is_not_answered_is_looked_up(lost: int) -> None:
    """What is stored is acknowledged, once, and an outcome counts once, however often no answer comes (R4)."""
    dsn = await asyncio.to_thread(postgres.new_database)
    # Who does not look it up tries for ever.
    async with asyncio.timeout(_WITHIN_SECONDS), lossy.LossyDatabase(dsn) as between:
        options = shared_queue.SharedOptions(dsn=lambda: between.dsn, name="sender-0")
        queue = await shared_queue.open_queue(options, now=queues.Clock())
        between.losing = lost
        enqueued = await queues.enqueue(queue, queues.notification(), quota=queues.QUOTA)
        assert (enqueued.repeated, len(enqueued.pending), between.losing) == (False, 1, 0)
        number = enqueued.pending[0].recipient_number
        between.losing = lost
        assert await queue.settle([queues.outcome(number, S.DEFERRED)]) == [None]
        between.losing = 0
        (found,) = await queues.unfinished(queue)
        assert (found.recipient_number, found.attempts) == (number, 1)
        await queue.close()
    await asyncio.to_thread(postgres.drop_database, dsn)
