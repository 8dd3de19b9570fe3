"""A database that is killed while a sender stores in it: what was acknowledged is there, and is there once (R4)."""

import asyncio
import datetime as dt
import pathlib
import shutil
import signal
import tempfile

import pytest

from kit import postgres, queues
from mailtier.api import vocabulary
from mailtier.sender import ports
from mailtier.sender.storage.postgres import shared_queue

S = vocabulary.RecipientState

_ROUNDS = 3


async def test_a_database_that_is_killed_loses_nothing() -> None:
    """Whoever waits when it dies is answered once it is there again, and each thing is stored once (R4)."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="mailtier-postgres-"))
    server = await asyncio.to_thread(postgres.start, folder, "fsync=on")
    try:
        dsn = await asyncio.to_thread(postgres.new_database, server)
        queue = await shared_queue.open_queue(
            shared_queue.SharedOptions(dsn=lambda: dsn, name="sender-0", lease=dt.timedelta(minutes=5)),
            now=queues.Clock(),
        )
        numbers: list[int] = []
        for round_ in range(_ROUNDS):
            new = [queues.notification(id=f"ntf-{round_}-{number}") for number in range(200)]
            storing = [asyncio.ensure_future(queue.enqueue(each, quota=queues.QUOTA)) for each in new[:100]]
            settling = [queue.settle([queues.outcome(number, S.DEFERRED)]) for number in numbers]
            await asyncio.wait(storing, return_when=asyncio.FIRST_COMPLETED)
            storing += [asyncio.ensure_future(queue.enqueue(each, quota=queues.QUOTA)) for each in new[100:]]
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
    finally:
        await asyncio.to_thread(server.end)
        shutil.rmtree(folder, ignore_errors=True)


class _Lossy:
    """Stands between a sender and its database, and may lose the answer to a commit, and the connection with it."""

    def __init__(self, socket: str) -> None:
        self.losing = 0
        self._socket = socket

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Hand on what comes."""
        from_server, to_server = await asyncio.open_unix_connection(self._socket)
        answers = asyncio.ensure_future(self._hand_on(from_server, writer))
        try:
            while content := await reader.read(65_536):
                is_lost = self.losing > 0 and b"COMMIT\0" in content
                if is_lost:
                    self.losing -= 1
                    answers.cancel()
                to_server.write(content)
                await to_server.drain()
                if is_lost:
                    # It is committed now, and nobody hears of it.
                    await from_server.read(1)
                    return
        finally:
            answers.cancel()
            writer.close()
            to_server.close()

    @staticmethod
    async def _hand_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while content := await reader.read(65_536):
            writer.write(content)
            await writer.drain()


@pytest.mark.parametrize("lost", [1, 3])
async def test_a_commit_that_is_not_answered_is_looked_up(lost: int) -> None:
    """What is stored is acknowledged, once, and an outcome counts once, however often no answer comes (R4)."""
    dsn = await asyncio.to_thread(postgres.new_database)
    lossy = _Lossy(f"{postgres.shared().folder}/.s.PGSQL.5432")
    async with await asyncio.start_server(lossy.serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        far = f"postgresql://postgres@127.0.0.1:{port}/{dsn.partition('@/')[2].partition('?')[0]}?sslmode=disable"
        options = shared_queue.SharedOptions(dsn=lambda: far, name="sender-0")
        queue = await shared_queue.open_queue(options, now=queues.Clock())
        lossy.losing = lost
        enqueued = await queue.enqueue(queues.notification(), quota=queues.QUOTA)
        assert (enqueued.repeated, len(enqueued.pending), lossy.losing) == (False, 1, 0)
        number = enqueued.pending[0].recipient_number
        lossy.losing = lost
        assert await queue.settle([queues.outcome(number, S.DEFERRED)]) == [None]
        lossy.losing = 0
        (found,) = await queues.unfinished(queue)
        assert (found.recipient_number, found.attempts) == (number, 1)
        await queue.close()
    await asyncio.to_thread(postgres.drop_database, dsn)
