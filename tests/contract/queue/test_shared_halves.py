"""An intake and a delivery that share a database, each with its own connections, as two processes have."""

import asyncio
import collections.abc
import contextlib
import datetime as dt
import itertools
import pathlib
import typing

import asyncpg
import pytest

from kit import interruption, postgres, queues, wait
from mailtier.api import vocabulary
from mailtier.sender import ports
from mailtier.sender.storage.postgres import shared_queue
from mailtier.sender.storage.postgres.database import connections
from mailtier.sender.storage.postgres.senders import bell, tenure

_S = vocabulary.RecipientState
_LEASE = dt.timedelta(seconds=15)
_Open = collections.abc.Callable[..., collections.abc.Awaitable[shared_queue.SharedQueue]]


@pytest.fixture(name="open_half")
async def open_half_of_one() -> collections.abc.AsyncIterator[_Open]:
    """Return what opens halves of one database, which are closed with the test."""
    dsn = await asyncio.to_thread(postgres.new_database)
    async with contextlib.AsyncExitStack() as stack:

        async def open_half(*, only_takes_in: bool, lease: dt.timedelta = _LEASE) -> shared_queue.SharedQueue:
            name = "" if only_takes_in else "sender-0"
            options = shared_queue.SharedOptions(dsn=lambda: dsn, name=name, lease=lease)
            opened = await shared_queue.open_queue(options, now=queues.Clock(), only_takes_in=only_takes_in)
            stack.push_async_callback(opened.close)
            return opened

        yield open_half
    await asyncio.to_thread(postgres.drop_database, dsn)


async def test_what_one_stores_the_other_delivers(open_half: _Open) -> None:
    """An intake that was there first takes no turn; delivery hears of what it took, and it of what was delivered."""
    intake = await open_half(only_takes_in=True)
    delivery = await open_half(only_takes_in=False)
    assert delivery.turn().is_set()
    assert not intake.delivers()
    heard = list[ports.Pending]()
    hearing = asyncio.create_task(delivery.hear(heard.extend, lambda: None))
    stored = await queues.enqueue(intake, queues.notification(source=queues.source()), quota=queues.QUOTA)

    async def told() -> bool:
        # Until delivery listens, nobody is told.
        await intake.announce(stored.pending)
        return bool(heard)

    await wait.until_async(told, within_seconds=10, why="delivery hears of it")
    assert heard[0].lane == queues.LANE
    cursor = (await intake.changes(0)).cursor
    waiting = asyncio.create_task(intake.wait_for_change(cursor, within=dt.timedelta(seconds=30)))
    (claimed,) = await queues.look(delivery)
    await queues.settle(delivery, queues.outcome(claimed.job.recipient_number, _S.ACCEPTED))
    await waiting
    assert await queues.states(intake, stored.id) == [_S.ACCEPTED]
    hearing.cancel()


async def test_what_was_not_announced_is_looked_for(open_half: _Open) -> None:
    """When an intake begins, and whenever announcements are heard again: what came before may not have been (R4)."""
    intake = await open_half(only_takes_in=True)
    delivery = await open_half(only_takes_in=False)
    looks = list[None]()
    hearing = asyncio.create_task(delivery.hear(list[ports.Pending]().extend, lambda: looks.append(None)))
    await wait.until_async(lambda: len(looks) == 1, within_seconds=10, why="it listens")
    await intake.announce_anew()
    await wait.until_async(lambda: len(looks) == 2, within_seconds=10, why="an intake began")
    await delivery._pool.fetch(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND query LIKE 'LISTEN%' AND application_name = 'mailtier delivery'"
    )
    await wait.until_async(lambda: len(looks) == 3, within_seconds=20, why="it listens again")
    hearing.cancel()


