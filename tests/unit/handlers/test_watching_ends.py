"""kopf is given up where it does not end: a process without watches must not live on."""

import asyncio
import typing

import kopf
import pytest

from mailtier.handlers import watching


async def _ignores_the_first(times: list[int]) -> None:
    """Run for ever, and take no notice of the first cancellation, as a stream that waits for a login does."""
    while True:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            times.append(1)
            if len(times) > 1:
                raise


class _Watching(watching.Watching):
    """Watches whose kopf is a test's."""

    def __init__(self) -> None:
        self._stop = asyncio.Event()
        self._identity = "test"
        self._on_started = lambda: None

    def _registry(self) -> kopf.OperatorRegistry:
        return kopf.OperatorRegistry()


async def test_what_does_not_end_by_itself_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """One of its tasks has ended, the rest hangs: the watches end with an error, and nothing of it goes on."""
    times: list[int] = []

    async def fails() -> None:
        raise RuntimeError("410 Gone")

    async def spawn_tasks(**_: object) -> list[asyncio.Task[typing.Any]]:
        return [asyncio.create_task(fails())]

    async def run_tasks(_roots: object, **_: object) -> None:
        await _ignores_the_first(times)

    monkeypatch.setattr(kopf, "spawn_tasks", spawn_tasks)
    monkeypatch.setattr(kopf, "run_tasks", run_tasks)
    monkeypatch.setattr(watching, "_END_SECONDS", 0.05)
    with pytest.raises(watching.WatchesEndedError, match="cut off"):
        async with asyncio.timeout(10):
            await _Watching()._run_kopf()
    assert len(times) == 2
    assert asyncio.all_tasks() == {asyncio.current_task()}
