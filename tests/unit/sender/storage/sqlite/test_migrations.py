"""Each version of the embedded queue's tables: which program runs on them, so that a rollback works."""

import collections.abc
import contextlib
import sqlite3

import pytest

from mailtier.sender.storage.sqlite.tables import migrations, sealing

_NOW = migrations.VERSION
_EXPANDS = migrations.TableMigration(statements=("ALTER TABLE recipients ADD COLUMN colour TEXT",), runs=_NOW)
_USES = migrations.TableMigration(statements=("CREATE INDEX by_colour ON recipients (colour)",), runs=_NOW + 1)
_CONTRACTS = migrations.TableMigration(statements=("ALTER TABLE probes DROP COLUMN body",), runs=_NOW + 2)


@pytest.fixture
def database() -> collections.abc.Iterator[sqlite3.Connection]:
    """Return an empty database."""
    with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        yield connection


def _of(later: int) -> list[migrations.TableMigration]:
    """Return the migrations of a program that is so many versions later."""
    return [*migrations.MIGRATIONS, _EXPANDS, _USES, _CONTRACTS][: _NOW + later]


def _compared(database: sqlite3.Connection) -> int:
    """Return what programs compare with their own version."""
    return int(database.execute("PRAGMA user_version").fetchone()[0])


def test_a_program_runs_on_the_next_version_s_tables(database: sqlite3.Connection) -> None:
    """Back and forth nothing is done twice, and a program that knows no such rule finds its own version."""
    migrations.migrate(database, _of(0))
    migrations.migrate(database, _of(1))
    # Programs of before this rule compare this alone.
    assert _compared(database) == _NOW
    migrations.migrate(database, _of(0))
    migrations.migrate(database, _of(1))
    migrations.migrate(database, _of(2))
    assert _compared(database) == _NOW + 1


def test_a_program_is_refused_by_tables_that_were_contracted(database: sqlite3.Connection) -> None:
    """Two versions later what it needs is gone: it is told the versions, and changes nothing."""
    migrations.migrate(database, _of(3))
    for later in (0, 1):
        with pytest.raises(migrations.NewerSchemaError, match=f"has schema version {_NOW + 3}.*run the newer version"):
            migrations.migrate(database, _of(later))
    migrations.migrate(database, _of(3))
    # As soon as the oldest is the present one, there is nothing more to remember.
    assert _compared(database) == _NOW + 2


def test_a_sealed_queue_s_tables_are_brought_up_to_date_for_a_move_alone(database: sqlite3.Connection) -> None:
    """A move that is gone on with by a newer version keeps the seal."""
    migrations.migrate(database, _of(0))
    seal = sealing.Seal(move="a", database="b", place="db/mailtier")
    sealing.write(database, seal)
    with pytest.raises(sealing.SealedError, match="on its way to db/mailtier"):
        migrations.migrate(database, _of(2))
    migrations.migrate(database, _of(2), even_sealed=True)
    assert sealing.read(database) == seal
    with pytest.raises(sealing.SealedError):
        migrations.migrate(database, _of(2))


def test_a_program_that_does_not_know_a_state_does_not_run(database: sqlite3.Connection) -> None:
    """Those from before addresses were suppressed, who could not read `suppressed`, refuse what later ones left."""
    knows = next(
        number
        for number, migration in enumerate(migrations.MIGRATIONS)
        if any("TABLE suppressions" in statement for statement in migration.statements)
    )
    migrations.migrate(database)
    for former in (knows, knows - 1):
        with pytest.raises(migrations.NewerSchemaError, match="run the newer version again"):
            migrations.migrate(database, migrations.MIGRATIONS[:former])
