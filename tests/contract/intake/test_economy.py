"""What a request does not cost: a task, a line of the log or statements of its own."""

import asyncio
import collections.abc
import contextlib
import io
import pathlib
import typing

import pytest

from kit import queues, ways_in
from mailtier.api import notification
from mailtier.sender import ports
from mailtier.sender.intake import taking
from mailtier.sender.storage import volume
from mailtier.sender.storage.sqlite import intake as sqlite_intake
from mailtier.sender.storage.sqlite import schema
from mailtier.telemetry import logs

_SOURCE = taking.HttpsRequest(caller="tester", key=None)
_REQUESTS = 50


@pytest.fixture
async def taker(queue: queues.WholeQueue) -> taking.Taking:
    """Give what takes notifications in, over a queue of its own."""
    return ways_in.taker(queue, ways_in.Handed())


async def _take(taker: taking.Taking) -> None:
    content = notification.NotificationRequest.model_validate(
        {"category": "JobAlert", "text": "it failed", "recipients": ["a@example.org"]}
    )
    await asyncio.gather(*(taker.take(content, ways_in.settings(), _SOURCE) for _ in range(_REQUESTS)))


async def test_requests_at_once_share_a_task(taker: taking.Taking) -> None:
    """Fifty requests that come at once are stored by one task, and not by one each."""
    made: list[asyncio.Task[typing.Any]] = []

    def make(
        loop: asyncio.AbstractEventLoop,
        work: collections.abc.Coroutine[typing.Any, typing.Any, typing.Any],
        **how: typing.Any,
    ) -> asyncio.Task[typing.Any]:
        task = asyncio.Task(work, loop=loop, **how)
        made.append(task)
        return task

    asyncio.get_running_loop().set_task_factory(make)
    await _take(taker)
    assert [task.get_name() for task in made].count("intake-store") == 1


@pytest.mark.parametrize(("level", "lines"), [("INFO", 0), ("DEBUG", _REQUESTS)])
async def test_a_request_writes_no_line_at_the_usual_level(taker: taking.Taking, level: str, lines: int) -> None:
    """What was taken is counted by metrics; whoever wants a line for each asks for DEBUG."""
    written = io.StringIO()
    logs.configure(level=level, style="json", stream=written)
    try:
        await _take(taker)
    finally:
        logs.configure()
    assert written.getvalue().count('"notification queued"') == lines


@pytest.mark.parametrize("count", [1, 64])
def test_notifications_of_a_commit_share_their_statements(tmp_path: pathlib.Path, count: int) -> None:
    """However many are stored in one commit, and of however many namespaces, a table takes a few statements."""
    turns = volume.WriteTurns(tmp_path / "turns")
    with contextlib.closing(turns), contextlib.closing(schema.open_writer(tmp_path / "queue", turns)) as connection:
        lanes = [
            ports.LaneKey(namespace_uid=f"uid-{number}", namespace=f"team-{number}", organization="default")
            for number in range(16)
        ]
        said: list[str] = []
        for stored in ("before", "counted"):
            offered = [
                sqlite_intake.Entry(
                    notification=queues.notification(lane=lanes[number % 16], idempotency_key=f"{stored}-{number}"),
                    payload=b"{}",
                    quota=ports.QueueQuota(),
                )
                for number in range(count)
            ]
            schema.begin(connection)
            connection.set_trace_callback(said.append if stored == "counted" else None)
            sqlite_intake.take(connection, [sqlite_intake.Offering(entries=offered, read=0)], room=_Room())
            connection.set_trace_callback(None)
            connection.execute("COMMIT")
    # Usage, backlogs and keys, the last numbers and the free pages are asked for; four tables are written.
    assert len(said) == 5 + 4


class _Room:
    """There is always some."""

    reserved = True

    def takes_work(self, *, reusable_bytes: int) -> bool:
        """Return True."""
        return reusable_bytes >= 0

    def give_up(self) -> None:
        """Do nothing."""

    def restore(self) -> None:
        """Do nothing."""
