"""Marking the queue of a database as restored: by itself nothing tells a database from what it was before."""

import datetime as dt
import functools
import pathlib
from typing import Final

from mailtier.sender.queueing import restoring
from mailtier.sender.roles import opening
from mailtier.sender.storage.postgres import shared_queue
from mailtier.sender.storage.postgres.arriving import progress
from mailtier.sender.storage.postgres.database import committing, connections, schema


class MarkError(Exception):
    """Nothing was marked; the text says what to do."""


FAULTS: Final = (MarkError, connections.NoDatabaseError, schema.NewerTablesError)


async def mark_restored(dsn_file: pathlib.Path, *, made_at: dt.datetime | None, now: dt.datetime) -> None:
    """Have senders that start on a database hold everything until somebody says `mailtier queue resume`.

    Args:
        dsn_file: Holds the address of the database.
        made_at: Aware UTC time of what it was restored to; None where nobody says.
        now: Aware UTC time.

    Raises:
        MarkError: Senders run on it, which would not see the mark.
        NoDatabaseError, NewerTablesError: It cannot be used.
    """
    dsn = functools.partial(opening.read_dsn, dsn_file)
    queue = await shared_queue.open_queue(
        shared_queue.SharedOptions(dsn=dsn, name=""), now=lambda: now, only_takes_in=True
    )
    pool = connections.Connections(dsn)
    try:
        if names := await committing.step(pool, progress.live_senders):
            raise MarkError(
                f"senders of that database run ({names}): stop them first; one that was killed counts for 15 s more"
            )
        mark = restoring.undated(now) if made_at is None else restoring.mark(made_at)
        await queue.remember(restoring.KEY, mark)
    finally:
        await pool.close()
        await queue.close()
