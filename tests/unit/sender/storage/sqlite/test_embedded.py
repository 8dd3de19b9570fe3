"""What is particular to the embedded queue: its files, its journal beside commits under way, its volume."""

import asyncio
import collections.abc
import contextlib
import dataclasses
import pathlib
import shutil
import sqlite3

import pytest

from kit import queues
from mailtier.api import vocabulary
from mailtier.sender import ports
from mailtier.sender.storage import volume
from mailtier.sender.storage.sqlite import embedded, schema

S = vocabulary.RecipientState

_ADDED = (
    (12, "recipients.id_domain"),
    (11, "TABLE suppressions"),
    (10, "TABLE requests"),
    (10, "TABLE displays"),
    (9, "INDEX notifications_by_namespace"),
    (8, "INDEX recipients_by_backlog"),
    (8, "INDEX notifications_by_expiry"),
    (8, "recipients.backlog"),
    (8, "TABLE backlogs"),
    (7, "INDEX notifications_kept"),
    (7, "INDEX notifications_kept_by_namespace"),
    (7, "INDEX notifications_kept_by_time"),
    (7, "notifications.failed"),
    (7, "notifications.payload_until"),
    (6, "recipients.failure_scope"),
    (6, "recipients.failure_phase"),
    (6, "recipients.failure_code"),
    (6, "recipients.failure_enhanced"),
    (5, "notifications.forgotten_accepted"),
    (5, "notifications.forgotten_recipients"),
    (4, "INDEX notifications_to_forget"),
    (4, "notifications.stored_bytes"),
    (4, "notifications.key_bytes"),
    (4, "usage.stored_bytes"),
    (3, "TABLE memories"),
    (2, "notifications.locale"),
)
"""What each version of the tables has added, the latest first."""


def _undo(database: sqlite3.Connection, version: int) -> None:
    """Bring the tables to an earlier version, on which none before it ran."""
    database.execute("DELETE FROM counters WHERE name = 'schema'")
    database.commit()
    for added_by, what in _ADDED:
        table, _, column = what.partition(".")
        if added_by > version:
            database.execute(f"ALTER TABLE {table} DROP COLUMN {column}" if column else f"DROP {what}")
    database.execute(f"PRAGMA user_version = {version}")


Open = collections.abc.Callable[..., collections.abc.Awaitable[embedded.EmbeddedQueue]]


@pytest.fixture
async def open_queue(tmp_path: pathlib.Path) -> collections.abc.AsyncIterator[Open]:
    """Return what opens a queue in a directory by its name; all are closed in the end."""
    async with contextlib.AsyncExitStack() as opened:

        async def open_(name: str = "queue", full_at: float = queues.LIMITS.full_at) -> embedded.EmbeddedQueue:
            limits = dataclasses.replace(queues.LIMITS, full_at=full_at)
            queue = await embedded.open_queue(tmp_path / name, now=queues.Clock(), limits=limits)
            opened.push_async_callback(queue.close)
            return queue

        yield open_


async def test_a_note_is_kept_until_its_outcome_is_committed(open_queue: Open, tmp_path: pathlib.Path) -> None:
    """An outcome under way does not free the note that a crash needs, for another recipient's to take its place."""
    queue = await open_queue()
    first, (one,) = await queues.put(queue)
    second, (two,) = await queues.put(queue)
    await queue.note_dot(one, queues.SNAPSHOT)
    queue.note_accepted(one)
    async with queues.stalled(queue):
        recorded = queues.settle(queue, queues.outcome(one, S.ACCEPTED))
        await queue.note_dot(two, queues.SNAPSHOT)
        queue.note_accepted(two)
        shutil.copytree(tmp_path / "queue", tmp_path / "copy")
    await recorded
    copy = await open_queue("copy")
    assert await queues.states(copy, first) == ["accepted"]
    assert await queues.states(copy, second) == ["accepted"]


async def test_a_release_under_way_is_made_up_for(open_queue: Open, tmp_path: pathlib.Path) -> None:
    """What was released and taken before either was committed is accepted after a crash."""
    queue = await open_queue()
    id_, (recipient_number,) = await queues.put(queue)
    await queue.note_dot(recipient_number, queues.SNAPSHOT)
    await queues.settle(queue, queues.outcome(recipient_number, S.HELD, attempted=False))
    async with queues.stalled(queue):
        released = queues.settle(queue, queues.outcome(recipient_number, S.QUEUED, attempted=False))
        await queue.note_dot(recipient_number, queues.SNAPSHOT)
        queue.note_accepted(recipient_number)
        shutil.copytree(tmp_path / "queue", tmp_path / "copy")
    await released
    assert await queues.states(await open_queue("copy"), id_) == ["accepted"]


