"""The bell between senders: what one takes in while another delivers, that one hears of at once.

It is a hint: what is not heard, as behind a pooler that hands out connections by transaction, is found when delivery
looks, which it does each minute, and at once where something may not have been announced. It is no part of the commit
that it tells of: commits that announce something wait for one another in all of a database, and are refused where some
other client of the server lets announcements pile up.
"""

import asyncio
import datetime as dt
import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, NoReturn

from mailtier.mail import states
from mailtier.sender import ports
from mailtier.sender.storage import values
from mailtier.sender.storage.postgres.database import connections
from mailtier.telemetry import logs

_CHANNEL: Final = "mailtier_pending"
_ANEW_CHANNEL: Final = "mailtier_anew"
"""Of its own: a sender of an earlier version would not understand it on the other one."""
_AGAIN_SECONDS: Final = 5.0
"""The pause before the bell is hung again; whether its connection is open is looked at as often."""

_log = logs.get_logger(__name__)


async def announce(pool: connections.Connections, pending: Iterable[ports.Pending]) -> None:
    """Tell the sender that delivers what was queued: of each backlog when its first one is due."""
    first: dict[ports.BacklogKey, ports.Pending] = {}
    for each in pending:
        key = ports.BacklogKey(lane=each.lane, category=each.category)
        if key not in first or each.due_at < first[key].due_at:
            first[key] = each
    if first:
        texts = [_encode(key, each.due_at) for key, each in first.items()]
        await pool.fetch("SELECT pg_notify($1, u) FROM unnest($2::text[]) AS u", _CHANNEL, texts)


async def announce_anew(pool: connections.Connections) -> None:
    """Tell all senders that deliver that more may be queued than was announced."""
    await pool.fetch("SELECT pg_notify($1, '')", _ANEW_CHANNEL)


async def hear(
    pool: connections.Connections, ring: Callable[[Sequence[ports.Pending]], None], look_anew: Callable[[], None]
) -> NoReturn:
    """Hand on what others announce until cancelled, and have it looked anew where that may not be all."""

    def heard(_connection: object, _pid: int, _channel: str, text: str) -> None:
        ring([_decode(text)])

    def heard_anew(*_: object) -> None:
        look_anew()

    connection: Any = None
    try:
        while True:
            try:
                if connection is None or connection.is_closed():
                    connection = await pool.open()
                    await connection.add_listener(_CHANNEL, heard)
                    await connection.add_listener(_ANEW_CHANNEL, heard_anew)
                    # Of what was announced before, nothing was heard.
                    look_anew()
            except Exception as error:  # noqa: BLE001 - delivery looks anyway.
                _log.warning("the other senders are not heard", error=connections.describe(error))
                if connection is not None:
                    # Open still, it would be taken for one that hears.
                    connection.terminate()
            await asyncio.sleep(_AGAIN_SECONDS)
    finally:
        if connection is not None:
            connection.terminate()


def _encode(key: ports.BacklogKey, due_at: dt.datetime) -> str:
    lane = key.lane
    return json.dumps(
        [lane.namespace_uid, lane.namespace, lane.organization, key.category.value, values.to_micros(due_at)]
    )


def _decode(text: str) -> ports.Pending:
    *key, due_at = json.loads(text)
    backlog = values.to_key(*key)
    at = values.from_micros(due_at)
    # No more of it is looked at than where and when.
    return ports.Pending(
        recipient_number=0,
        lane=backlog.lane,
        category=backlog.category,
        state=states.INITIAL,
        due_at=at,
        expires_at=at,
        attempts=0,
    )
