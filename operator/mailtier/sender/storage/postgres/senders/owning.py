"""Owning rooms and backlogs by rows, as `sender.between.owning` has it.

A row's owner is a sender's row: where that is gone, so is the owner of the other, by the same transaction that answers
what is noted of its attempts. Nobody owns what is locked by somebody else for the moment; it is tried again.
"""

import functools
import time
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from typing import Any, Final, TypeVar

from mailtier.sender import ports
from mailtier.sender.between import owning
from mailtier.sender.storage.postgres import backlogs
from mailtier.sender.storage.postgres.database import committing, connections
from mailtier.sender.storage.postgres.senders import bell, tenure

_T = TypeVar("_T")

_AT_ONCE: Final = 1_000

_PEERS: Final = """
    SELECT number, name, shares FROM mailtier.senders WHERE number = $1 OR expires_at >= clock_timestamp()
    ORDER BY number
"""
# In one order, so that two who want several do not wait for one another.
_ACQUIRE_ROOMS: Final = """
    WITH known AS MATERIALIZED (SELECT key FROM mailtier.rooms WHERE key = ANY ($2::text[]))
    INSERT INTO mailtier.rooms AS r (key, owner, changed_at, team)
    SELECT u.key, $1, now(), $3 FROM unnest($2::text[]) AS u (key) ORDER BY u.key
    ON CONFLICT (key) DO UPDATE SET owner = EXCLUDED.owner, changed_at = EXCLUDED.changed_at, team = EXCLUDED.team
        WHERE r.owner IS NULL OR r.owner = EXCLUDED.owner
    RETURNING r.key, r.key IN (SELECT key FROM known)
"""
_ROOMS: Final = "SELECT key, owner, coalesce(team, '') FROM mailtier.rooms"
_CHANGED_ROOMS: Final = f"{_ROOMS} WHERE changed_at >= clock_timestamp() - make_interval(secs => $1)"

_MINUTE_SECONDS: Final = 60.0
"""So long what changed is read once more, as whoever began earlier may have committed later; and after as long all is,
as the database's clock may jump."""
_ACQUIRE_BACKLOGS: Final = """
    UPDATE mailtier.backlogs SET owner = $1 WHERE number IN (
        SELECT number FROM mailtier.backlogs
        WHERE (namespace_uid, namespace, organization, category) IN (
            SELECT * FROM unnest($2::text[], $3::text[], $4::text[], $5::text[])
        ) AND owner IS NULL
        ORDER BY number FOR NO KEY UPDATE SKIP LOCKED
    )
"""
_OWNED_LANES: Final = """
    SELECT DISTINCT namespace_uid, namespace, organization FROM mailtier.backlogs WHERE owner = $1
"""
_GIVE_UP_BACKLOGS: Final = """
    UPDATE mailtier.backlogs SET owner = NULL WHERE owner = $1 AND (namespace_uid, namespace, organization) IN (
        SELECT * FROM unnest($2::text[], $3::text[], $4::text[])
    )
"""
_GIVE_UP_ROOMS: Final = """
    UPDATE mailtier.rooms SET owner = NULL, changed_at = now() WHERE owner = $1 AND key = ANY ($2::text[])
"""
FORGET_ROOMS: Final = """
    DELETE FROM mailtier.rooms WHERE key IN (
        SELECT key FROM mailtier.rooms WHERE owner IS NULL AND changed_at < now() - interval '1 hour'
        LIMIT 1000 FOR UPDATE SKIP LOCKED
    )
"""
"""Forgets rooms that nobody has owned for longer than any rate counts."""


