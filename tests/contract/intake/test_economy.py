"""What a request does not cost: a task or a line of the log of its own."""

import asyncio
import collections.abc
import io
import typing

import pytest

from kit import queues, ways_in
from mailtier.api import notification
from mailtier.sender.intake import taking
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