async def test_who_could_not_listen_tries_again(open_half: _Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the database did not answer in time, the connection is no proof that announcements are heard (R4)."""
    listen = asyncpg.Connection.add_listener
    tries = itertools.count()

    async def late(self: typing.Any, *arguments: typing.Any) -> None:
        if next(tries) == 0:
            raise TimeoutError
        await listen(self, *arguments)

    monkeypatch.setattr(asyncpg.Connection, "add_listener", late)
    delivery = await open_half(only_takes_in=False)
    looks = list[None]()
    hearing = asyncio.create_task(delivery.hear(list[ports.Pending]().extend, lambda: looks.append(None)))
    await wait.until_async(lambda: looks, within_seconds=20, why="it listens")
    hearing.cancel()


async def test_who_gives_up_listening_leaves_no_connection(open_half: _Open) -> None:
    """Cancelled at any await while it begins to listen, as a wait with a time-out is, it keeps none open (R13)."""
    intake = await open_half(only_takes_in=True)

    async def connected() -> int:
        ((count,),) = await intake._pool.fetch(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
            "AND application_name = 'mailtier intake'"
        )
        return int(count)

    before = await connected()
    for at in itertools.count():
        interrupting = interruption.Interruption(at=at, late=False)
        waiting = bell.ChannelBell(intake._pool, "mailtier_tested")
        await asyncio.wait([asyncio.create_task(interrupting.of(waiting.wait()))], timeout=10)
        await waiting.close()

        async def is_closed() -> bool:
            return await connected() == before

        await wait.until_async(is_closed, within_seconds=5, why=f"its connection is closed, given up at {at}")
        if not interrupting.happened:
            break
    # As many as a connection and LISTEN have at least.
    assert at > 3


async def test_an_intake_delivers_nothing(open_half: _Open) -> None:
    """Without a row of its own it can neither claim nor note nor settle, whoever asks it to (R4)."""
    intake = await open_half(only_takes_in=True)
    _, (number,) = await queues.put(intake)
    demand = ports.Demand(
        backlog=next(iter(await intake.backlogs())), due_by=None, states={_S.QUEUED}, limit=1, limit_bytes=1
    )
    with pytest.raises(RuntimeError, match="delivers nothing"):
        await intake.claim([demand])
    with pytest.raises(RuntimeError, match="delivers nothing"):
        await intake.claim_these([number])
    with pytest.raises(RuntimeError, match="delivers nothing"):
        await intake.note_dot(number, queues.SNAPSHOT)
    with pytest.raises(RuntimeError, match="delivers nothing"):
        await intake.settle([queues.outcome(number, _S.ACCEPTED)])


async def test_no_dot_leaves_late_in_a_lease(open_half: _Open) -> None:
    """A sender that cannot renew notes dots at first, none in the last third, and ends with its lease (R4)."""
    delivery = await open_half(only_takes_in=False, lease=dt.timedelta(seconds=3))
    _, (recipient_number,) = await queues.put(delivery)
    # As where the database does not hear of it any more: only renewing stops.
    await delivery._tenure.abandon()
    await delivery._tenure.renew()
    await delivery.note_dot(recipient_number, queues.SNAPSHOT)

    async def is_refused() -> bool:
        try:
            await delivery.note_dot(recipient_number, queues.SNAPSHOT)
        except OSError as error:
            return "the lease on what is delivered ends soon" in str(error)
        return False

    await wait.until_async(is_refused, within_seconds=10, why="no dot may leave")
    assert not delivery._tenure.lost.is_set()

    async def is_over() -> bool:
        try:
            await queues.look(delivery)
        except ports.StorageBrokenError:
            return True
        return False

    await wait.until_async(is_over, within_seconds=10, why="the lease is over")


async def test_no_dot_leaves_after_a_standstill(open_half: _Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that stood still while its note was stored asks again: who took over has answered that note (R4)."""
    delivery = await open_half(only_takes_in=False)
    _, (recipient_number,) = await queues.put(delivery)
    store = delivery._notes.note_dot

    async def stand_still(number: int, snapshot: int) -> None:
        await store(number, snapshot)
        delivery._tenure._until -= tenure.LEASE.total_seconds()

    monkeypatch.setattr(delivery._notes, "note_dot", stand_still)
    ask_again = await delivery.note_dot(recipient_number, queues.SNAPSHOT)
    with pytest.raises(OSError, match="the lease on what is delivered ends soon"):
        ask_again()


async def test_a_sender_whose_name_another_took_says_so(open_half: _Open) -> None:
    """Two senders under one name end each other, and the one that ends says what to do about it."""
    first = await open_half(only_takes_in=False, lease=dt.timedelta(seconds=3))
    await open_half(only_takes_in=False)
    with pytest.raises(tenure.TenureLostError, match="another sender started under the name sender-0"):
        await asyncio.wait_for(first.lost(), 20)


async def test_a_database_that_is_not_there_is_named(tmp_path: pathlib.Path) -> None:
    """The error has host and port, or the certificate that is missing, and not the password (R1)."""
    missing = f"postgresql://u:secret@127.0.0.1:1/d?sslrootcert={tmp_path}/ca.crt"
    for dsn, says in (
        (missing, f"sslrootcert {tmp_path}/ca.crt"),
        ("postgresql://u:secret@127.0.0.1:1/d", "127.0.0.1:1"),
    ):
        options = shared_queue.SharedOptions(dsn=lambda dsn=dsn: dsn, name="sender-0", lease=_LEASE)
        with pytest.raises(connections.NoDatabaseError, match=says) as caught:
            await shared_queue.open_queue(options, now=queues.Clock())
        assert "secret" not in str(caught.value)
