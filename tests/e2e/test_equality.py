"""Whatever happens on the way, the end is the same: disturbed runs and a calm one, compared byte by byte (R8)."""

import asyncio
import collections.abc
import contextlib
import dataclasses
import pathlib
import typing

import pytest

from kit import cluster as cluster_kit
from kit import loading, operators, population, proxy, snapshots, wait
from mailtier.api import names
from mailtier.kube import client as kube_client
from mailtier.kube import configuration, errors, paths

_ROOT = pathlib.Path(__file__).parents[2]
_SYSTEM = "mailtier-system"
_SETTLED_SECONDS = 90
"""The slowest thing on the way is a backoff of the watches after several failures."""

_MANAGER = "script"


@dataclasses.dataclass(slots=True, kw_only=True)
class Stage:
    """A cluster with an operator, a proxy between them, and a script that goes on.

    Attributes:
        step: How far the script is; from 0.
        clock: The file by which the operator's wall clock is off.
    """

    cluster: cluster_kit.LocalCluster
    client: kube_client.Client
    proxy: proxy.Proxy
    operator: operators.Operator
    organizations: list[population.Organization]
    clock: pathlib.Path
    step: int = 0

    async def until(self, predicate: collections.abc.Callable[[], object], why: str) -> None:
        """Wait for something that has to happen."""
        await wait.until_async(lambda: bool(predicate()), within_seconds=_SETTLED_SECONDS, why=why)

    async def in_the_middle(self) -> None:
        """Return when the script has made all objects and goes on to change them, and the operator is at work."""
        await self.until(lambda: self.step >= 2, "the script is in its middle")


Disturb = collections.abc.Callable[[Stage], collections.abc.Awaitable[None]]


async def _restart_apiserver(stage: Stage) -> None:
    await stage.in_the_middle()
    await asyncio.to_thread(stage.cluster.restart_apiserver)


async def _cut_watches(stage: Stage) -> None:
    while stage.proxy.cuts < 50:
        await stage.until(lambda: stage.proxy.watches >= 2, "watches are there to be cut")
        stage.proxy.cut_watches()


async def _expire_watches(stage: Stage) -> None:
    await stage.in_the_middle()
    while stage.proxy.expired < 20:
        await stage.until(lambda: stage.proxy.watches >= 2, "watches are there to be ended")
        await stage.proxy.expire_watches()


async def _refuse_requests(stage: Stage) -> None:
    await stage.in_the_middle()
    stage.proxy.refuse(200)
    await stage.until(lambda: stage.proxy.refused >= 100, "requests were refused")


async def _move_clock(stage: Stage) -> None:
    await stage.in_the_middle()
    stage.clock.write_text("86400", encoding="ascii")
    await stage.until(lambda: stage.step >= 4, "the script went on")
    stage.clock.write_text("-172800", encoding="ascii")


async def _kill_operator(stage: Stage) -> None:
    for step in (1, 2, 4):
        await stage.until(lambda least=step: stage.step >= least, "the script went on")
        stage.operator.restart()


async def _end_operator(stage: Stage) -> None:
    await stage.in_the_middle()
    await asyncio.to_thread(stage.operator.stop)
    stage.operator.start()


DISTURBANCES: dict[str, Disturb] = {
    "apiserver restarted": _restart_apiserver,
    "watches cut 50 times": _cut_watches,
    "watches ended with 410": _expire_watches,
    "requests refused with 429": _refuse_requests,
    "clock moved": _move_clock,
    "leader killed": _kill_operator,
    "leader ended": _end_operator,
}


async def _insist(call: collections.abc.Callable[[], collections.abc.Awaitable[None]]) -> None:
    """Make a call until the API server has taken it."""

    async def taken() -> bool:
        try:
            await call()
        except errors.UnavailableError:
            return False
        return True

    await wait.until_async(taken, within_seconds=_SETTLED_SECONDS, why="the API server takes it", poll_seconds=0.2)


class _Script:
    """The same sequence of objects in each run."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    async def run(self) -> None:
        """Apply, change and delete."""
        organizations = self._stage.organizations
        steps: list[collections.abc.Awaitable[typing.Any]] = [
            self._host(population.host("Platform")),
            loading.each(organizations, self._apply),
            self._host(population.host("Changed")),
            loading.each([one for one in organizations if one.number % 10 == 4], self._rename),
            loading.each([one for one in organizations if one.number % 20 == 3], self._delete),
            loading.each([one for one in organizations if one.number % 40 == 3], self._apply),
            self._host(_lenient(population.host("Changed"))),
        ]
        for number, step in enumerate(steps):
            self._stage.step = number
            await step
        self._stage.step = len(steps)

    async def _host(self, document: dict[str, typing.Any]) -> None:
        path = paths.host_settings(names.HOST_NAME)
        await _insist(lambda: self._stage.client.apply(path, document, field_manager=_MANAGER))

    async def _apply(self, one: population.Organization) -> None:
        await self._write(one, one.body)

    async def _rename(self, one: population.Organization) -> None:
        await self._write(one, {**one.body, "spec": {**one.spec, "from": {"displayName": f"Renamed {one.number}"}}})

    async def _write(self, one: population.Organization, document: dict[str, typing.Any]) -> None:
        path = paths.org_settings(one.namespace, one.name)
        await _insist(lambda: self._stage.client.apply(path, document, field_manager=_MANAGER))

    async def _delete(self, one: population.Organization) -> None:
        async def delete() -> None:
            with contextlib.suppress(errors.NotFoundError):
                await self._stage.client.delete(paths.org_settings(one.namespace, one.name))

        await _insist(delete)


def _lenient(host: dict[str, typing.Any]) -> dict[str, typing.Any]:
    """Return the host's settings with a policy that mends some of the broken."""
    policy = {"from": {"allow": ["@elsewhere.example"]}}
    return {**host, "spec": {**host["spec"], "policy": policy}}


