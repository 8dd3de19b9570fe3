"""What a program of an earlier version says to a queue's database, recorded once and said again to later tables.

`tests/kit/reference/program-1.json` is what the program of version 1 of the tables said, alone on a new database, from
the beginning to its end in good order: it took in (with a key, and as an object), claimed, noted dots, settled, told
the feed, looked up, sent again, remembered, purged, and left. Run as a program it records that of the present version:
`PYTHONPATH=tests python -m kit.programs FILE`.
"""

import asyncio
import collections.abc
import datetime as dt
import json
import pathlib
import sys
import typing
from typing import Final

import asyncpg

from kit import postgres, queues
from mailtier.api import vocabulary
from mailtier.sender.storage.postgres import shared_queue
from mailtier.sender.storage.postgres.database import connections

S = vocabulary.RecipientState

REFERENCE: Final = pathlib.Path(__file__).parent / "reference"

# These may give another answer: the version, times, and who else is there.
_OTHERWISE: Final = ("mailtier.versions", "mailtier.senders", "clock_timestamp()", "pg_advisory")


class Said(typing.TypedDict):
    """One statement.

    Attributes:
        statement: Its place among the statements' texts.
        method: Of the connection.
        arguments: As JSON has them.
        gave: What it returned; None for nothing.
    """

    statement: int
    method: str
    arguments: list[typing.Any]
    gave: typing.Any


class Recorded(typing.TypedDict):
    """All that a program said.

    Attributes:
        statements: Each once.
        first: How many were said until the first notification was taken in, for which it took blocks of numbers.
        said: In their order.
    """

    statements: list[str]
    first: int
    said: list[Said]


def read(version: int) -> Recorded:
    """Return what the program of a version said."""
    recorded: Recorded = json.loads((REFERENCE / f"program-{version}.json").read_text(encoding="utf-8"))
    return recorded


async def say(connection: typing.Any, recorded: Recorded, part: slice) -> None:
    """Say a part of it again, and expect the answers that it got."""
    for each in recorded["said"][part]:
        text = recorded["statements"][each["statement"]]
        gave = await getattr(connection, each["method"])(text, *map(_decoded, each["arguments"]))
        # What is asked without an argument is about all that is there, whoever put it in.
        if each["gave"] is not None and each["arguments"] and not any(word in text for word in _OTHERWISE):
            assert _encoded(gave) == each["gave"], text


def _encoded(value: typing.Any) -> typing.Any:
    match value:
        case bytes():
            return {"bytes": value.hex()}
        case dt.timedelta():
            return {"seconds": value.total_seconds()}
        case dt.datetime():
            return {"at": value.isoformat()}
        case str():
            return str(value)
        case None | bool() | int() | float():
            return value
        case asyncpg.Record():
            return [_encoded(each) for each in value.values()]
        case collections.abc.Iterable():
            return [_encoded(each) for each in value]
    raise TypeError(type(value))


def _decoded(value: typing.Any) -> typing.Any:
    match value:
        case {"bytes": digits}:
            return bytes.fromhex(digits)
        case {"seconds": seconds}:
            return dt.timedelta(seconds=seconds)
        case {"at": at}:
            return dt.datetime.fromisoformat(at)
        case list():
            return [_decoded(each) for each in value]
    return value


class _Recording:
    """A connection whose statements are noted."""

    def __init__(self, connection: typing.Any, recorded: Recorded) -> None:
        self._connection = connection
        self._recorded = recorded

    def __getattr__(self, name: str) -> typing.Any:
        found = getattr(self._connection, name)
        if name not in {"execute", "fetch", "fetchrow", "fetchval"}:
            return found

        async def note(text: str, *arguments: typing.Any, **options: typing.Any) -> typing.Any:
            gave = await found(text, *arguments, **options)
            texts = self._recorded["statements"]
            if text not in texts:
                texts.append(text)
            told = None if name == "execute" else _encoded(gave)
            self._recorded["said"].append(
                Said(statement=texts.index(text), method=name, arguments=_encoded(arguments), gave=told)
            )
            return gave

        return note


async def record(dsn: str) -> Recorded:
    """Return what the present program says to a new database."""
    recorded = Recorded(statements=[], first=0, said=[])
    opened = connections.Connections.open

    async def recording(self: connections.Connections) -> typing.Any:
        return _Recording(await opened(self), recorded)

    options = shared_queue.SharedOptions(dsn=lambda: dsn, name="old-0", lease=dt.timedelta(hours=1))
    connections.Connections.open = recording  # type: ignore[method-assign]  # For as long as it is recorded.
    try:
        queue = await shared_queue.open_queue(options, now=queues.Clock())
        _, (accepted,) = await queues.put(queue, id="old-accepted", source=queues.source("one"))
        recorded["first"] = len(recorded["said"])
        _, (failed,) = await queues.put(queue, id="old-failed", idempotency_key="a-key", digest="ab")
        _, (doubtful,) = await queues.put(queue, id="old-doubt")
        await queues.put(queue, id="old-waits")
        _, (noted,) = await queues.put(queue, id="old-noted")
        await _deliver(queue, accepted=accepted, failed=failed, doubtful=doubtful)
        await _ask(queue)
        await queue.note_dot(noted, queues.SNAPSHOT)
        await queue.close()
    finally:
        connections.Connections.open = opened  # type: ignore[method-assign]  # As it was.
    return recorded


async def _deliver(queue: queues.WholeQueue, *, accepted: int, failed: int, doubtful: int) -> None:
    await queues.claim(queue)
    await queue.note_dot(accepted, queues.SNAPSHOT)
    queue.note_accepted(accepted)
    await queues.settle(queue, queues.outcome(accepted, S.ACCEPTED))
    await queues.settle(queue, queues.outcome(failed, S.FAILED))
    await queue.note_dot(doubtful, queues.SNAPSHOT)
    await queues.settle(queue, queues.outcome(doubtful, S.IN_DOUBT))


async def _ask(queue: queues.WholeQueue) -> None:
    await queue.changes(0)
    await queue.find(queues.LANE, "old-failed")
    await queue.counts()
    await queue.oldest()
    await queue.backlogs()
    await queue.queued_namespaces()
    until = queues.START + dt.timedelta(days=1)
    await queue.retry(queues.LANE.namespace_uid, "old-failed", at=queues.START, expires_at=until, quota=queues.QUOTA)
    await queue.remember("kept", "learned")
    await queue.purge(now=queues.START)


if __name__ == "__main__":
    found = asyncio.run(record(postgres.new_database()))
    pathlib.Path(sys.argv[1]).write_text(f"{json.dumps(found, ensure_ascii=False)}\n", encoding="utf-8")
