"""Moving the queue of a sender that is not running into a database, part by part; killed anywhere, it goes on.

The file is sealed first, so that nobody delivers from it any more. The database knows how far a move is, and notes that
with each part that it stores: what was stored is not stored again, whatever became of it since.
"""

import dataclasses
import datetime as dt
import functools
import pathlib
import secrets
import urllib.parse
from collections.abc import Callable, Mapping
from typing import Final

from mailtier.api import vocabulary
from mailtier.sender import ports
from mailtier.sender.queueing import restoring
from mailtier.sender.roles import opening
from mailtier.sender.storage import movables
from mailtier.sender.storage.postgres.arriving import progress, storing
from mailtier.sender.storage.postgres.database import committing, connections, explaining, schema
from mailtier.sender.storage.postgres.senders import memory_rows
from mailtier.sender.storage.sqlite import leaving
from mailtier.sender.storage.sqlite.tables import sealing


class MoveError(Exception):
    """A queue was not moved, or not all of it; the text says why and what to do."""


FAULTS: Final = (MoveError, *leaving.FAULTS, schema.NewerTablesError, connections.NoDatabaseError)
"""Why a queue was not moved, or not all of it."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class MoveSummary:
    """What was moved.

    Attributes:
        place: Where to: hosts and name of the database.
        before: Recipients in the file, by their state.
        after: Recipients that were stored in the database, by their state at that time.
        notifications: How many were stored.
        there: How many were there already, under the same id.
        repeats: How many had a key, or were of an object, that another notification had there already.
        restored: The time of the backup that the database's queue is held for, until it is resumed; None if not held.
    """

    place: str
    before: Mapping[vocabulary.RecipientState, int]
    after: Mapping[vocabulary.RecipientState, int]
    notifications: int
    there: int
    repeats: int
    restored: str | None


async def move(
    directory: pathlib.Path,
    dsn_file: pathlib.Path,
    *,
    now: Callable[[], dt.datetime],
    say: Callable[[str], None],
    rows: int = leaving.PART_ROWS,
) -> MoveSummary:
    """Move a queue, or go on with a move that was interrupted, and return what was moved.

    Args:
        directory: The queue's, which no sender has open.
        dsn_file: Holds the address of the database.
        now: Returns the aware UTC time.
        say: Takes a line of what was done for whoever waits.
        rows: How many are stored in one transaction.

    Raises:
        MoveError, or one of FAULTS: It is not moved, or not all of it; what is there stays, and another run goes on.
    """
    dsn = functools.partial(opening.read_dsn, dsn_file)
    with leaving.opened(directory) as queue:
        pool = connections.Connections(dsn)
        try:
            with explaining.explained(dsn()):
                await pool.patiently(functools.partial(schema.prepare, pool))
            seal = await _seal(queue, pool, _place(dsn()), now)
            moved = await _copy(queue, pool, seal, say, rows)
            # The database's: a move that is asked for once more finds a queue that may have been resumed.
            restored = await memory_rows.MemoryTables(pool).recall(restoring.KEY)
        except progress.SendersThereError as error:
            raise MoveError(
                f"senders of that database run ({error}): stop them, and start them when this says so; one that was"
                " killed counts for 15 s more"
            ) from error
        except ports.StorageAwayError as error:
            raise MoveError(f"{error}: run this again, and it goes on") from error
        except (ports.StorageFullError, ports.StorageBrokenError) as error:
            raise MoveError(str(error)) from error
        finally:
            await pool.close()
        before = queue.counts()
        _require_all(queue, moved)
        queue.finish(dataclasses.replace(seal, is_finished=True))
    return MoveSummary(
        place=seal.place,
        before=before,
        after={vocabulary.RecipientState(state): count for state, count in moved.recipients.items()},
        notifications=moved.notifications,
        there=moved.there,
        repeats=moved.repeats,
        restored=restored,
    )


async def _seal(
    queue: leaving.LeavingQueue, pool: connections.Connections, place: str, now: Callable[[], dt.datetime]
) -> sealing.Seal:
    """Return the queue's seal, which it is given if it has none."""
    database = await committing.step(pool, progress.identity)
    seal = queue.seal
    if seal is None:
        # Before the queue is sealed, so that it stays as it is.
        if names := await committing.step(pool, progress.live_senders):
            raise progress.SendersThereError(names)
        seal = sealing.Seal(move=secrets.token_hex(16), database=database, place=place)
        queue.close_off(seal, now=now())
    elif seal.database != database:
        raise MoveError(
            f"this queue {'was moved' if seal.is_finished else 'is on its way'} to {seal.place}, which is another"
            f" database than {place}: name that one"
        )
    return seal


async def _copy(
    queue: leaving.LeavingQueue,
    pool: connections.Connections,
    seal: sealing.Seal,
    say: Callable[[str], None],
    rows: int,
) -> progress.MoveProgress:
    """Return how far the move is once everything is stored."""
    begin = functools.partial(progress.begin, move=seal.move, extent=queue.extent())
    current = await committing.step(pool, begin)
    while current.stage is not movables.MoveStage.DONE:
        part = queue.read(current.stage, current.after, rows=rows)
        before = current
        put = functools.partial(storing.put, move=seal.move, expected=current, part=part)
        current = await committing.step(pool, put)
        if before.stage in movables.GATED and current.stage not in movables.GATED:
            say("idempotency keys are copied: senders that use the database may start now; the rest follows")
    return current


def _require_all(queue: leaving.LeavingQueue, moved: progress.MoveProgress) -> None:
    """Return where as much was stored as there is.

    Raises:
        MoveError: It was not.
    """
    there = moved.notifications + moved.there
    if there != queue.notifications() or (not moved.there and dict(moved.recipients) != dict(queue.counts())):
        raise MoveError(
            f"of {queue.notifications()} notifications {there} are in the database: nothing of the file was removed;"
            " keep it, and report this"
        )


def _place(dsn: str) -> str:
    """Return what a person knows a database by; nothing of a user or a password (R1)."""
    try:
        parts = urllib.parse.urlsplit(dsn)
        hosts = parts.netloc.rpartition("@")[2] or ",".join(urllib.parse.parse_qs(parts.query).get("host", ()))
    except ValueError:
        return "a database"
    return f"{hosts or 'localhost'}{parts.path}"