@contextlib.asynccontextmanager
async def _stage(folder: pathlib.Path, count: int) -> collections.abc.AsyncIterator[Stage]:
    with cluster_kit.LocalCluster() as control_plane:
        control_plane.apply_crds(_ROOT / "crds")
        control_plane.kubectl("create", "namespace", _SYSTEM)
        connection = configuration.load(kubeconfig=control_plane.kubeconfig)
        clock = folder / "clock"
        async with kube_client.Client(connection) as client, proxy.Proxy(control_plane).running() as between:
            organizations = population.make(count, "acme")
            await loading.prepare(client, organizations)
            operator = operators.Operator(
                folder,
                between.kubeconfig(folder),
                namespace=_SYSTEM,
                env={
                    "PYTHONPATH": str(_ROOT / "tests" / "kit" / "shifted_clock"),
                    "MAILTIER_TEST_CLOCK": str(clock),
                },
            )
            # Threads, because to start or end a process is to wait for it, and the proxy lives in this event loop.
            await asyncio.to_thread(operator.start)
            try:
                await operator.ready()
                yield Stage(
                    cluster=control_plane,
                    client=client,
                    proxy=between,
                    operator=operator,
                    organizations=organizations,
                    clock=clock,
                )
            finally:
                await asyncio.to_thread(operator.stop)


async def _calm(folder: pathlib.Path, count: int) -> snapshots.Snapshot:
    """Return what an undisturbed run comes to."""
    async with _stage(folder, count) as stage:
        await _Script(stage).run()
        gone = sum(1 for one in stage.organizations if one.number % 20 == 3 and one.number % 40 != 3)

        async def summed_up() -> bool:
            assert stage.operator.running, "undisturbed, it does not end"
            host = await stage.client.get(paths.host_settings(names.HOST_NAME))
            summary = host["status"].get("summary", {})
            return summary.get("organizations") == count - gone and stage.operator.is_idle()

        await wait.until_async(summed_up, within_seconds=_SETTLED_SECONDS, why="the calm run is over", poll_seconds=0.5)
        # Nothing is left to do: what is there stays.
        before: snapshots.Snapshot = {}

        async def unchanged() -> bool:
            nonlocal before
            last, before = before, await snapshots.take(stage.client, system=_SYSTEM)
            return last == before

        await wait.until_async(unchanged, within_seconds=_SETTLED_SECONDS, why="nothing changes", poll_seconds=11)
        return before


_calm_runs: dict[int, snapshots.Snapshot] = {}


@pytest.mark.parametrize("count", [500, pytest.param(10_000, marks=pytest.mark.long)])
@pytest.mark.parametrize("disturbance", DISTURBANCES)
async def test_a_disturbed_run_ends_as_a_calm_one(tmp_path: pathlib.Path, disturbance: str, count: int) -> None:
    """Every effective ConfigMap and every status are those of a calm run, byte by byte, times and uids apart (R8)."""
    if count not in _calm_runs:
        (tmp_path / "calm").mkdir()
        _calm_runs[count] = await _calm(tmp_path / "calm", count)
    calm = _calm_runs[count]
    assert len([key for key in calm if key.startswith("configmap acme")]) > count * 0.9
    async with _stage(tmp_path, count) as stage:
        async with asyncio.TaskGroup() as group:
            group.create_task(_Script(stage).run())
            group.create_task(_awaited(DISTURBANCES[disturbance](stage)))
        last: list[str] = []

        async def equal() -> bool:
            if not stage.operator.running:
                # Crash-only: the kubelet starts it again.
                await asyncio.to_thread(stage.operator.start)
            nonlocal last
            last = snapshots.differences(calm, await snapshots.take(stage.client, system=_SYSTEM))
            return not last

        try:
            await wait.until_async(equal, within_seconds=_SETTLED_SECONDS, why="the end is the same", poll_seconds=1)
        except wait.NotInTimeError:
            pytest.fail(f"{len(last)} differences:\n" + "\n".join(last[:5]))


async def _awaited(disturbed: collections.abc.Awaitable[None]) -> None:
    await disturbed
