"""The parts of a process live and die together."""

import asyncio
import os
import signal
import time

import pytest

from mailtier.telemetry import tasks


async def forever() -> None:
    """Run until cancelled."""
    await asyncio.Event().wait()


async def test_failed_part_ends_all_and_says_why() -> None:
    """An exception in one part cancels the others and comes out with its name."""
    cancelled = asyncio.Event()

    async def other() -> None:
        try:
            await forever()
        finally:
            cancelled.set()

    async def failing() -> None:
        raise ValueError("broken")

    with pytest.raises(tasks.EndedError, match="second ended unasked: ValueError: broken") as caught:
        await tasks.run({"first": other(), "second": failing()}, stop=asyncio.Event())
    assert isinstance(caught.value.__cause__, ValueError)
    assert cancelled.is_set()


async def test_part_that_returns_ends_all_too() -> None:
    """A part that returns before it was asked to is as bad as one that fails."""

    async def returning() -> None:
        return

    with pytest.raises(tasks.EndedError, match="short ended unasked"):
        await tasks.run({"long": forever(), "short": returning()}, stop=asyncio.Event())


async def test_stop_cancels_the_last_first() -> None:
    """When asked to stop, the parts end in the reverse order of their start, one after the other."""
    order: list[str] = []
    stop = asyncio.Event()

    async def part(name: str) -> None:
        try:
            await forever()
        finally:
            await asyncio.sleep(0)
            order.append(name)

    parts = {name: part(name) for name in ("first", "second", "third")}
    running = asyncio.create_task(tasks.run(parts, stop=stop))
    await asyncio.sleep(0)
    stop.set()
    await running
    assert order == ["third", "second", "first"]


async def test_part_that_fails_while_stopping_does_not_hide_the_stop() -> None:
    """An exception on the way out is logged, and the others are still stopped."""
    stop = asyncio.Event()
    ended = asyncio.Event()

    async def first() -> None:
        try:
            await forever()
        finally:
            ended.set()

    async def second() -> None:
        try:
            await forever()
        finally:
            raise ValueError("broken")

    running = asyncio.create_task(tasks.run({"first": first(), "second": second()}, stop=stop))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    stop.set()
    await running
    assert ended.is_set()


async def test_stubborn_part_is_left_after_its_grace() -> None:
    """A part that does not end when it is cancelled does not keep the process."""
    stop = asyncio.Event()
    release = asyncio.Event()

    async def stubborn() -> None:
        try:
            await forever()
        except asyncio.CancelledError:
            await release.wait()

    running = asyncio.create_task(tasks.run({"stubborn": stubborn()}, stop=stop, grace_seconds=0.01))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    stop.set()
    await running
    release.set()
    await asyncio.wait(asyncio.all_tasks() - {asyncio.current_task()})  # type: ignore[type-var]


async def test_signals_set_the_event() -> None:
    """SIGTERM asks to stop."""
    stop = asyncio.Event()
    tasks.stop_on_signals(stop)
    os.kill(os.getpid(), signal.SIGTERM)
    async with asyncio.timeout(10):
        await stop.wait()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.remove_signal_handler(number)


async def test_whatever_waits_for_the_loop_goes_before_what_has_time() -> None:
    """Items that nobody waits for come all, and in order, and others have turns between them."""
    seen, turns = list[int](), 0

    async def look() -> None:
        async for item in tasks.unhurried(range(1_000)):
            seen.append(item)
            until = time.perf_counter() + 0.0001
            while time.perf_counter() < until:
                pass

    looking = asyncio.create_task(look())
    while not looking.done():
        await asyncio.sleep(0)
        turns += 1
    assert seen == list(range(1_000))
    assert turns >= 10
