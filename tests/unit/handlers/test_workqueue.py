"""The work queue: coalescing, one at a time for each key, delays, backoff."""

import asyncio
import contextlib
import datetime as dt
from collections.abc import AsyncIterator, Awaitable, Callable

from mailtier.api import doubling
from mailtier.handlers import workqueue

_WITHIN = 5.0


@contextlib.asynccontextmanager
async def running(
    work: Callable[[str], Awaitable[None]], *, workers: int = 4, rest: dt.timedelta = dt.timedelta(0)
) -> AsyncIterator[workqueue.WorkQueue[str]]:
    """Run a queue for the length of a test."""
    loop = asyncio.get_running_loop()
    queue = workqueue.WorkQueue[str](
        work,
        workers=workers,
        monotonic=loop.time,
        jitter=lambda: 0.5,
        rest=rest,
        backoff=doubling.Backoff(first=dt.timedelta(milliseconds=1), most=dt.timedelta(milliseconds=4)),
    )
    task = asyncio.create_task(queue.run())
    try:
        async with asyncio.timeout(_WITHIN):
            yield queue
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_a_key_that_waits_is_worked_on_once_however_often_it_was_added() -> None:
    """Many events for one object are one reconciliation."""
    done: list[str] = []

    async def work(key: str) -> None:
        done.append(key)

    async with running(work) as queue:
        for _ in range(100):
            queue.add("a")
        queue.add("b")
        await queue.idle()
    assert done == ["a", "b"]


async def test_a_key_added_during_its_work_is_worked_on_again_and_never_twice_at_once() -> None:
    """What changed while a key was being worked on is not missed, and no two workers share a key."""
    active, most, rounds = 0, 0, 0
    started, release = asyncio.Event(), asyncio.Event()

    async def work(_: str) -> None:
        nonlocal active, most, rounds
        active += 1
        most = max(most, active)
        started.set()
        await release.wait()
        active -= 1
        rounds += 1

    async with running(work) as queue:
        queue.add("a")
        await started.wait()
        queue.add("a")
        queue.add("a")
        release.set()
        await queue.idle()
    assert (rounds, most) == (2, 1)


async def test_a_failing_key_comes_back_and_does_not_hold_up_the_others() -> None:
    """One object's trouble is its own, and it is tried until it succeeds."""
    attempts: dict[str, int] = {}
    mended = asyncio.Event()

    async def work(key: str) -> None:
        attempts[key] = attempts.get(key, 0) + 1
        if key == "bad" and attempts[key] < 4:
            raise RuntimeError("not yet")
        if key == "bad":
            mended.set()

    async with running(work, workers=1) as queue:
        queue.add("bad")
        queue.add("good")
        await mended.wait()
    assert attempts == {"bad": 4, "good": 1}


async def test_the_sooner_of_two_delays_wins_and_adding_at_once_beats_both() -> None:
    """A schedule never postpones what something else wants sooner."""
    done = asyncio.Event()
    rounds = 0

    async def work(_: str) -> None:
        nonlocal rounds
        rounds += 1
        done.set()

    async with running(work) as queue:
        queue.add_after("a", dt.timedelta(milliseconds=5))
        queue.add_after("a", dt.timedelta(hours=1))
        await done.wait()
        assert rounds == 1
        done.clear()
        queue.add_after("b", dt.timedelta(hours=1))
        queue.add("b")
        await done.wait()
        await queue.idle()
    assert rounds == 2


async def test_a_forgotten_key_does_not_come_back() -> None:
    """A delay dies with the object it was for."""
    done: list[str] = []
    second = asyncio.Event()

    async def work(key: str) -> None:
        done.append(key)
        if key == "b":
            second.set()

    async with running(work) as queue:
        queue.add_after("a", dt.timedelta(milliseconds=2))
        queue.forget("a")
        queue.add_after("b", dt.timedelta(milliseconds=4))
        await second.wait()
    assert done == ["b"]


async def test_a_key_rests_between_two_works_and_the_first_is_at_once() -> None:
    """What changes all the time is worked on at a bounded rate, and not missed."""
    loop = asyncio.get_running_loop()
    done: list[float] = []

    async def work(_: str) -> None:
        done.append(loop.time())

    async with running(work, rest=dt.timedelta(milliseconds=50)) as queue:
        for _ in range(20):
            queue.add("a")
            await asyncio.sleep(0)
        await queue.idle()
        assert len(done) == 2
        assert done[1] - done[0] >= 0.05


async def test_a_resting_key_holds_nobody_up() -> None:
    """Others are worked on while one rests, and it counts as waiting meanwhile."""
    done: list[str] = []
    others_done = asyncio.Event()

    async def work(key: str) -> None:
        done.append(key)
        if key == "b":
            others_done.set()

    async with running(work, rest=dt.timedelta(milliseconds=50)) as queue:
        queue.add("a")
        await queue.idle()
        queue.add("a")
        queue.add("b")
        await others_done.wait()
        assert (done, len(queue) > 0) == (["a", "b"], True)
        await queue.idle()
    assert done == ["a", "b", "a"]


async def test_urgent_keys_go_before_the_background() -> None:
    """A single edit does not wait for a backlog that can."""
    done: list[str] = []
    hold = asyncio.Event()

    async def work(key: str) -> None:
        await hold.wait()
        done.append(key)

    async with running(work, workers=1) as queue:
        for number in range(100):
            queue.add(f"background-{number}", background=True)
        queue.add("urgent")
        hold.set()
        await queue.idle()
    assert done.index("urgent") == 0
    assert len(done) == 101


async def test_delays_that_nobody_waits_for_are_dropped() -> None:
    """An hour of edits does not leave an hour of delays behind."""

    async def work(_: str) -> None:
        return

    async with running(work) as queue:
        queue.add_after("first", dt.timedelta(minutes=30))
        for _ in range(10_000):
            queue.add_after("a", dt.timedelta(hours=1))
            queue.add("a")
        await queue.idle()
        assert queue.delays <= 2_000
