"""Rows of requests and of what delivery shows, as `sender.between` has them."""

import datetime as dt
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from mailtier.sender import ports
from mailtier.sender.between import displays, requests
from mailtier.sender.storage import values
from mailtier.sender.storage.postgres.database import committing, connections

_FORGOTTEN_AFTER: Final = dt.timedelta(minutes=10)
"""An asker that ended without a word withdraws nothing; none waits for so long."""

_LOCK: Final = "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))"
"""Whoever asks for a namespace: its rows are counted by one at a time."""

_UNTAKEN: Final = """
    SELECT number, kind, body FROM mailtier.requests WHERE NOT is_answered AND (take_by >= $1 OR reply IS NOT NULL)
    ORDER BY number
"""
# One row, held until the commit, so that numbers become visible in their order (`changes` says why).
_ADVANCE: Final = "UPDATE mailtier.counters SET value = value + 1 WHERE name = 'display' RETURNING value"
_CURRENT: Final = "SELECT value FROM mailtier.counters WHERE name = 'display'"
# What is shown of an organization that passed on to another sender is that one's to change: nothing says less than it.
_SHOW: Final = """
    INSERT INTO mailtier.displays AS d (namespace_uid, namespace, organization, body, change, sender)
    SELECT u.*, $5::bigint, $6::bigint FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) AS u
    ON CONFLICT (namespace_uid, namespace, organization)
    DO UPDATE SET body = EXCLUDED.body, change = EXCLUDED.change, sender = EXCLUDED.sender
        WHERE EXCLUDED.body IS NOT NULL OR d.sender = EXCLUDED.sender
"""
# One of the version before does not say what is its own: that is its own as long as it is there.
_SHOW_NOTHING: Final = """
    UPDATE mailtier.displays d SET body = NULL, change = $1
    WHERE body IS NOT NULL AND NOT EXISTS (
        SELECT FROM mailtier.senders s WHERE s.number = d.sender OR (d.sender IS NULL AND NOT s.shares)
    )
"""


class BetweenTables:
    """What the intake and delivery tell each other.

    Args:
        pool: Connections.
        shows_as: The number of the sender, by which it is known what it shows.
    """

    def __init__(self, pool: connections.Connections, *, shows_as: int) -> None:
        self._pool = pool
        self._shows_as = shows_as
        # In memory, so that the next delivery takes what this one leaves behind. Not the highest number alone: numbers
        # of several askers become visible in any order.
        self._taken: set[int] = set()
        self._swept_displays = 0

    async def ask(self, request: requests.NewRequest) -> int:
        """Store a request, and return its number."""
        return await committing.step(self._pool, functools.partial(_ask, request=request))

    async def reply_to(self, number: int) -> requests.RequestAnswer | None:
        """Return what was answered; None where there is no such request (any more)."""
        found = await self._pool.fetch("SELECT reply, is_answered FROM mailtier.requests WHERE number = $1", number)
        return next((requests.RequestAnswer(body=body, is_final=is_final) for body, is_final in found), None)

    async def withdraw(self, number: int) -> None:
        """Remove a request."""
        await self._pool.fetch("DELETE FROM mailtier.requests WHERE number = $1", number)

    async def take_requests(
        self, *, now: dt.datetime, is_mine: Callable[[requests.TakenRequest], bool] = requests.everything
    ) -> Sequence[requests.TakenRequest]:
        """Return requests that nobody has taken and are this sender's; see `requests.AnsweringQueue`."""
        found = [
            requests.TakenRequest(number=number, kind=requests.RequestKind(kind), body=body)
            for number, kind, body in await self._pool.fetch(_UNTAKEN, values.to_micros(now))
        ]
        fresh = [each for each in found if each.number not in self._taken and is_mine(each)]
        self._taken = {each.number for each in found if each.number in self._taken} | {each.number for each in fresh}
        return fresh

    async def reply(self, number: int, body: str, *, is_final: bool) -> bool:
        """Store an answer to a request."""
        return bool(
            await self._pool.fetch(
                "UPDATE mailtier.requests SET reply = $2, is_answered = $3 WHERE number = $1 RETURNING number",
                number,
                body,
                is_final,
            )
        )

    async def show(self, texts: Mapping[ports.LaneKey, str | None]) -> None:
        """Show of organizations these texts instead of those before; None for nothing."""
        if texts:
            await committing.step(self._pool, functools.partial(_show, texts=texts, sender=self._shows_as))

    async def show_nothing(self) -> None:
        """Take back what nobody shows who is there."""
        await committing.step(self._pool, take_back)

    async def shown(self, after: int) -> displays.ShownTexts:
        """Return what changed after a cursor; 0 for everything."""
        return await self._pool.read(functools.partial(_shown, after=after))

    async def _sweep_displays(self) -> None:
        """Remove what was taken back before the last sweep: of what came since the intakes may not have heard yet."""
        await self._pool.fetch(
            "DELETE FROM mailtier.displays WHERE body IS NULL AND change <= $1", self._swept_displays
        )
        ((self._swept_displays,),) = await self._pool.fetch(_CURRENT)


async def _ask(session: connections.DatabaseSession, *, request: requests.NewRequest) -> int:
    await session.execute(_LOCK, f"mailtier requests {request.namespace_uid}")
    asked_at = values.to_micros(request.asked_at)
    await session.execute(
        "DELETE FROM mailtier.requests WHERE asked_at < $1 OR (take_by < $2 AND reply IS NULL)",
        values.to_micros(request.asked_at - _FORGOTTEN_AFTER),
        asked_at,
    )
    open_ = await session.fetchval(
        "SELECT count(*) FROM mailtier.requests WHERE namespace_uid = $1", request.namespace_uid
    )
    if open_ >= requests.MOST_OPEN:
        raise requests.TooManyRequestsError("as many requests of the namespace are open as may be; ask again later")
    return int(
        await session.fetchval(
            "INSERT INTO mailtier.requests (namespace_uid, kind, body, asked_at, take_by) "
            "VALUES ($1, $2, $3, $4, $5) RETURNING number",
            request.namespace_uid,
            request.kind.value,
            request.body,
            asked_at,
            values.to_micros(request.take_by),
        )
    )


async def _show(
    session: connections.DatabaseSession, *, texts: Mapping[ports.LaneKey, str | None], sender: int
) -> None:
    change = await session.fetchval(_ADVANCE)
    lanes = list(texts)
    await session.execute(
        _SHOW,
        [lane.namespace_uid for lane in lanes],
        [lane.namespace for lane in lanes],
        [lane.organization for lane in lanes],
        list(texts.values()),
        change,
        sender,
    )


async def take_back(session: connections.DatabaseSession) -> None:
    """Take back what senders show that are gone."""
    change = await session.fetchval(_ADVANCE)
    await session.execute(_SHOW_NOTHING, change)


async def _shown(session: connections.DatabaseSession, *, after: int) -> displays.ShownTexts:
    found = await session.fetch(
        "SELECT namespace_uid, namespace, organization, body FROM mailtier.displays WHERE change > $1", after
    )
    texts = {
        ports.LaneKey(namespace_uid=uid, namespace=namespace, organization=organization): body
        for uid, namespace, organization, body in found
    }
    return displays.ShownTexts(cursor=int(await session.fetchval(_CURRENT)), texts=texts)
