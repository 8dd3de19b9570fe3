"""How far a queue is that is moved here, in the same transactions that store its parts: so that none is stored twice.

What is stored may be delivered, finished and forgotten before the next part comes, so that whether a row is there says
nothing. Each move has one row, held by whoever stores a part; the numbers that rows get are fixed from its beginning.
"""

import dataclasses
import json
import secrets
from collections.abc import Mapping, Sequence
from typing import Any, Final

from mailtier.sender.storage import movables
from mailtier.sender.storage.postgres.database import connections

# Among what is remembered: the tables need not know of moves, and an older sender of this database runs beside one.
_DATABASE_KEY: Final = "database"
_MOVE_KEY: Final = "move "
_RESERVED: Final = (_DATABASE_KEY, _MOVE_KEY)

_NAME: Final = "INSERT INTO mailtier.memories (key, body) VALUES ($1, $2) ON CONFLICT DO NOTHING"
_READ: Final = "SELECT body FROM mailtier.memories WHERE key = $1"
_WRITE: Final = """
    INSERT INTO mailtier.memories (key, body) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET body = EXCLUDED.body
"""
_LIVE_SENDERS: Final = "SELECT string_agg(name, ', ') FROM mailtier.senders WHERE expires_at > clock_timestamp()"


class SendersThereError(Exception):
    """Senders of the database run while nothing of the queue is there yet."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class MoveProgress:
    """How far a move is.

    Attributes:
        stage: What is stored next.
        after: The key behind which that goes on; empty to begin.
        notifications_from: Is added to a notification's number.
        recipients_from: Likewise, to a recipient's.
        notifications: How many were stored.
        recipients: How many recipients were stored, by their state at that time.
        there: How many notifications were there already, under the same id.
        repeats: How many had a key, or were of an object, that another notification had here already.
    """

    stage: movables.MoveStage
    after: Sequence[Any]
    notifications_from: int
    recipients_from: int
    notifications: int = 0
    recipients: Mapping[str, int] = dataclasses.field(default_factory=dict)
    there: int = 0
    repeats: int = 0


def is_reserved(key: str) -> bool:
    """Return whether a memory is one of a database's own, which comes from nowhere else."""
    return key.startswith(_RESERVED)


async def identity(session: connections.DatabaseSession) -> str:
    """Return the id of the database, which it keeps over failovers and backups; given to it if it has none."""
    await session.execute(_NAME, _DATABASE_KEY, secrets.token_hex(16))
    return str(await session.fetchval(_READ, _DATABASE_KEY))


async def live_senders(session: connections.DatabaseSession) -> str:
    """Return the names of senders whose lease is not over; empty without any."""
    return await session.fetchval(_LIVE_SENDERS) or ""


async def begin(session: connections.DatabaseSession, move: str, extent: movables.Extent) -> MoveProgress:
    """Return how far a move is; one that is new reserves the numbers of all that comes.

    Cursors of the feed that the operator has from the queue that is moved are behind everything that comes with it.

    Raises:
        SendersThereError: It is new, and senders run.
    """
    body = await session.fetchval(f"{_READ} FOR UPDATE", _MOVE_KEY + move)
    if body is not None:
        return _decode(body)
    if names := await live_senders(session):
        raise SendersThereError(names)
    await session.execute(
        "UPDATE mailtier.counters SET value = greatest(value, $1) WHERE name = 'change'", extent.change
    )
    begun = MoveProgress(
        stage=movables.STAGES[0],
        after=[],
        notifications_from=await _reserve(session, "notification_numbers", extent.notifications),
        recipients_from=await _reserve(session, "recipient_numbers", extent.recipients),
    )
    await write(session, move, begun)
    return begun


async def lock(session: connections.DatabaseSession, move: str) -> MoveProgress:
    """Return how far a move is; nobody else stores anything of it before the end of this transaction."""
    return _decode(await session.fetchval(f"{_READ} FOR UPDATE", _MOVE_KEY + move))


async def write(session: connections.DatabaseSession, move: str, progress: MoveProgress) -> None:
    """Store how far a move is."""
    await session.execute(_WRITE, _MOVE_KEY + move, json.dumps(dataclasses.asdict(progress)))


async def require_arrived(session: connections.DatabaseSession) -> None:
    """Return where a sender may use the database: whatever must not be taken in again, of any queue, is here.

    Raises:
        NoDatabaseError: It is not: what is offered again would be taken for new, and what is held be delivered.
    """
    found = await session.fetch("SELECT body FROM mailtier.memories WHERE starts_with(key, $1)", _MOVE_KEY)
    if any(_decode(body).stage in movables.GATED for (body,) in found):
        raise connections.NoDatabaseError(
            "a queue is being moved into this database, and what repeats are known by is not all here yet: wait until"
            " `mailtier queue move` says that senders may be started; where it was interrupted, run it again"
        )


async def _reserve(session: connections.DatabaseSession, sequence: str, count: int) -> int:
    """Return the number after which so many are given to nobody else."""
    # Changes nothing, and locks it until the commit: whoever asks for a number meanwhile gets one behind these.
    await session.execute(f"ALTER SEQUENCE mailtier.{sequence} OWNED BY NONE")
    following = int(await session.fetchval("SELECT nextval($1::text::regclass)", f"mailtier.{sequence}"))
    await session.execute(f"ALTER SEQUENCE mailtier.{sequence} RESTART WITH {following + count + 1}")
    return following


def _decode(body: str) -> MoveProgress:
    found = json.loads(body)
    return MoveProgress(**{**found, "stage": movables.MoveStage(found["stage"])})
