"""Threads with a share for each namespace."""

import asyncio
import threading

import pytest

from mailtier.sender.net import threads

_TOTAL = 4


async def test_one_owner_has_one_thread() -> None:
    """While one namespace's work takes long, its other work holds no thread, and others' goes on (R15)."""
    go_on, started = threading.Event(), []
    shared = threads.SharedThreads("tests", total=_TOTAL)

    def work() -> None:
        started.append(1)
        assert go_on.wait(60)

    attacks = [asyncio.create_task(shared.run("attacker", work)) for _ in range(2 * _TOTAL)]
    try:
        async with asyncio.timeout(30):
            # One after the other, so that whatever stood in line before had its turn.
            assert [await shared.run(f"team-{number}", lambda: "done") for number in range(20)] == ["done"] * 20
        assert len(started) == 1
    finally:
        go_on.set()
    await asyncio.gather(*attacks)
    assert len(started) == 2 * _TOTAL


async def test_who_gives_up_leaves_its_thread_busy() -> None:
    """A thread cannot be called back: its namespace has no other until it is free (R15)."""
    go_on, shared = threading.Event(), threads.SharedThreads("tests", total=_TOTAL)
    given_up = asyncio.create_task(shared.run("attacker", lambda: go_on.wait(60)))
    await asyncio.sleep(0)
    given_up.cancel()
    with pytest.raises(asyncio.CancelledError):
        await given_up
    again = asyncio.create_task(shared.run("attacker", lambda: "again"))
    try:
        async with asyncio.timeout(30):
            await shared.run("team-a", lambda: None)
        assert not again.done()
    finally:
        go_on.set()
    assert await again == "again"
