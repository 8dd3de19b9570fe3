"""The queue belongs to all: a tenant who stores, reads or breaks as much as they can, and what the neighbour feels."""

import asyncio
import collections.abc
import pathlib

import pytest

from kit import attacks, dying, locked_tables, postgres, queues, wait, ways_in
from mailtier.api import notification, vocabulary
from mailtier.mail import render
from mailtier.sender.intake import gathering, taking
from mailtier.sender.intake.http import queue_turns
from mailtier.sender.storage.postgres import shared_queue
from mailtier.sender.storage.sqlite import embedded
from mailtier.telemetry import share_metrics

ATTACKS = (
    attacks.Story(
        name="many-at-once",
        test="test_many_at_once_take_turns_at_commits",
        rules=("R15",),
        story="A tenant hands in over hundreds of connections at once, and so fills the next commits of the queue.",
        stopped_by="namespaces take turns at the places of a commit",
    ),
    attacks.Story(
        name="many-deadly-messages",
        test="test_deadly_messages_push_no_other_s_out",
        rules=("R4", "R15"),
        story="A tenant has found what ends the process that builds it, and queues so many of those that what another's"
        " message did is forgotten, and the sender ends of it again and again.",
        stopped_by="the page that remembers them forgets of whoever has the most",
    ),
    attacks.Story(
        name="many-readers",
        test="test_many_looks_leave_the_database_to_others",
        rules=("R15",),
        story="A tenant asks hundreds of times at once where their notifications stand, while the database is slow, and"
        " so has all of the sender's connections to it.",
        stopped_by="a namespace is answered two looks at the same time, and reads have three connections of eight",
    ),
)

_CROWD = 300
_CONTENT = notification.NotificationRequest.model_validate(
    {"category": "JobAlert", "text": "it failed", "recipients": ["o@example.com"]}
)


async def test_many_at_once_take_turns_at_commits(tmp_path: pathlib.Path) -> None:
    """Whoever comes behind three hundred of one namespace is stored with the next commit (R15)."""
    queue = await embedded.open_queue(tmp_path / "queue", now=queues.Clock(), limits=queues.LIMITS)
    taker = ways_in.taker(queue, ways_in.Handed())
    source = taking.HttpsRequest(caller="tester", key=None)
    async with queues.stalled(queue):
        many = [taker.offer(_CONTENT, ways_in.settings("team-a"), source) for _ in range(_CROWD)]
        # One turn of the loop, in which the first commit begins.
        await asyncio.sleep(0)
        one = taker.offer(_CONTENT, ways_in.settings("team-b"), source)
    stored = await asyncio.gather(one, *many)
    (number, *_) = [each.pending[0].recipient_number for each in stored if not isinstance(each, BaseException)]
    assert gathering.AT_ONCE < number <= 2 * gathering.AT_ONCE
    await queue.close()


def test_deadly_messages_push_no_other_s_out(tmp_path: pathlib.Path) -> None:
    """A hundred deaths of an attacker's messages later it is still known what the neighbour's did (R4, R15)."""
    theirs = dying.job(1, namespace="team-b")
    dying.die_of(tmp_path, theirs)
    dying.die_of(tmp_path, theirs)
    for number in range(2, 102):
        dying.die_of(tmp_path, dying.job(number, namespace="team-a"))
    with pytest.raises(render.RenderError, match="the sender ended 2 times while it was built"):
        dying.open_builder(tmp_path).build(theirs, dying.FROM)


@pytest.fixture
async def dsn() -> collections.abc.AsyncIterator[str]:
    """Return the address of an empty database."""
    created = await asyncio.to_thread(postgres.new_database)
    yield created
    await asyncio.to_thread(postgres.drop_database, created)


@pytest.fixture
async def queue(dsn: str) -> collections.abc.AsyncIterator[shared_queue.SharedQueue]:
    """Return the queue in it."""
    options = shared_queue.SharedOptions(dsn=lambda: dsn, name="sender-0")
    opened = await shared_queue.open_queue(options, now=queues.Clock())
    yield opened
    await opened.close()


async def test_many_looks_leave_the_database_to_others(
    dsn: str, queue: shared_queue.SharedQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While two of sixty looks wait for the database, a neighbour's look reaches it (R15)."""
    # However slow this machine is meanwhile, none of them is told to come again.
    monkeypatch.setattr(queue_turns, "_WAIT_SECONDS", 120.0)
    entered = ways_in.WaysIn(queue, ways_in.Handed())
    ids = {name: (await queues.put(queue, lane=ways_in.lane(name)))[0] for name in ("team-a", "team-b")}
    before = _waiting_looks()
    async with entered.looking(*ids) as look:
        async with locked_tables.LockedTable(dsn, "recipients") as table:
            looks = [asyncio.create_task(look("team-a", ids["team-a"])) for _ in range(60)]
            # All of them are there, and no more than two have a turn.
            await wait.until_async(
                lambda: _waiting_looks() - before == 58,
                within_seconds=10,
                why="all but two wait for a turn",
            )
            await _until_waiting(table, 2)
            looks.append(asyncio.create_task(look("team-b", ids["team-b"])))
            await _until_waiting(table, 3)
            assert await table.waiting() == 3
        assert set(await asyncio.gather(*looks)) == {200}


async def test_reads_leave_connections_to_what_is_stored(dsn: str, queue: shared_queue.SharedQueue) -> None:
    """While reads of many namespaces wait for the database, notifications and outcomes are stored (R15)."""
    async with locked_tables.LockedTable(dsn, "suppressions") as table:
        reads = [
            asyncio.create_task(queue.suppressions(f"uid-{number}", now=queues.START, after=("", ""), limit=1))
            for number in range(40)
        ]
        await _until_waiting(table, 3)
        async with asyncio.timeout(5):
            _, (number,) = await queues.put(queue)
            await queues.settle(queue, queues.outcome(number, vocabulary.RecipientState.DEFERRED))
        assert not any(read.done() for read in reads)
    assert [page.suppressions for page in await asyncio.gather(*reads)] == [()] * 40


def _waiting_looks() -> float:
    return share_metrics.REGISTRY.get_sample_value("mailtier_share_waiting", {"of": "looks"}) or 0.0


async def _until_waiting(table: locked_tables.LockedTable, count: int) -> None:
    async def look() -> bool:
        return await table.waiting() >= count

    await wait.until_async(look, within_seconds=10, why=f"{count} reads wait for the database")
