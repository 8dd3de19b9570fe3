"""The operator at scale, beside the raw ceiling of the same client on the same API server.

Per organization the operator makes two writes: an effective ConfigMap and a status. The ceiling is those two writes
alone, as large as the operator's, by the same client with 32 connections, without watching or deciding anything. A
creation is compared with creating the objects and then making the two writes; a host change with making them again.

    python -m bench.operator --organizations 1000
"""

import argparse
import asyncio
import collections
import contextlib
import dataclasses
import os
import pathlib
import re
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Any

from kit import binaries, cluster, operators, wait
from mailtier.api import names
from mailtier.kube import client as kube_client
from mailtier.kube import configuration, paths

_ROOT = pathlib.Path(__file__).parents[2]
_SYSTEM = "mailtier-system"
_CONNECTIONS = 32
_PER_NAMESPACE = 20
_STEADY_SECONDS = 20
_SAMPLE_PAUSE_SECONDS = 0.05


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table.

    Attributes:
        seconds: From the cause to the last write.
        cpu_seconds: The operator's; None for the ceiling.
    """

    name: str
    organizations: int
    seconds: float
    cpu_seconds: float | None
    note: str = ""


async def each(items: Iterable[Any], work: Callable[[Any], Awaitable[None]]) -> float:
    """Work on all items over as many connections as the operator has; return the seconds it took."""
    waiting = collections.deque(items)
    started = time.monotonic()

    async def worker() -> None:
        while waiting:
            await work(waiting.popleft())

    await asyncio.gather(*(worker() for _ in range(_CONNECTIONS)))
    return time.monotonic() - started


def spaces(count: int, prefix: str) -> list[tuple[str, str]]:
    """Return namespace and name of so many organizations."""
    return [(f"{prefix}-{number // _PER_NAMESPACE}", f"org-{number % _PER_NAMESPACE}") for number in range(count)]


def host(name: str) -> dict[str, Any]:
    """Return the host's settings, with a Reply-To that tells one change from another, and that nobody overrides."""
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.HOST_KIND,
        "metadata": {"name": names.HOST_NAME},
        "spec": {
            "smtp": {"host": "relay.platform.example", "port": 587},
            "from": {"address": "no-reply@platform.example", "replyTo": f"{name.lower()}@platform.example"},
        },
    }


class Bench:
    """One run: the API server, the client, and the table."""

    def __init__(self, control_plane: cluster.LocalCluster, client: kube_client.Client, *, count: int) -> None:
        self._cluster = control_plane
        self._client = client
        self._count = count
        self.rows: list[Row] = []

    async def raw(self) -> dict[str, float]:
        """Measure the two writes alone, on objects of their own; return the seconds by what they are compared with."""
        organizations = spaces(self._count, "raw")
        creating = await self._create(organizations)
        sample_map, sample_status = await self._samples()

        async def write(organization: tuple[str, str]) -> None:
            namespace, name = organization
            await self._client.apply(
                paths.config_maps("raw-0", f"{namespace}.{name}"),
                {
                    "apiVersion": "v1",
                    "kind": "ConfigMap",
                    "metadata": {"name": f"{namespace}.{name}", "namespace": "raw-0"},
                    "data": sample_map,
                },
                field_manager="bench",
            )
            await self._client.apply(
                paths.status(paths.org_settings(namespace, name)),
                {
                    "apiVersion": names.API_VERSION,
                    "kind": names.ORG_KIND,
                    "metadata": {"name": name, "namespace": namespace},
                    "status": sample_status,
                },
                field_manager="bench",
            )

        seconds = creating + await each(organizations, write)
        sample_map = {**sample_map, "from.replyTo": "changed@platform.example"}
        sample_status = {**sample_status, "source": "Mixed"}
        again = await each(organizations, write)
        self.rows.append(Row(name="raw creation", organizations=self._count, seconds=seconds, cpu_seconds=None))
        self.rows.append(Row(name="raw update", organizations=self._count, seconds=again, cpu_seconds=None))
        for namespace in dict.fromkeys(namespace for namespace, _ in organizations):
            await self._remove(paths.org_settings(namespace))
        await self._remove(paths.config_maps("raw-0"))
        return {"creation": seconds, "host change": again}

    async def ours(self, operator: operators.Operator) -> None:
        """Measure creation, a host change, a restart and the steady state."""
        organizations = spaces(self._count, "bench")
        async with self._measured(operator, "creation", self._count):
            await self._create(organizations)
        async with self._measured(operator, "host change", self._count):
            await self._client.apply(paths.host_settings(names.HOST_NAME), host("Changed"), field_manager="bench")
        # The summary follows the organizations by up to ten seconds; it is no write of the restart's.
        await wait.until_async(self._is_summed_up, within_seconds=30, why="the host's summary", poll_seconds=0.5)
        started, before = time.monotonic(), self.writes()
        operator.restart()
        await operator.settled(at_least=self._count, outcome="unchanged")
        after = self.writes()
        self.rows.append(
            Row(
                name="restart",
                organizations=self._count,
                seconds=time.monotonic() - started,
                cpu_seconds=operator.cpu_seconds(),
                note=f"{after - before} API writes",
            )
        )
        # The steady state is a claim about a span of time, so that this bench has to let one pass.
        await asyncio.sleep(_SAMPLE_PAUSE_SECONDS)
        before, cpu = self.writes(), operator.cpu_seconds()
        await asyncio.sleep(_STEADY_SECONDS)
        self.rows.append(
            Row(
                name="steady state",
                organizations=self._count,
                seconds=_STEADY_SECONDS,
                cpu_seconds=operator.cpu_seconds() - cpu,
                note=f"{self.writes() - before} API writes but the Lease's",
            )
        )

    @contextlib.asynccontextmanager
    async def _measured(self, operator: operators.Operator, name: str, count: int) -> AsyncIterator[None]:
        before = operator.reconciled("written")
        cpu, started = operator.cpu_seconds(), time.monotonic()
        yield
        await operator.settled(at_least=before + count, outcome="written")
        seconds = time.monotonic() - started
        self.rows.append(Row(name=name, organizations=count, seconds=seconds, cpu_seconds=operator.cpu_seconds() - cpu))

    async def _is_summed_up(self) -> bool:
        found = await self._client.get(paths.host_settings(names.HOST_NAME))
        # The sample is an organization too.
        return bool(found["status"].get("summary", {}).get("ready") == self._count + 1)

    def writes(self) -> int:
        """Return how many writes the API server has served, but for Leases, by its own count."""
        total = 0.0
        for line in self._cluster.metrics().splitlines():
            if line.startswith("apiserver_request_total{") and 'resource="leases"' not in line:
                verb = re.search(r'verb="(\w+)"', line)
                group = re.search(r'resource="(\w+)"', line)
                if verb and group and verb[1] in {"APPLY", "PATCH", "POST", "PUT", "DELETE"}:
                    ours = group[1] in {"configmaps", names.ORG_PLURAL, names.HOST_PLURAL, names.NOTIFICATION_PLURAL}
                    total += float(line.rpartition(" ")[2]) if ours else 0
        return int(total)

    async def _create(self, organizations: list[tuple[str, str]]) -> float:
        """Create namespaces and objects; return the seconds that the objects took."""
        for namespace in dict.fromkeys(namespace for namespace, _ in organizations):
            body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
            await self._client.apply(paths.namespaces(namespace), body, field_manager="bench")

        async def create(organization: tuple[str, str]) -> None:
            namespace, name = organization
            body = {
                "apiVersion": names.API_VERSION,
                "kind": names.ORG_KIND,
                "metadata": {"name": name, "namespace": namespace},
                "spec": {"from": {"displayName": f"{namespace} {name}"}} if name.endswith("1") else {},
            }
            await self._client.create(paths.org_settings(namespace), body)

        return await each(organizations, create)

    async def _samples(self) -> tuple[dict[str, str], dict[str, Any]]:
        """Return data and status as the operator writes them, so that the ceiling's writes are as large as ours."""
        found = await self._client.get(paths.config_maps(_SYSTEM, "sample.org-0"))
        status = (await self._client.get(paths.org_settings("sample", "org-0")))["status"]
        return found["data"], status

    async def _remove(self, path: str) -> None:
        listing = await self._client.list(path, metadata_only=True)

        async def remove(item: dict[str, Any]) -> None:
            await self._client.delete(f"{path}/{item['metadata']['name']}")

        await each([item for item in listing.items if item["metadata"]["name"] != "kube-root-ca.crt"], remove)


