"""A queue that goes from a volume into a database: all of it, once, and nobody delivers from the file any more (R4)."""

import asyncio
import collections.abc
import contextlib
import dataclasses
import datetime as dt
import pathlib
import sqlite3

import pytest

from kit import invariants, moves, postgres, queues
from mailtier.api import vocabulary
from mailtier.cli.commands.nested import moving as moving_command
from mailtier.sender.delivering import builder, templates
from mailtier.sender.queueing import restoring
from mailtier.sender.roles import moving
from mailtier.sender.storage import movables, volume
from mailtier.sender.storage.postgres import shared_queue
from mailtier.sender.storage.postgres.database import connections
from mailtier.sender.storage.sqlite import backup, embedded, leaving, schema
from mailtier.settings import effective

S = vocabulary.RecipientState

_LINK = "https://example.org/reset/c0ffee-5ecret"


@dataclasses.dataclass(slots=True)
class Place:
    """A queue's folder, and a database that it goes to."""

    folder: pathlib.Path
    dsn: str
    said: list[str] = dataclasses.field(default_factory=list)

    @property
    def dsn_file(self) -> pathlib.Path:
        """Holds the address."""
        file = self.folder.with_name(f"dsn-{self.dsn.partition('@/')[2].partition('?')[0]}")
        file.write_text(f"{self.dsn}\n", encoding="utf-8")
        return file

    @contextlib.asynccontextmanager
    async def on_the_volume(self) -> collections.abc.AsyncIterator[queues.WholeQueue]:
        """Open the embedded queue."""
        queue = await embedded.open_queue(self.folder, now=queues.Clock(), limits=queues.LIMITS)
        try:
            yield queue
        finally:
            await queue.close()

    @contextlib.asynccontextmanager
    async def in_the_database(self) -> collections.abc.AsyncIterator[queues.WholeQueue]:
        """Open the shared queue."""
        options = shared_queue.SharedOptions(dsn=lambda: self.dsn, name="sender-0")
        queue = await shared_queue.open_queue(options, now=queues.Clock())
        try:
            yield queue
        finally:
            await queue.close()

    async def move(self, *, rows: int = 7) -> moving.MoveSummary:
        """Move the queue."""
        return await moving.move(self.folder, self.dsn_file, now=queues.Clock(), say=self.said.append, rows=rows)


@pytest.fixture
async def place(tmp_path: pathlib.Path) -> collections.abc.AsyncIterator[Place]:
    """Return a folder without a queue, and an empty database."""
    dsn = await asyncio.to_thread(postgres.new_database)
    yield Place(folder=tmp_path / "queue", dsn=dsn)
    await asyncio.to_thread(postgres.drop_database, dsn)


class _StopError(Exception):
    """Ends a move in its middle."""


async def _move_until(
    place: Place, monkeypatch: pytest.MonkeyPatch, stage: movables.MoveStage, *, after_parts: int
) -> None:
    """Move until a part of a stage was to be read, as one that is killed there."""
    read = leaving.LeavingQueue.read
    left = after_parts

    def stop(self: leaving.LeavingQueue, wanted: movables.MoveStage, *arguments: object, **options: object) -> object:
        nonlocal left
        if wanted is stage:
            if not left:
                raise _StopError
            left -= 1
        return read(self, wanted, *arguments, **options)  # type: ignore[arg-type]  # Handed on.

    with monkeypatch.context() as patched:
        patched.setattr(leaving.LeavingQueue, "read", stop)
        with pytest.raises(_StopError):
            await place.move()


async def test_what_is_shown_is_the_same(place: Place) -> None:
    """Records, lists, what waits and when, what failed, suppressions, memories, the feed: as before, and charged."""
    async with place.on_the_volume() as queue:
        filled = await moves.fill(queue)
        before = await moves.shown(queue, filled)
    summary = await place.move()
    assert summary.before == summary.after
    assert summary.notifications == len(filled.ids)
    assert invariants.shared_violations(place.dsn) == []
    async with place.in_the_database() as queue:
        assert await moves.shown(queue, filled) == before
        assert await moves.repeated(queue, filled) == moves.known(filled)
        # New ones get numbers of their own.
        await queues.put(queue)
    assert place.said == ["idempotency keys are copied: senders that use the database may start now; the rest follows"]


async def test_what_was_interrupted_is_answered_first(place: Place) -> None:
    """A dot without an outcome is in doubt in the database, with what it was built from, and a reply is recorded."""
    async with place.on_the_volume() as queue:
        doubtful, (first,) = await queues.put(queue)
        accepted, (second,) = await queues.put(queue)
        await queue.note_dot(first, queues.SNAPSHOT)
        await queue.note_dot(second, queues.SNAPSHOT)
        queue.note_accepted(second)
        # The process dies here: the notes stay, and no outcome is stored.
        journal = (place.folder / embedded.JOURNAL).read_bytes()
    (place.folder / embedded.JOURNAL).write_bytes(journal)
    await place.move()
    async with place.in_the_database() as queue:
        assert await queues.states(queue, doubtful) == [S.IN_DOUBT]
        assert await queues.states(queue, accepted) == [S.ACCEPTED]
        (claimed,) = await queues.look(queue)
        assert claimed.job.snapshot == queues.SNAPSHOT


