"""Room for the bodies that arrive at the intake (R15)."""

import asyncio
import collections.abc
import contextlib

import pytest

from mailtier.sender.intake.http import bodies, problems

_LONG_SECONDS = 60.0


async def _whole() -> bytes:
    return b"{}"


async def _never() -> bytes:
    await asyncio.Event().wait()
    raise AssertionError


@contextlib.asynccontextmanager
async def _slow(
    arriving: bodies.Bodies, count: int, namespace: str = "team-a"
) -> collections.abc.AsyncIterator[list[asyncio.Task[bytes]]]:
    """Have a namespace send bodies that do not end."""
    tasks = [asyncio.create_task(arriving.read(namespace, _never)) for _ in range(count)]
    await asyncio.sleep(0)
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_who_finds_no_room_is_told_so() -> None:
    """A body that is there is not called late where slow ones of its namespace take all room (R15)."""
    arriving = bodies.Bodies(room_seconds=0.05, body_seconds=_LONG_SECONDS)
    async with _slow(arriving, bodies.PER_NAMESPACE):
        with pytest.raises(problems.HttpProblem, match="no room for this one") as refused:
            await arriving.read("team-a", _whole)
        assert refused.value.kind is problems.UNAVAILABLE
        assert refused.value.headers == {"Retry-After": "2"}
        assert await arriving.read("team-b", _whole) == b"{}"


async def test_a_body_s_time_begins_when_there_is_room() -> None:
    """Those that waited as long as a body may take still arrive, and only who is slow is told to be."""
    arriving = bodies.Bodies(room_seconds=_LONG_SECONDS, body_seconds=0.3)
    async with _slow(arriving, 2 * bodies.PER_NAMESPACE) as slow:
        # Behind as many as wait, each of which has its time: so it waits for twice what a body may take.
        assert await arriving.read("team-a", _whole) == b"{}"
        for error in await asyncio.gather(*slow, return_exceptions=True):
            assert isinstance(error, problems.HttpProblem)
            assert error.kind is problems.TOO_SLOW


async def test_who_has_none_gets_the_next_room() -> None:
    """Two namespaces that take all with slow bodies, and have as many waiting, do not keep out a third (R15)."""
    assert bodies.ROOM_SECONDS > bodies.BODY_SECONDS
    arriving = bodies.Bodies(room_seconds=_LONG_SECONDS, body_seconds=0.3)
    count = 2 * bodies.PER_NAMESPACE
    async with _slow(arriving, count) as slow, _slow(arriving, count, "team-b") as more:
        assert await arriving.read("team-c", _whole) == b"{}"
        assert not all(task.done() for task in (*slow, *more))


async def test_a_large_body_takes_room_by_its_size() -> None:
    """Of 4 MiB a namespace has two, as of 256 KiB it has thirty-two; others have theirs beside them (R15)."""
    arriving = bodies.Bodies(room_seconds=0.05, body_seconds=_LONG_SECONDS)
    large = 16 * bodies.SLOT_BYTES
    held = [await arriving.room("team-a", body_bytes=large) for _ in range(2)]
    for size in (1, large):
        with pytest.raises(problems.HttpProblem, match="no room for this one"):
            await arriving.room("team-a", body_bytes=size)
    held.append(await arriving.room("team-b", body_bytes=large))
    # One byte more is one slot more, and of sixteen there are none left then for another of 4 MiB.
    held.append(await arriving.room("team-b", body_bytes=bodies.SLOT_BYTES + 1))
    with pytest.raises(problems.HttpProblem, match="no room for this one"):
        await arriving.room("team-c", body_bytes=large)
    held.pop().give_back()
    (await arriving.room("team-c", body_bytes=large)).give_back()
    for slot in held:
        slot.give_back()
