"""Programs of two versions on one queue: each runs on the next one's tables, so that an upgrade and a rollback work."""

import asyncio
import collections.abc
import dataclasses
import datetime as dt
import pathlib

import asyncpg
import pytest

from kit import invariants, postgres, programs, queues
from mailtier.api import vocabulary
from mailtier.sender.storage import volume
from mailtier.sender.storage.postgres import shared_queue
from mailtier.sender.storage.postgres.database import connections
from mailtier.sender.storage.postgres.database import schema as tables
from mailtier.sender.storage.sqlite import embedded, schema
from mailtier.sender.storage.sqlite.tables import migrations

S = vocabulary.RecipientState

_EXPANDED = "ALTER TABLE {0}notifications ADD COLUMN colour TEXT NOT NULL DEFAULT 'grey'"
_MORE = "ALTER TABLE {0}recipients ADD COLUMN weight INTEGER"


@pytest.fixture(name="dsn")
async def database() -> collections.abc.AsyncIterator[str]:
    """Return the address of a database with the present tables."""
    dsn = await asyncio.to_thread(postgres.new_database)
    yield dsn
    await asyncio.to_thread(postgres.drop_database, dsn)


async def _change_shared(dsn: str, *, runs: int) -> None:
    """Have a program of the next version change the tables, on which this version of the program runs, or not."""
    pool = connections.Connections(lambda: dsn)
    statements = "; ".join(each.format("mailtier.") for each in (_EXPANDED, _MORE))
    await tables.prepare(pool, [*tables.MIGRATIONS, tables.Migration(statements=statements, runs=runs)])
    await pool.close()


def _change_embedded(folder: pathlib.Path, *, runs: int) -> None:
    turns = volume.WriteTurns(folder / embedded.TURNS)
    connection = schema.open_writer(folder / embedded.DATABASE, turns)
    step = migrations.TableMigration(statements=[each.format("") for each in (_EXPANDED, _MORE)], runs=runs)
    migrations.migrate(connection, [*migrations.MIGRATIONS, step])
    connection.close()
    turns.close()


async def _change(factory: queues.Factory, *, runs: int) -> None:
    if factory.backend == "postgres":
        await _change_shared(factory.place, runs=runs)
    else:
        _change_embedded(factory.directory, runs=runs)


def _version(factory: queues.Factory) -> int:
    return tables.VERSION if factory.backend == "postgres" else migrations.VERSION


async def test_a_program_runs_on_the_next_version_s_tables(queue_factory: queues.Factory) -> None:
    """After a rollback it finds what was queued, and takes in, delivers, tells and sends again as before (R4)."""
    queue = await queue_factory.open()
    before, _ = await queues.put(queue, idempotency_key="a-key", digest="ab")
    await queue_factory.close()
    await _change(queue_factory, runs=_version(queue_factory))
    queue = await queue_factory.open()
    again = queues.notification(idempotency_key="a-key", digest="ab")
    assert (await queues.enqueue(queue, again, quota=queues.QUOTA)).id == before
    after, _ = await queues.put(queue, source=queues.source("one"))
    for each in await queues.claim(queue):
        number = each.pending.recipient_number
        await queue.note_dot(number, queues.SNAPSHOT)
        await queues.settle(queue, queues.outcome(number, S.FAILED))
    assert [each.id for each in await queues.changed_objects(queue, 0)] == [after]
    until = queues.START + dt.timedelta(days=1)
    assert await queue.retry("uid-a", before, at=queues.START, expires_at=until, quota=queues.QUOTA)
    queue = await queue_factory.reopen()
    assert await queues.states(queue, before) == [S.QUEUED]
    assert await queues.states(queue, after) == [S.FAILED]
    await queue.purge(now=queues.START)


async def test_a_program_is_refused_by_tables_that_it_does_not_run_on(queue_factory: queues.Factory) -> None:
    """Where what it needs was removed it says which version there is, and what to do; nothing is changed."""
    await queue_factory.open()
    await queue_factory.close()
    await _change(queue_factory, runs=_version(queue_factory) + 1)
    with pytest.raises((tables.NewerTablesError, schema.NewerSchemaError), match="run the newer version again"):
        await queue_factory.open()


async def test_what_an_earlier_program_says_is_understood(dsn: str) -> None:
    """The program of version 1 goes on, after a rollback, on the present tables, while the present program takes in.

    Each of its statements has the answer that it had on its own tables, and what it leaves is whole.
    """
    recorded = programs.read(1)
    options = shared_queue.SharedOptions(dsn=lambda: dsn, name="")
    connection = await asyncpg.connect(dsn)
    # Its blocks of numbers are the first, as they were.
    await programs.say(connection, recorded, slice(0, recorded["first"]))
    intake = await shared_queue.open_queue(options, now=queues.Clock(), only_takes_in=True)
    other = dataclasses.replace(queues.LANE, namespace_uid="uid-b", namespace="team-b")
    taken, _ = await queues.put(intake, lane=other)
    await programs.say(connection, recorded, slice(recorded["first"], None))
    await connection.close()
    assert await queues.states(intake, "old-accepted") == [S.ACCEPTED]
    assert await queues.states(intake, "old-failed") == [S.QUEUED]
    await intake.close()
    # The present program delivers what that one left, and what was taken in beside it.
    options = shared_queue.SharedOptions(dsn=lambda: dsn, name="new-0")
    queue = await shared_queue.open_queue(options, now=queues.Clock())
    left = {each.job.notification_id: each.pending.state for each in await queues.claim(queue)}
    assert left == {
        taken: S.QUEUED,
        "old-failed": S.QUEUED,
        "old-waits": S.QUEUED,
        "old-doubt": S.IN_DOUBT,
        "old-noted": S.IN_DOUBT,
    }
    await queue.close()
    assert invariants.shared_violations(dsn) == []