async def test_a_message_is_the_same_after_a_move(place: Place) -> None:
    """What is in doubt, deferred or sent again is mailed with the bytes and Message-ID that it had (R4)."""
    from_ = effective.From(address="noreply@example.org", display_name=None, reply_to=None, envelope="b@example.org")
    messages = builder.Builder(templates.Templates())

    async def built(queue: queues.WholeQueue) -> dict[str, bytes]:
        return {each.job.rcpt_to: messages.build(each.job, from_).data for each in await queues.look(queue)}

    async with place.on_the_volume() as queue:
        id_, (doubtful, deferred, failed) = await queues.put(queue, recipients=("a@x.org", "b@x.org", "c@x.org"))
        before = await built(queue)
        first = messages.build(await queues.job(queue, doubtful), from_)
        await queue.note_dot(doubtful, first.snapshot)
        for number, state in ((doubtful, S.IN_DOUBT), (deferred, S.DEFERRED), (failed, S.FAILED)):
            met = dataclasses.replace(queues.outcome(number, state), id_domain=first.id_domain)
            await queues.settle(queue, met)
    await place.move()
    async with place.in_the_database() as queue:
        until = queues.START + dt.timedelta(days=1)
        assert await queue.retry("uid-a", id_, at=queues.START, expires_at=until, quota=queues.QUOTA)
        assert await built(queue) == before


async def test_nobody_opens_a_queue_that_was_moved(place: Place) -> None:
    """A sender, one of an older version, and a backup are told where it went; its texts are wiped (R11)."""
    async with place.on_the_volume() as queue:
        await queues.put(queue, text=_LINK, category=vocabulary.Category.PASSWORD_RECOVERY)
    await place.move()
    with pytest.raises(schema.SealedError, match=r"was moved to .*: start the sender with --queue-dsn-file"):
        async with place.on_the_volume():
            pass
    with pytest.raises(schema.SealedError):
        backup.write(place.folder, place.folder.with_name("copy"), now=queues.START)
    with contextlib.closing(sqlite3.connect(place.folder / embedded.DATABASE)) as file:
        # What programs compare with theirs that do not know of moves.
        assert file.execute("PRAGMA user_version").fetchone()[0] > 1_000
    assert _LINK.encode() not in b"".join(path.read_bytes() for path in place.folder.iterdir())


async def test_a_queue_that_is_open_is_not_moved(place: Place) -> None:
    """While a sender has it open it stays as it is."""
    async with place.on_the_volume() as queue:
        id_, _ = await queues.put(queue)
        with pytest.raises(volume.InUseError, match="stop the sender first"):
            await place.move()
        await queues.put(queue)
    async with place.on_the_volume() as queue:
        assert await queues.states(queue, id_) == [S.QUEUED]


