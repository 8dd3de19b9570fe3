"""The operator at scale, beside the raw ceiling of the same client on the same API server.

Per organization the operator makes two writes: an effective ConfigMap and a status. The ceiling is those two writes
alone, as large as the operator's, by the same client with 32 connections, without watching or deciding anything. A
creation is compared with creating the objects and then making the two writes; a host change with making them again.

    python -m bench.operator 1000 10000
"""

import argparse
import asyncio
import contextlib
import os
import pathlib
import re
import tempfile
import time
from collections.abc import AsyncIterator
from typing import Any

from bench import report, storm
from kit import cluster, loading, operators, population, wait
from mailtier.api import names
from mailtier.kube import client as kube_client
from mailtier.kube import configuration, paths

_ROOT = pathlib.Path(__file__).parents[2]
_SYSTEM = "mailtier-system"
_SIZES = (1_000, 10_000)
_STEADY_SECONDS = 20
_SUMMARY_SECONDS = 60
_ROTATION_SECONDS = 90
"""A Secret whose users are satisfied is read every minute (R9)."""


class Bench:
    """One size: the API server, the operator, and what was measured."""

    def __init__(
        self, control_plane: cluster.LocalCluster, client: kube_client.Client, operator: operators.Operator, count: int
    ) -> None:
        self._cluster = control_plane
        self._client = client
        self._operator = operator
        self._count = count
        self._organizations = population.make(count, "bench")
        self._edits_alone = 0.0
        self.report = report.Report(count)

    async def raw(self) -> tuple[float, float]:
        """Measure the two writes alone, on objects of their own; return the seconds of creation and of an update."""
        organizations = population.make(self._count, "raw")
        found = await self._client.get(paths.config_maps(_SYSTEM, "sample-0.org-0"))
        data = found["data"]
        status = (await self._client.get(paths.org_settings("sample-0", "org-0")))["status"]
        await loading.prepare(self._client, organizations)

        async def write(one: population.Organization) -> None:
            name = names.effective_config_map(one.namespace, one.name)
            metadata = {"name": name, "namespace": "raw-0"}
            await self._client.apply(
                paths.config_maps("raw-0", name),
                {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data},
                field_manager=loading.MANAGER,
            )
            await self._client.apply(
                paths.status(paths.org_settings(one.namespace, one.name)),
                {**one.body, "spec": None, "status": status},
                field_manager=loading.MANAGER,
            )

        server = self._server_seconds()
        creation = await loading.create(self._client, organizations) + await loading.each(organizations, write)
        between = self._server_seconds()
        data = {**data, "from.replyTo": "changed@platform.example"}
        status = {**status, "source": "Mixed"}
        update = await loading.each(organizations, write)
        self._row("raw creation", creation, server=between - server)
        self._row("raw update", update, server=self._server_seconds() - between)
        self._edits_alone = await storm.alone(self._client, organizations)
        for namespace in dict.fromkeys(one.namespace for one in organizations):
            await loading.remove(self._client, paths.org_settings(namespace))
        await loading.remove(self._client, paths.config_maps("raw-0"))
        return creation, update

    async def ours(self, raw_creation: float, raw_update: float) -> None:
        """Measure creation, a host change, a restart, the steady state, a storm of edits, and rotated Secrets."""
        await loading.prepare(self._client, self._organizations)
        async with self._measured("creation", raw_creation):
            await loading.create(self._client, self._organizations)
        async with self._measured("host change", raw_update):
            changed = population.host("Changed")
            await self._client.apply(paths.host_settings(names.HOST_NAME), changed, field_manager=loading.MANAGER)
        # The summary follows the organizations by up to ten seconds; it is no write of the restart's.
        await wait.until_async(
            self._is_summed_up, within_seconds=_SUMMARY_SECONDS, why="the host's summary", poll_seconds=0.5
        )
        self._note_memory()
        await self._restart()
        await self._steady()

    async def _restart(self) -> None:
        started, before = time.monotonic(), self._writes()
        self._operator.restart()
        await self._operator.settled(at_least=self._count, outcome="unchanged")
        seconds = time.monotonic() - started
        note = f"{self._writes() - before} API writes"
        self._row("restart", seconds, ours=self._operator.cpu_seconds(), note=note)

    async def _steady(self) -> None:
        # The steady state is a claim about a span of time, so that this bench has to let one pass.
        before, cpu = self._writes(), self._operator.cpu_seconds()
        await asyncio.sleep(_STEADY_SECONDS)
        used = (self._operator.cpu_seconds() - cpu) / _STEADY_SECONDS
        writes = self._writes() - before
        self.report.state(
            f"steady state: {writes} API writes but the Lease's in {_STEADY_SECONDS} s, {used:.1%} of a core"
        )

    async def storm(self, single: kube_client.Client) -> None:
        """Measure a storm of edits, and single edits elsewhere meanwhile."""
        before, cpu = self._operator.reconciled("written"), self._operator.cpu_seconds()
        found = await storm.run(self._client, single, self._organizations, system=_SYSTEM)
        ended = time.monotonic()
        await self._operator.settled(at_least=0, outcome="written")
        drained = time.monotonic() - ended
        written = self._operator.reconciled("written") - before - len(found.published)
        self.report.state(
            f"storm: {found.edits} edits of {found.stormed} organizations, {found.edits / found.seconds:.0f}/s for"
            f" {found.seconds:.0f} s ({self._edits_alone:.0f}/s with nobody beside them); written {written} times"
            f" ({max(0, 1 - written / found.edits):.0%} coalesced), the last"
            f" {drained:.1f} s after its end; {(self._operator.cpu_seconds() - cpu) * 1000 / found.edits:.2f} ms of CPU"
            " an edit"
        )
        for what, values in (("answered", found.answered), ("published", found.published)):
            p50, p99 = (report.percentile(values, share) * 1000 for share in (0.5, 0.99))
            self.report.state(
                f"a single edit elsewhere under it, sent to {what}: p50 {p50:.0f} ms, p99 {p99:.0f} ms of {len(values)}"
            )

    async def rotate(self) -> None:
        """Measure how soon rotated Secrets are seen, which the schedule of reads decides."""
        rotating = [one for one in self._organizations if one.rotates]
        before = {one: await self._secret_version(one) for one in rotating}
        started = time.monotonic()

        async def rotate(one: population.Organization) -> None:
            body = one.secret("second")
            await self._client.apply(paths.secrets(one.namespace, one.secret_name), body, field_manager=loading.MANAGER)

        await loading.each(rotating, rotate)
        seen: dict[population.Organization, float] = {}

        async def all_seen() -> bool:
            for one in rotating:
                if one not in seen and await self._secret_version(one) != before[one]:
                    seen[one] = time.monotonic() - started
            return len(seen) == len(rotating)

        await wait.until_async(all_seen, within_seconds=_ROTATION_SECONDS, why="rotations are seen", poll_seconds=2)
        self.report.state(f"rotation: {len(rotating)} Secrets, the last seen after {max(seen.values()):.0f} s")

    async def _secret_version(self, one: population.Organization) -> str:
        found = await self._client.get(paths.config_maps(_SYSTEM, names.effective_config_map(one.namespace, one.name)))
        version = re.search(r'"version":"([^"]+)"', found["data"][names.EFFECTIVE_KEY])
        assert version is not None
        return version[1]

    @contextlib.asynccontextmanager
    async def _measured(self, name: str, raw_seconds: float) -> AsyncIterator[None]:
        before = self._operator.reconciled("written")
        cpu, server, started = self._operator.cpu_seconds(), self._server_seconds(), time.monotonic()
        yield
        await self._operator.settled(at_least=before + self._count, outcome="written")
        seconds = time.monotonic() - started
        used = self._operator.cpu_seconds() - cpu
        self._row(name, seconds, raw_seconds=raw_seconds, ours=used, server=self._server_seconds() - server)

    def _row(self, name: str, seconds: float, **columns: Any) -> None:
        self.report.add(report.Row(name=name, organizations=self._count, seconds=seconds, **columns))

    def _note_memory(self) -> None:
        self.report.memory_mib = max(self.report.memory_mib, self._operator.peak_mib())

    def finish(self) -> None:
        """Note what is known at the end."""
        self._note_memory()

    def _server_seconds(self) -> float:
        return sum(self._cluster.cpu_seconds(name) for name in ("kube-apiserver", "etcd"))

    async def _is_summed_up(self) -> bool:
        found = await self._client.get(paths.host_settings(names.HOST_NAME))
        ready = sum(not one.is_broken for one in self._organizations)
        # The sample is an organization too.
        return bool(found["status"].get("summary", {}).get("ready") == ready + 1)

    def _writes(self) -> int:
        """Return how many writes of ours the API server has served, but for Leases, by its own count."""
        total = 0.0
        for line in self._cluster.metrics().splitlines():
            if line.startswith("apiserver_request_total{"):
                verb, resource = re.search(r'verb="(\w+)"', line), re.search(r'resource="(\w+)"', line)
                if verb and resource and verb[1] in {"APPLY", "PATCH", "POST", "PUT", "DELETE"}:
                    ours = {"configmaps", names.ORG_PLURAL, names.HOST_PLURAL, names.NOTIFICATION_PLURAL}
                    total += float(line.rpartition(" ")[2]) if resource[1] in ours else 0
        return int(total)


