"""Whatever happens on the way, the end is the same: disturbed runs and a calm one, compared byte by byte (R8)."""

import asyncio
import collections.abc
import pathlib

import pytest

from kit import snapshots, stages, wait
from mailtier.api import names
from mailtier.kube import paths

Disturb = collections.abc.Callable[[stages.Stage], collections.abc.Coroutine[object, object, None]]


async def _restart_apiserver(stage: stages.Stage) -> None:
    await stage.in_the_middle()
    await asyncio.to_thread(stage.cluster.restart_apiserver)


async def _cut_watches(stage: stages.Stage) -> None:
    while stage.proxy.cuts < 50:
        await stage.until(lambda: stage.proxy.watches >= 2, "watches are there to be cut")
        stage.proxy.cut_watches()


async def _expire_watches(stage: stages.Stage) -> None:
    await stage.in_the_middle()
    while stage.proxy.expired < 20:
        await stage.until(lambda: stage.proxy.watches >= 2, "watches are there to be ended")
        await stage.proxy.expire_watches()


async def _refuse_requests(stage: stages.Stage) -> None:
    await stage.in_the_middle()
    stage.proxy.refuse(200)
    await stage.until(lambda: stage.proxy.refused >= 100, "requests were refused")


async def _move_clock(stage: stages.Stage) -> None:
    await stage.in_the_middle()
    stage.clock.write_text("86400", encoding="ascii")
    await stage.until(lambda: stage.step >= 4, "the script went on")
    stage.clock.write_text("-172800", encoding="ascii")


async def _kill_operator(stage: stages.Stage) -> None:
    for step in (1, 2, 4):
        await stage.until(lambda least=step: stage.step >= least, "the script went on")
        stage.operator.restart()


async def _end_operator(stage: stages.Stage) -> None:
    await stage.in_the_middle()
    await asyncio.to_thread(stage.operator.stop)
    stage.operator.start()


async def _everything(stage: stages.Stage) -> None:
    for disturb in (_cut_watches, _restart_apiserver, _expire_watches, _refuse_requests, _move_clock, _kill_operator):
        await disturb(stage)


DISTURBANCES: dict[str, Disturb] = {
    "apiserver restarted": _restart_apiserver,
    "watches cut 50 times": _cut_watches,
    "watches ended with 410": _expire_watches,
    "requests refused with 429": _refuse_requests,
    "clock moved": _move_clock,
    "leader killed": _kill_operator,
    "leader ended": _end_operator,
}


async def _calm(folder: pathlib.Path, count: int) -> snapshots.Snapshot:
    """Return what an undisturbed run comes to."""
    async with stages.running(folder, count) as stage:
        await stages.Script(stage).run()
        gone = sum(1 for one in stage.organizations if one.number % 20 == 3 and one.number % 40 != 3)

        async def summed_up() -> bool:
            assert stage.operator.running, "undisturbed, it does not end"
            host = await stage.client.get(paths.host_settings(names.HOST_NAME))
            summary = host["status"].get("summary", {})
            return summary.get("organizations") == count - gone and stage.operator.is_idle()

        await wait.until_async(
            summed_up, within_seconds=stage.patience_seconds, why="the calm run is over", poll_seconds=0.5
        )
        # Nothing is left to do: what is there stays.
        before: snapshots.Snapshot = {}

        async def unchanged() -> bool:
            nonlocal before
            last, before = before, await snapshots.take(stage.client, system=stages.SYSTEM)
            return bool(before) and last == before

        await wait.until_async(unchanged, within_seconds=stage.patience_seconds, why="nothing changes", poll_seconds=11)
        return before


_calm_runs: dict[int, snapshots.Snapshot] = {}


@pytest.mark.parametrize(
    ("disturb", "count"),
    [
        *(pytest.param(disturb, 500, id=name) for name, disturb in DISTURBANCES.items()),
        pytest.param(_everything, 10_000, id="everything at 10,000", marks=pytest.mark.long),
    ],
)
async def test_a_disturbed_run_ends_as_a_calm_one(tmp_path: pathlib.Path, disturb: Disturb, count: int) -> None:
    """Every effective ConfigMap and every status are those of a calm run, byte by byte, times and uids apart (R8)."""
    if count not in _calm_runs:
        (tmp_path / "calm").mkdir()
        _calm_runs[count] = await _calm(tmp_path / "calm", count)
    calm = _calm_runs[count]
    assert len([key for key in calm if key.startswith("configmap acme")]) > count * 0.9
    async with stages.running(tmp_path, count) as stage:
        async with asyncio.TaskGroup() as group:
            group.create_task(stages.Script(stage).run())
            group.create_task(disturb(stage))
        last: list[str] = []

        async def equal() -> bool:
            await stage.keep_running()
            nonlocal last
            last = snapshots.differences(calm, await snapshots.take(stage.client, system=stages.SYSTEM))
            return not last

        try:
            await wait.until_async(
                equal, within_seconds=stage.patience_seconds, why="the end is the same", poll_seconds=1
            )
        except wait.NotInTimeError:
            pytest.fail(f"{len(last)} differences:\n" + "\n".join(last[:5]))
