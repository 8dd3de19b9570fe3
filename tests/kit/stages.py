"""A cluster, an operator behind a proxy, and a script of changes that is the same in each run."""

import asyncio
import collections.abc
import contextlib
import dataclasses
import pathlib
import typing

from kit import cluster as cluster_kit
from kit import loading, operators, population, proxy, wait
from mailtier.api import names
from mailtier.kube import client as kube_client
from mailtier.kube import configuration, errors, paths

_ROOT = pathlib.Path(__file__).parents[2]
SYSTEM = "mailtier-system"
_SECONDS = 300.0
"""The slowest thing on the way is a backoff of the watches after several failures."""

_ORGANIZATIONS_PER_SECOND = 20
"""How many are reconciled at least, on a machine that is busy with other things too."""

_MANAGER = "script"


@dataclasses.dataclass(slots=True, kw_only=True)
class Stage:
    """A cluster with an operator, a proxy between them, and a script that goes on.

    Attributes:
        folder: For what else writes a log.
        step: How far the script is; from 0.
        clock: The file by which the operator's wall clock is off.
    """

    folder: pathlib.Path
    cluster: cluster_kit.LocalCluster
    client: kube_client.Client
    proxy: proxy.Proxy
    operator: operators.Operator
    organizations: list[population.Organization]
    clock: pathlib.Path
    step: int = 0

    @property
    def patience_seconds(self) -> float:
        """How long anything may take that the whole cluster waits for."""
        return _SECONDS + len(self.organizations) / _ORGANIZATIONS_PER_SECOND

    async def until(self, predicate: collections.abc.Callable[[], object], why: str) -> None:
        """Wait for something that has to happen."""

        async def happened() -> bool:
            await self.keep_running()
            return bool(predicate())

        await wait.until_async(happened, within_seconds=self.patience_seconds, why=why)

    async def keep_running(self) -> None:
        """Start the operator again if it has ended, as the kubelet would: it is crash-only."""
        if not self.operator.running:
            await asyncio.to_thread(self.operator.start)

    async def in_the_middle(self) -> None:
        """Return when the script has made all objects and goes on to change them, and the operator is at work."""
        await self.until(lambda: self.step >= 2, "the script is in its middle")


async def insist(call: collections.abc.Callable[[], collections.abc.Awaitable[object]]) -> None:
    """Make a call until the API server has taken it."""

    async def taken() -> bool:
        try:
            await call()
        except errors.UnavailableError:
            return False
        return True

    await wait.until_async(taken, within_seconds=_SECONDS, why="the API server takes it", poll_seconds=0.2)


class Script:
    """The same sequence of objects in each run."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    async def run(self) -> None:
        """Apply, change and delete."""
        organizations = self._stage.organizations
        steps: list[collections.abc.Callable[[], collections.abc.Awaitable[typing.Any]]] = [
            lambda: self.host(population.host("Platform")),
            lambda: loading.each(organizations, self._apply),
            lambda: self.host(population.host("Changed")),
            lambda: loading.each([one for one in organizations if one.number % 10 == 4], self.rename),
            lambda: loading.each([one for one in organizations if one.number % 20 == 3], self._delete),
            lambda: loading.each([one for one in organizations if one.number % 40 == 3], self._apply),
            lambda: self.host(_lenient(population.host("Changed"))),
        ]
        for number, step in enumerate(steps):
            self._stage.step = number
            await step()
        self._stage.step = len(steps)

    async def host(self, document: dict[str, typing.Any]) -> None:
        """Apply the host's settings."""
        path = paths.host_settings(names.HOST_NAME)
        await insist(lambda: self._stage.client.apply(path, document, field_manager=_MANAGER))

    async def _apply(self, one: population.Organization) -> None:
        await self._write(one, one.body)

    async def rename(self, one: population.Organization) -> None:
        """Give an organization another display name."""
        await self._write(one, {**one.body, "spec": {**one.spec, "from": {"displayName": f"Renamed {one.number}"}}})

    async def _write(self, one: population.Organization, document: dict[str, typing.Any]) -> None:
        path = paths.org_settings(one.namespace, one.name)
        await insist(lambda: self._stage.client.apply(path, document, field_manager=_MANAGER))

    async def _delete(self, one: population.Organization) -> None:
        async def delete() -> None:
            with contextlib.suppress(errors.NotFoundError):
                await self._stage.client.delete(paths.org_settings(one.namespace, one.name))

        await insist(delete)


def _lenient(host: dict[str, typing.Any]) -> dict[str, typing.Any]:
    """Return the host's settings with a policy that mends some of the broken."""
    policy = {"from": {"allow": ["@elsewhere.example"]}}
    return {**host, "spec": {**host["spec"], "policy": policy}}


@contextlib.asynccontextmanager
async def running(folder: pathlib.Path, count: int) -> collections.abc.AsyncIterator[Stage]:
    """Yield a stage with an operator that is ready, and what so many organizations need."""
    with cluster_kit.LocalCluster() as control_plane:
        control_plane.apply_crds(_ROOT / "crds")
        control_plane.kubectl("create", "namespace", SYSTEM)
        connection = configuration.load(kubeconfig=control_plane.kubeconfig)
        clock = folder / "clock"
        async with kube_client.Client(connection) as client, proxy.Proxy(control_plane).running() as between:
            organizations = population.make(count, "acme")
            await loading.prepare(client, organizations)
            operator = operators.Operator(
                folder,
                between.kubeconfig(folder),
                namespace=SYSTEM,
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
                    folder=folder,
                    cluster=control_plane,
                    client=client,
                    proxy=between,
                    operator=operator,
                    organizations=organizations,
                    clock=clock,
                )
            finally:
                await asyncio.to_thread(operator.stop)