async def measure(count: int, *, rotate: bool) -> report.Report:
    """Measure one size on a control plane of its own."""
    print(f"\n{count} organizations\n{report.HEAD}", flush=True)
    with contextlib.ExitStack() as stack:
        folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mailtier-bench-")))
        control_plane = await asyncio.to_thread(stack.enter_context, cluster.LocalCluster(folder / "cluster"))
        control_plane.apply_crds(_ROOT / "crds")
        control_plane.kubectl("create", "namespace", _SYSTEM)
        connection = configuration.load(kubeconfig=control_plane.kubeconfig)
        async with (
            kube_client.Client(connection, limit=loading.CONNECTIONS) as client,
            kube_client.Client(connection) as single,
        ):
            await client.apply(
                paths.host_settings(names.HOST_NAME), population.host("Platform"), field_manager=loading.MANAGER
            )
            operator = stack.enter_context(
                operators.Operator(folder, control_plane.kubeconfig, namespace=_SYSTEM, log_level="INFO")
            )
            await operator.ready()
            sample = population.make(1, "sample")
            await loading.prepare(client, sample)
            await loading.create(client, sample)
            await operator.settled(at_least=1, outcome="written")
            operator.stop()
            bench = Bench(control_plane, client, operator, count)
            ceilings = await bench.raw()
            operator.start()
            await operator.ready()
            await bench.ours(*ceilings)
            await bench.storm(single)
            if rotate:
                await bench.rotate()
            bench.finish()
    return bench.report


async def run(sizes: list[int], *, rotate: bool) -> None:
    """Measure every size and print the tables."""
    reports = [await measure(count, rotate=rotate) for count in sizes]
    print(f"\n{os.cpu_count()} cores shared by etcd, kube-apiserver, the operator and this bench")
    for one in reports:
        print(f"\n{one}")
    if len(reports) > 1:
        print(f"\n{report.compare(reports[0], reports[-1])}")


def main() -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(prog="bench.operator", description=__doc__)
    parser.add_argument("organizations", type=int, nargs="*", default=_SIZES, help="sizes (default: 1000 10000)")
    parser.add_argument(
        "--no-rotation", action="store_true", help="leave out the rotated Secrets, which take a minute or two"
    )
    options = parser.parse_args()
    asyncio.run(run(list(options.organizations), rotate=not options.no_rotation))


if __name__ == "__main__":
    main()
