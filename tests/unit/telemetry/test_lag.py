"""How late the loop is, is seen."""

import asyncio
import time

from mailtier.telemetry import lag


async def test_what_holds_the_loop_is_seen() -> None:
    """Work of half a second in the loop is a lag of about that, however busy the machine is."""
    seen: list[float] = []
    looked = asyncio.Event()

    def observe(seconds: float) -> None:
        seen.append(seconds)
        looked.set()

    async with lag.watched(observe):
        await asyncio.sleep(0)
        held = time.monotonic() + lag.PERIOD_SECONDS + 0.5
        while time.monotonic() < held:
            pass
        async with asyncio.timeout(10):
            await looked.wait()
    assert seen[0] >= 0.5


async def test_nobody_looks_after_the_end() -> None:
    """The watcher ends with its context."""
    async with lag.watched(lambda _seconds: None):
        assert any(task.get_name() == "loop-lag" for task in asyncio.all_tasks())
    assert not any(task.get_name() == "loop-lag" for task in asyncio.all_tasks())
