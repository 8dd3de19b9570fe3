"""What the whole way is measured on: an API server, organizations with their settings, and a sender as a process."""

import asyncio
import collections.abc
import contextlib
import dataclasses
import pathlib
import re
import time
import typing

from kit import cluster as cluster_kit
from kit import loading, ports, processes, sender, tenants, wait
from mailtier.api import names
from mailtier.kube import client as kube_client
from mailtier.kube import configuration, paths

CONNECTIONS = 10
"""To the SMTP server, the most."""

_SYSTEM = "mailtier-system"
_APPLICATION = "application"
_RBAC = "/apis/rbac.authorization.k8s.io/v1"
_LIMITS = (
    "--quota-messages=10000000",
    "--quota-bytes=10000000000",
    "--quota-stored-bytes=10000000000",
    "--full-at=1.0",
)
"""No quota is in the way of one application that sends for a whole installation."""

_KNOWN_SECONDS = 60
_FINISHED_SECONDS = 150
_LONGEST_PAUSE_SECONDS = 2.0
_SETTINGS = re.compile(r'^mailtier_settings(?:\{part="delivery"\})? (\S+)$', re.MULTILINE)
_ACCEPTED = re.compile(r'^mailtier_recipients_finished_total\{[^}]*state="accepted"[^}]*\} (\S+)$', re.MULTILINE)
_FINISHED = re.compile(r"^mailtier_recipients_finished_total\{[^}]*\} (\S+)$", re.MULTILINE)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Used:
    """CPU seconds that a sender has used, by process, the oldest first, and what they had resident at most."""

    cpu_seconds: tuple[float, ...]
    peak_mib: float


class Ground:
    """An API server with organizations whose mail goes to one port of loopback; at work while its context is entered.

    Args:
        folder: Where everything is written.
        servers: At how many addresses of loopback the port is a server's, for organizations in turn.
    """

    def __init__(self, folder: pathlib.Path, *, servers: int = 1) -> None:
        self.folder = folder
        self.hosts = [f"127.0.0.{number}" for number in range(1, 1 + servers)]
        self.port = ports.free()
        self.organizations: list[tenants.Tenant] = []
        self._senders = 0
        self._stack = contextlib.ExitStack()
        self._cluster: cluster_kit.LocalCluster
        self._account: pathlib.Path

    def __enter__(self) -> typing.Self:
        with contextlib.ExitStack() as stack:
            self._cluster = stack.enter_context(cluster_kit.LocalCluster(self.folder / "cluster"))
            self._account = sender.install(self._cluster, _SYSTEM)
            rights = ["--verb=create", f"--resource={names.NOTIFICATION_PLURAL}.{names.GROUP}"]
            self._cluster.apply_crds(pathlib.Path(__file__).parents[3] / "crds")
            self._cluster.kubectl("create", "clusterrole", _APPLICATION, *rights)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()

    def grow(self, count: int) -> None:
        """Have so many organizations, each with a namespace, an application and a token of its own."""
        asyncio.run(self._grow(range(len(self.organizations), count)))

    async def _grow(self, numbers: collections.abc.Iterable[int]) -> None:
        connection = configuration.load(kubeconfig=self._cluster.kubeconfig)
        async with kube_client.Client(connection, limit=loading.CONNECTIONS) as client:

            async def make(number: int) -> None:
                self.organizations.append(await self._make(client, f"team-{number}"))

            await loading.each(numbers, make)

    async def _make(self, client: kube_client.Client, namespace: str) -> tenants.Tenant:
        created = await client.create(paths.namespaces(), {"metadata": {"name": namespace}})
        metadata = {"name": _APPLICATION, "namespace": namespace}
        await client.create(f"{paths.namespaces(namespace)}/serviceaccounts", {"metadata": metadata})
        binding = {
            "metadata": metadata,
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": _APPLICATION},
            "subjects": [{"kind": "ServiceAccount", **metadata}],
        }
        await client.create(f"{_RBAC}/namespaces/{namespace}/rolebindings", binding)
        request = {"spec": {"audiences": [names.TOKEN_AUDIENCE], "expirationSeconds": 3600}}
        token = await client.create(paths.service_account_token(namespace, _APPLICATION), request)
        tenant = tenants.Tenant(namespace=namespace, uid=created["metadata"]["uid"], token=token["status"]["token"])
        published = tenants.settings(tenant, port=self.port, max_connections=CONNECTIONS)
        assert published.endpoint is not None
        host = self.hosts[int(namespace.rpartition("-")[2]) % len(self.hosts)]
        published = dataclasses.replace(published, endpoint=dataclasses.replace(published.endpoint, host=host))
        if len(self.hosts) > 1:
            # The host's server has one owner among senders, and so would all of them.
            published = tenants.owned(published)
        document = tenants.config_map(published)
        where = paths.config_maps(_SYSTEM, document["metadata"]["name"])
        await client.apply(where, document, field_manager=names.FIELD_MANAGER)
        return tenant

    @contextlib.contextmanager
    def sender(self, *arguments: str) -> collections.abc.Iterator["Measured"]:
        """Give a sender on a fresh volume, which knows every organization; arguments are further ones of its own."""
        count = len(self.organizations)
        self._senders += 1
        running = sender.Sender(
            self.folder / f"sender-{self._senders}",
            kubeconfig=self._account,
            namespace=_SYSTEM,
            arguments=[*_LIMITS, *arguments],
        )
        with running:
            measured = Measured(running)
            wait.until(lambda: measured.settings() == count, within_seconds=_KNOWN_SECONDS, why=f"{count} are known")
            yield measured