class OwningTables:
    """What this sender owns.

    Args:
        pool: Connections.
        own: This sender's row; None for an intake's, which owns nothing.
    """

    def __init__(self, pool: connections.Connections, own: tenure.Tenure | None) -> None:
        self._pool = pool
        self._own = own
        # Rows decide; these are only not asked for again.
        self._owned_backlogs: set[ports.BacklogKey] = set()
        self._is_mine: Callable[[ports.LaneKey], bool] = lambda _lane: True
        self._placed: Mapping[str, owning.Placement] = {}
        self._placed_at = self._all_placed_at = float("-inf")
        self._peers_bell = bell.ChannelBell(pool, tenure.CHANNEL)

    @property
    def _tenure(self) -> tenure.Tenure:
        """This sender's row, which everything needs that delivers.

        Raises:
            RuntimeError: It is an intake's, which delivers nothing.
        """
        if self._own is None:
            raise RuntimeError("this queue was opened to take in alone, and delivers nothing")
        return self._own

    def own_number(self) -> int:
        """Return the number of this sender."""
        return self._tenure.number

    def ask_whose(self, is_mine: Callable[[ports.LaneKey], bool]) -> None:
        """Have somebody asked whether this sender may own an organization's backlogs."""
        self._is_mine = is_mine

    async def peers(self) -> list[owning.Peer]:
        """Return the senders that have the queue open, this one among them, the oldest first."""
        rows = await self._pool.fetch(_PEERS, self._tenure.number)
        return [owning.Peer(number=number, name=name, shares=shares) for number, name, shares in rows]

    async def owned_lanes(self) -> set[ports.LaneKey]:
        """Return the organizations of which this sender owns a backlog."""
        rows = await self._pool.fetch(_OWNED_LANES, self._tenure.number)
        return {
            ports.LaneKey(namespace_uid=uid, namespace=namespace, organization=organization)
            for uid, namespace, organization in rows
        }

    async def placements(self) -> Mapping[str, owning.Placement]:
        """Return who owns which room; the same object as before where nothing changed."""
        now = time.monotonic()
        if now - self._all_placed_at >= _MINUTE_SECONDS:
            rows, placed, self._all_placed_at = await self._pool.fetch(_ROOMS), dict[str, owning.Placement](), now
        else:
            rows = await self._pool.fetch(_CHANGED_ROOMS, now - self._placed_at + _MINUTE_SECONDS)
            placed = dict(self._placed)
        self._placed_at = now
        for key, owner, team in rows:
            placed.pop(key, None)
            if owner is not None:
                placed[key] = owning.Placement(owner=owner, team=team)
        if placed != self._placed:
            self._placed = placed
        return self._placed

    async def acquire(self, rooms: Collection[str], *, team: str) -> Mapping[str, bool]:
        """Own rooms that nobody owns; return those that this sender owns then, and whether somebody did before it."""
        self._tenure.require()
        wanted, found = sorted(rooms), dict[str, bool]()
        for begin in range(0, len(wanted), _AT_ONCE):
            part = wanted[begin : begin + _AT_ONCE]
            acquire = functools.partial(_acquire_rooms, number=self._tenure.number, rooms=part, team=team)
            found |= dict(await self._as_sender(acquire))
        return found

    async def wait_for_peers(self) -> None:
        """Return when another sender came, went, or gave something up; or after a second."""
        await self._peers_bell.wait()

    async def _own_backlogs(self, keys: Iterable[ports.BacklogKey]) -> None:
        """Own backlogs that nobody owns; who reads them sees whether that was so."""
        wanted = [key for key in dict.fromkeys(keys) if key not in self._owned_backlogs]
        if wanted:
            columns = backlogs.columns(wanted)
            await self._as_sender(lambda session: session.execute(_ACQUIRE_BACKLOGS, self._tenure.number, *columns))
            self._owned_backlogs.update(wanted)

    def _note_not_owned(self, keys: Iterable[ports.BacklogKey]) -> None:
        self._owned_backlogs.difference_update(keys)

    async def _give_up(self, rooms: Collection[str], lanes: Collection[ports.LaneKey]) -> None:
        given_up = set(lanes)
        if not rooms and not given_up:
            return
        self._owned_backlogs = {key for key in self._owned_backlogs if key.lane not in given_up}
        await committing.step(
            self._pool,
            functools.partial(_give_up, number=self._tenure.number, rooms=sorted(rooms), lanes=sorted(given_up)),
        )

    async def _as_sender(self, run: Callable[[connections.DatabaseSession], Awaitable[_T]]) -> _T:
        """Return what a step returns, in which rows get this sender as their owner.

        Raises:
            StorageBrokenError: Another sender has taken over.
        """
        try:
            return await committing.step(self._pool, run)
        except Exception as error:
            if connections.is_orphan(error):
                self._tenure.lost.set()
                self._tenure.require()
            raise


async def _acquire_rooms(
    session: connections.DatabaseSession, *, number: int, rooms: list[str], team: str
) -> list[tuple[str, bool]]:
    return [(key, was_known) for key, was_known in await session.fetch(_ACQUIRE_ROOMS, number, rooms, team)]


async def _give_up(
    session: connections.DatabaseSession, *, number: int, rooms: list[str], lanes: list[ports.LaneKey]
) -> None:
    columns: tuple[list[Any], ...] = (
        [lane.namespace_uid for lane in lanes],
        [lane.namespace for lane in lanes],
        [lane.organization for lane in lanes],
    )
    await session.execute(_GIVE_UP_BACKLOGS, number, *columns)
    if rooms:
        await session.execute(_GIVE_UP_ROOMS, number, rooms)
        await session.execute(tenure.TELL)