def table(rows: list[Row], ceilings: dict[str, float], *, memory_mib: float) -> str:
    """Return the rows as a table, each rate beside the ceiling."""
    lines = [f"{'':<14}{'orgs':>7}{'seconds':>9}{'orgs/s':>8}{'of raw':>8}{'CPU ms/org':>12}  "]
    for row in rows:
        rate = row.organizations / row.seconds
        ceiling = ceilings.get(row.name)
        share = f"{ceiling / row.seconds:.0%}" if ceiling else ""
        cpu = f"{row.cpu_seconds * 1000 / row.organizations:.2f}" if row.cpu_seconds is not None else ""
        shown = f"{rate:.0f}" if row.name != "steady state" else ""
        lines.append(
            f"{row.name:<14}{row.organizations:>7}{row.seconds:>9.2f}{shown:>8}{share:>8}{cpu:>12}  {row.note}".rstrip()
        )
    lines.append(f"operator's memory: {memory_mib:.0f} MiB (peak resident)")
    return "\n".join(lines)


async def run(count: int) -> None:
    """Run the bench and print its table."""
    binaries.ensure("etcd", "kube-apiserver", "kubectl")
    folder = pathlib.Path(tempfile.mkdtemp(prefix="mailtier-bench-"))
    with contextlib.ExitStack() as stack:
        control_plane = await asyncio.to_thread(stack.enter_context, cluster.LocalCluster(folder / "cluster"))
        control_plane.apply_crds(_ROOT / "crds")
        control_plane.kubectl("create", "namespace", _SYSTEM)
        connection = configuration.load(kubeconfig=control_plane.kubeconfig)
        async with kube_client.Client(connection, limit=_CONNECTIONS) as client:
            bench = Bench(control_plane, client, count=count)
            await client.apply(paths.host_settings(names.HOST_NAME), host("Platform"), field_manager="bench")
            operator = stack.enter_context(
                operators.Operator(folder, control_plane.kubeconfig, namespace=_SYSTEM, log_level="INFO")
            )
            await operator.ready()
            await bench._create([("sample", "org-0")])
            await operator.settled(at_least=1, outcome="written")
            operator.stop()
            ceilings = await bench.raw()
            operator.start()
            await operator.ready()
            await bench.ours(operator)
            memory = operator.peak_mib()
    print(f"\n{os.cpu_count()} cores shared by etcd, kube-apiserver, the operator and this bench\n")
    print(table(bench.rows, ceilings, memory_mib=memory))


def main() -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(prog="bench.operator", description=__doc__)
    parser.add_argument("--organizations", type=int, default=1_000)
    asyncio.run(run(parser.parse_args().organizations))


if __name__ == "__main__":
    main()