class Measured:
    """A running sender, and what it and the kernel tell of it."""

    def __init__(self, running: sender.Sender) -> None:
        self.running = running

    def settings(self) -> int:
        """Return how many organizations it knows."""
        return int(_sum(_SETTINGS, self._metrics()))

    def accepted(self) -> int:
        """Return of how many recipients it has recorded that the server took their message.

        Raises:
            RuntimeError: Others ended otherwise.
        """
        text = self._metrics()
        accepted, finished = _sum(_ACCEPTED, text), _sum(_FINISHED, text)
        if accepted != finished:
            raise RuntimeError(f"{finished - accepted:.0f} recipients ended otherwise; see {self.running.log}")
        return int(accepted)

    def until_accepted(self, count: int) -> None:
        """Return when so many recipients are recorded as accepted; see `until_accepted`."""
        until_accepted([self], count)

    def used(self) -> Used:
        """Return what its processes have used so far."""
        family = processes.family(self.running.child.pid)
        return Used(
            cpu_seconds=tuple(map(processes.cpu_seconds, family)), peak_mib=sum(map(processes.peak_mib, family))
        )

    def _metrics(self) -> str:
        status, text = self.running.get("/metrics")
        return text if status == 200 else ""


def until_accepted(measured: collections.abc.Sequence[Measured], count: int) -> None:
    """Return when senders have recorded so many recipients as accepted, at most a tenth of a second later.

    It asks seldom while much is left: an answer costs a sender as much as some messages do.
    """
    started = asked_at = time.monotonic()
    first, pause = sum(each.accepted() for each in measured), 0.0

    def look() -> bool:
        nonlocal asked_at, pause
        now = time.monotonic()
        if now < asked_at + pause:
            return False
        seen, asked_at = sum(each.accepted() for each in measured), now
        left_seconds = (count - seen) * (now - started) / max(1, seen - first)
        pause = min(left_seconds / 2, _LONGEST_PAUSE_SECONDS)
        return seen >= count

    wait.until(look, within_seconds=_FINISHED_SECONDS, why=f"{count} are recorded", poll_seconds=0.1)


def _sum(pattern: re.Pattern[str], text: str) -> float:
    return sum(float(found) for found in pattern.findall(text))