async def test_an_interrupted_move_goes_on_into_its_own_database_alone(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Into another one it is refused, whether or not it has come to its end; a second run at the end does nothing."""
    async with place.on_the_volume() as queue:
        filled = await moves.fill(queue)
    await _move_until(place, monkeypatch, movables.MoveStage.OTHERS, after_parts=1)
    with pytest.raises(schema.SealedError, match="run `mailtier queue move` again"):
        async with place.on_the_volume():
            pass
    other = Place(folder=place.folder, dsn=await asyncio.to_thread(postgres.new_database))
    with pytest.raises(moving.MoveError, match="is on its way to"):
        await other.move()
    summary = await place.move()
    assert (summary.notifications, summary.before) == (len(filled.ids), summary.after)
    assert await place.move() == summary
    with pytest.raises(moving.MoveError, match="was moved to"):
        await other.move()
    assert postgres.read(other.dsn, "SELECT count(*) FROM mailtier.notifications") == [(0,)]
    await asyncio.to_thread(postgres.drop_database, other.dsn)


async def test_nothing_comes_again_that_was_delivered_meanwhile(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Senders deliver, and forget, while the rest is on its way: none of it is put in again (R4)."""
    async with place.on_the_volume() as queue:
        filled = await moves.fill(queue, rounds=5)
    await _move_until(place, monkeypatch, movables.MoveStage.OTHERS, after_parts=2)
    async with place.in_the_database() as queue:
        assert await moves.repeated(queue, filled) == moves.known(filled)
        came = {each.job.notification_id for each in await queues.look(queue)}
        for each in await queues.claim(queue):
            if each.pending.state is S.HELD:
                await queues.settle(queue, queues.outcome(each.pending.recipient_number, S.QUEUED))
            await queues.settle(queue, queues.outcome(each.pending.recipient_number, S.ACCEPTED))
        # As if seven days had passed: of what came nothing is left but what has not ended.
        assert await queue.purge(now=queues.START + dt.timedelta(days=8)) > 0
        assert await queues.look(queue) == []
    summary = await place.move()
    assert (summary.notifications, summary.before) == (len(filled.ids), summary.after)
    assert invariants.shared_violations(place.dsn) == []
    async with place.in_the_database() as queue:
        left = {each.job.notification_id for each in await queues.look(queue)}
        assert came.isdisjoint(left)
        assert left


async def test_no_sender_begins_before_repeats_are_known(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Until keys and objects are there senders are refused with a sentence, and so is a move beside a sender."""
    async with place.on_the_volume() as queue:
        await moves.fill(queue)
    async with place.in_the_database():
        with pytest.raises(moving.MoveError, match="senders of that database run"):
            await place.move()
    # It was refused before anything was changed.
    async with place.on_the_volume():
        pass
    await _move_until(place, monkeypatch, movables.MoveStage.KNOWN, after_parts=1)
    with pytest.raises(connections.NoDatabaseError, match="a queue is being moved into this database"):
        async with place.in_the_database():
            pass
    await place.move()
    async with place.in_the_database() as queue:
        assert await queues.look(queue)


async def test_what_both_had_taken_in_is_delivered_from_both(place: Place) -> None:
    """A key that the database knows already stays with what it knows it by; the other one keeps its id, and is told."""
    async with place.in_the_database() as queue:
        later, _ = await queues.put(queue, idempotency_key="a-key", digest="ab")
        object_, _ = await queues.put(queue, source=queues.source("one"))
    async with place.on_the_volume() as queue:
        earlier, _ = await queues.put(queue, idempotency_key="a-key", digest="ab")
        await queues.put(queue, source=queues.source("one"))
    summary = await place.move()
    assert (summary.notifications, summary.repeats) == (2, 2)
    assert invariants.shared_violations(place.dsn) == []
    async with place.in_the_database() as queue:
        assert await queues.states(queue, earlier) == await queues.states(queue, later) == [S.QUEUED]
        again = queues.notification(idempotency_key="a-key", digest="ab")
        assert (await queues.enqueue(queue, again, quota=queues.QUOTA)).id == later
        again = queues.notification(source=queues.source("one"))
        assert (await queues.enqueue(queue, again, quota=queues.QUOTA)).id == object_


async def test_the_operator_hears_of_everything(place: Place) -> None:
    """Whatever cursor it has, of the file or of nothing, each object is behind it; none is forgotten unread (R15)."""
    async with place.on_the_volume() as queue:
        filled = await moves.fill(queue)
        cursor = (await queue.changes(0)).cursor
    await place.move()
    async with place.in_the_database() as queue:
        for known in (*range(cursor + 1), cursor + 1_000_000):
            found = {item.id for item in await queues.changed_objects(queue, known)}
            assert found == set(filled.objects.values()), known


async def test_a_restored_queue_stays_held(place: Place) -> None:
    """What waits for a person's word does so in the database too, and whoever moves it is told, until it is resumed."""
    async with place.on_the_volume() as queue:
        await queues.put(queue)
        await queue.remember(restoring.KEY, restoring.mark(queues.START))
    summary = await place.move()
    assert summary.restored == restoring.mark(queues.START)
    assert [line for line in moving_command._summarized(summary) if "held" in line] == [
        f"it is held, as restored from a backup of {restoring.mark(queues.START)}: `mailtier queue resume`"
    ]
    async with place.in_the_database() as queue:
        assert await queue.resume() == restoring.mark(queues.START)
    assert (await place.move()).restored is None


async def test_two_queues_go_into_one_database(tmp_path: pathlib.Path, place: Place) -> None:
    """Their numbers do not meet, and what one namespace has in both is charged together."""
    other = Place(folder=tmp_path / "other", dsn=place.dsn)
    ids = {}
    for each in (place, other):
        async with each.on_the_volume() as queue:
            ids |= (await moves.fill(queue, rounds=1)).ids if each is place else {(await queues.put(queue))[0]: None}
        await each.move()
    assert invariants.shared_violations(place.dsn) == []
    found = postgres.read(place.dsn, "SELECT id FROM mailtier.notifications")
    assert {id_ for (id_,) in found} == set(ids)


async def test_no_queue_is_not_moved(place: Place) -> None:
    """A folder without a queue is named, and none is made there."""
    with pytest.raises(leaving.NoQueueError, match="there is no queue in"):
        await place.move()
    assert not place.folder.exists()


async def test_a_database_that_lets_nobody_in_says_why(place: Place) -> None:
    """What the server says stands there, and what to look at; the queue stays as it is, and may be opened."""
    async with place.on_the_volume() as queue:
        await queues.put(queue)
    place.dsn = place.dsn.replace(f"//{postgres.USER}@", "//stranger@")
    with pytest.raises(connections.NoDatabaseError, match=r'role "stranger" does not exist\): look whether'):
        await place.move()
    async with place.on_the_volume():
        pass
