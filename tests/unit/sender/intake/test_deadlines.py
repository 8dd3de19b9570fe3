"""Answers that come in time, and those that are given up."""

import asyncio
import collections.abc
import typing

from kit import wait
from mailtier.sender.intake import deadlines


def _future() -> asyncio.Future[str]:
    return asyncio.get_running_loop().create_future()


async def test_what_does_not_come_in_time_is_given_up() -> None:
    """Each is given up by itself, in the order of their times, and what came in time stays."""
    watched = deadlines.Deadlines(0.05, late=lambda: "late")
    awaited = [_future() for _ in range(3)]
    for each in awaited:
        watched.watch(each)
    awaited[1].set_result("in time")
    async with asyncio.timeout(10):
        assert await asyncio.gather(*awaited) == ["late", "in time", "late"]


async def test_one_timer_serves_all() -> None:
    """However many answers are awaited and come, one timer is set."""
    loop, made = asyncio.get_running_loop(), list[float]()
    call_at = loop.call_at

    def count(
        at: float, call: collections.abc.Callable[..., object], *arguments: typing.Any, **how: typing.Any
    ) -> asyncio.TimerHandle:
        made.append(at)
        return call_at(at, call, *arguments, **how)

    loop.call_at = count  # type: ignore[method-assign,assignment]  # What is counted is the loop's own.
    watched = deadlines.Deadlines(60.0, late=lambda: "late")
    for _ in range(100):
        answer = _future()
        watched.watch(answer)
        answer.set_result("in time")
    assert len(made) == 1
    assert len(watched._awaited) == 1


async def test_it_goes_on_after_a_rest() -> None:
    """When nothing was awaited for a while, the next answer has its deadline too."""
    watched = deadlines.Deadlines(0.02, late=lambda: "late")
    for _ in range(2):
        answer = _future()
        watched.watch(answer)
        await wait.until_async(answer.done, within_seconds=10, why="it is given up")
        assert answer.result() == "late"