async def test_a_journal_of_another_database_says_nothing(open_queue: Open, tmp_path: pathlib.Path) -> None:
    """Notes that outlived their database are not believed beside a new one, neither at once nor after a crash."""
    queue = await open_queue()
    _, (recipient_number,) = await queues.put(queue)
    await queue.note_dot(recipient_number, queues.SNAPSHOT)
    shutil.copytree(tmp_path / "queue", tmp_path / "copy")
    for path in (tmp_path / "copy").glob("queue.sqlite3*"):
        path.unlink()
    copy = await open_queue("copy")
    id_, again = await queues.put(copy)
    assert again == [recipient_number]
    await copy.close()
    assert await queues.states(await open_queue("copy"), id_) == ["queued"]


async def test_commits_are_shared(open_queue: Open) -> None:
    """What waits while a commit is under way is committed together."""
    queue = await open_queue()
    commits = 0
    seen = queue._news.announce

    def count(cursor: int) -> None:
        nonlocal commits
        commits += 1
        seen(cursor)

    queue._writer._on_change = count
    async with queues.stalled(queue):
        stored = [asyncio.ensure_future(queues.put(queue)) for _ in range(100)]
        await asyncio.sleep(0)
    await asyncio.gather(*stored)
    assert commits == 2


async def test_a_full_volume_refuses_new_work_only(open_queue: Open) -> None:
    """Above the threshold nothing new is taken, a repeat is found, and outcomes are stored (R13)."""
    queue = await open_queue()
    new = queues.notification(idempotency_key="key")
    enqueued = await queues.enqueue(queue, new, quota=queues.QUOTA)
    await queue.close()
    queue = await open_queue(full_at=0.0)
    with pytest.raises(ports.StorageFullError):
        await queues.put(queue)
    assert (await queues.enqueue(queue, new, quota=queues.QUOTA)).repeated
    await queues.settle(queue, queues.outcome(enqueued.pending[0].recipient_number, S.ACCEPTED))


async def test_a_queue_of_an_earlier_release_opens(open_queue: Open, tmp_path: pathlib.Path) -> None:
    """What was queued before messages had a locale is in English, and is delivered."""
    queue = await open_queue()
    id_, (recipient_number,) = await queues.put(queue, locale=vocabulary.Locale.JAPANESE)
    await queue.close()
    with contextlib.closing(sqlite3.connect(tmp_path / "queue" / "queue.sqlite3")) as former:
        _undo(former, 1)
    queue = await open_queue()
    assert [pending.recipient_number for pending in await queues.unfinished(queue)] == [recipient_number]
    assert (await queues.job(queue, recipient_number)).locale is vocabulary.Locale.ENGLISH
    _, (later,) = await queues.put(queue, locale=vocabulary.Locale.JAPANESE)
    assert (await queues.job(queue, later)).locale is vocabulary.Locale.JAPANESE
    await queues.settle(queue, queues.outcome(recipient_number, S.ACCEPTED))
    assert await queues.states(queue, id_) == ["accepted"]


async def test_what_an_earlier_release_stored_counts(open_queue: Open, tmp_path: pathlib.Path) -> None:
    """Records of before there was a share are counted as new ones are, finished or not (R15)."""

    def counted() -> list[tuple[str, int]]:
        with contextlib.closing(sqlite3.connect(tmp_path / "queue" / "queue.sqlite3")) as database:
            return database.execute(
                "SELECT id, stored_bytes FROM notifications UNION ALL SELECT namespace_uid, stored_bytes FROM usage "
                "ORDER BY 1"
            ).fetchall()

    queue = await open_queue()
    _, (recipient_number,) = await queues.put(queue, idempotency_key="key")
    await queues.put(queue, source=queues.source("object"), recipients=("a@x.org", "b@x.org"))
    await queues.settle(queue, queues.outcome(recipient_number, S.ACCEPTED))
    await queue.close()
    before = counted()
    with contextlib.closing(sqlite3.connect(tmp_path / "queue" / "queue.sqlite3")) as former:
        _undo(former, 3)
    await (await open_queue()).close()
    assert counted() == before
    assert len(before) == 3


async def test_a_broken_volume_is_told(open_queue: Open, tmp_path: pathlib.Path) -> None:
    """A fault that is not a lack of space fails what waits and all that follows, and the queue still closes."""
    queue = await open_queue()
    _, (recipient_number,) = await queues.put(queue)
    with contextlib.closing(sqlite3.connect(tmp_path / "queue" / "queue.sqlite3")) as vandal:
        vandal.execute("DROP TABLE payloads")
    with pytest.raises(ports.StorageBrokenError):
        await queues.put(queue)
    with pytest.raises(ports.StorageBrokenError):
        await queues.settle(queue, queues.outcome(recipient_number, S.ACCEPTED))


async def test_a_closed_queue_refuses(open_queue: Open) -> None:
    """Nobody waits for ever for a queue that is closed."""
    queue = await open_queue()
    await queue.close()
    with pytest.raises(RuntimeError, match="closed"):
        await queues.put(queue)


async def test_one_sender_opens_a_queue(open_queue: Open) -> None:
    """A second sender on the same volume is told what to do, in the same process too."""
    await open_queue()
    with pytest.raises(volume.InUseError, match="run one replica"):
        await open_queue()


async def test_a_newer_schema_is_refused(open_queue: Open, tmp_path: pathlib.Path) -> None:
    """A program that is older than the queue's tables does not touch them, and leaves the queue unlocked."""
    queue = await open_queue()
    await queue.close()
    path = tmp_path / "queue" / "queue.sqlite3"
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute(f"PRAGMA user_version = {schema.VERSION + 1}")
    with pytest.raises(schema.NewerSchemaError):
        await open_queue()
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute(f"PRAGMA user_version = {schema.VERSION}")
    await queues.put(await open_queue())


async def test_commits_are_synced(open_queue: Open) -> None:
    """The writer syncs at every commit, zeroes what it deletes, and keeps foreign keys (R11)."""
    queue = await open_queue()

    def pragmas(connection: sqlite3.Connection) -> list[object]:
        names = ("journal_mode", "synchronous", "secure_delete", "foreign_keys", "temp_store")
        return [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in names]

    assert await queue._writer.submit(pragmas) == ["wal", 2, 1, 1, 2]


async def test_a_snapshot_is_stored_once_and_goes(open_queue: Open) -> None:
    """Equal snapshots are one row, which stays while it may be needed and no longer."""
    queue = await open_queue()
    _, recipients = await queues.put(queue, recipients=("a@x.org",) * 3)

    async def stored() -> int:
        return await queue._readers.read(
            lambda connection: len(connection.execute("SELECT * FROM snapshots").fetchall())
        )

    for recipient_number in recipients:
        await queue.note_dot(recipient_number, queues.SNAPSHOT)
    assert await stored() == 1
    for recipient_number in recipients[1:]:
        await queues.settle(queue, queues.outcome(recipient_number, S.ACCEPTED))
    await queues.settle(queue, queues.outcome(recipients[0], S.IN_DOUBT))
    for _ in range(2):
        await queue.purge(now=queues.START)
        assert await stored() == 1
    await queue.note_dot(recipients[0], queues.SNAPSHOT)
    await queues.settle(queue, queues.outcome(recipients[0], S.ACCEPTED))
    await queue.purge(now=queues.START)
    assert await stored() == 1
    await queue.purge(now=queues.START)
    assert await stored() == 0


async def test_a_file_that_was_full_once_takes_work_again(open_queue: Open) -> None:
    """Pages that finished payloads have left count as room, for the database's file does not shrink."""
    queue = await open_queue()
    _, (recipient_number,) = await queues.put(queue, text="x" * 200_000)
    assert await queue._writer.submit(schema.reusable_bytes) == 0
    await queues.settle(queue, queues.outcome(recipient_number, S.ACCEPTED))
    assert await queue._writer.submit(schema.reusable_bytes) > 190_000


def test_room_within_the_database_counts(tmp_path: pathlib.Path) -> None:
    """A volume above its threshold takes work as long as the database has that much room within."""
    room = volume.Room(tmp_path / "reserve", full_at=0.0, reserve_bytes=65_536)
    assert not room.takes_work(reusable_bytes=0)
    assert room.takes_work(reusable_bytes=2**60)
    room.close()


def test_a_reserve_is_given_up_and_held_again(tmp_path: pathlib.Path) -> None:
    """Without its reserve a volume takes no work, whatever else is free."""
    room = volume.Room(tmp_path / "reserve", full_at=2.0, reserve_bytes=65_536)
    assert (tmp_path / "reserve").stat().st_blocks * 512 >= 65_536
    assert room.takes_work(reusable_bytes=0)
    room.give_up()
    assert (tmp_path / "reserve").stat().st_size == 0
    assert not room.takes_work(reusable_bytes=0)
    room.restore()
    assert room.takes_work(reusable_bytes=0)
    room.close()


async def test_payloads_are_in_no_repr() -> None:
    """Neither a new notification nor a job shows subject, text or data when it is printed (R1)."""
    new = queues.notification(subject="SECRET", text="SECRET", data={"link": "SECRET"})
    assert "SECRET" not in repr(new)
