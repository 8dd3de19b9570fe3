"""What a status is made of, listed from a cluster, and kept up to date while somebody watches."""

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncGenerator, Callable
from typing import Any, Final

from mailtier.api import names
from mailtier.cli import terminal
from mailtier.cli.online import cluster, rows
from mailtier.kube import client, errors, paths

_PAUSE_SECONDS: Final = 2.0
_PODS_SECONDS: Final = 10.0
_GATHER_SECONDS: Final = 0.5
"""How long a first change waits for others: what changes together is drawn together."""

_Object = dict[str, Any]
_IMPLICIT_MODES: Final = {"All", "Selector"}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What is looked at.

    Attributes:
        namespace: "" for the whole cluster.
        operator_namespace: Mailtier's own.
    """

    namespace: str
    operator_namespace: str

    @property
    def organizations(self) -> str:
        """The path of the organizations' settings."""
        return paths.org_settings(self.namespace or None)

    @property
    def effective(self) -> str:
        """The label selector of the effective settings."""
        inside = f",{names.NAMESPACE_LABEL}={self.namespace}" if self.namespace else ""
        return (
            f"{names.MANAGED_BY_LABEL}={names.MANAGED_BY},{names.COMPONENT_LABEL}={names.EFFECTIVE_COMPONENT}{inside}"
        )


class Look:
    """The objects of a scope as the apiserver last told, without what is not shown.

    Args:
        api: The cluster.
        scope: What is looked at.
    """

    def __init__(self, api: client.Client, scope: Selection) -> None:
        self._api = api
        self._scope = scope
        self._organizations: dict[tuple[str, str], rows.Row] = {}
        self._implicit: dict[tuple[str, str], rows.Row] = {}
        self._host: rows.Row | None = None
        self._host_missing = False
        self._pods: list[rows.Pod] | None = None
        self._leader = ""
        self._has_implicit = False
        self._versions: dict[str, str] = {}
        self._news = asyncio.Event()

    @property
    def picture(self) -> rows.Picture:
        """What there is."""
        found = {**(self._implicit if self._has_implicit else {}), **self._organizations}
        return rows.Picture(
            host=self._host,
            host_missing=self._host_missing,
            organizations=[found[key] for key in sorted(found)],
            pods=self._pods,
            namespace=self._scope.namespace,
            leader=self._leader,
        )

    async def list_all(self) -> None:
        """Look at everything once.

        Raises:
            CommandError: The organizations may not be listed, there is no such namespace, or the cluster does not
                answer.
        """
        scope = self._scope
        where = f"in the namespace {scope.namespace}" if scope.namespace else "in all namespaces"
        hint = "" if scope.namespace else "look at one namespace with --namespace"
        missing = "the cluster does not have the kind; install Mailtier's CRDs"
        with cluster.explained(f"list {names.ORG_PLURAL}.{names.GROUP} {where}", hint=hint, missing=missing):
            await self._relist(scope.organizations, self._take_organization, self._organizations.clear)
        # What else there is to see is left out where it may not be seen: a tenant has no business with it.
        with cluster.explained("look at the cluster"):
            with contextlib.suppress(errors.ForbiddenError):
                await self._list_host()
            if self._has_implicit:
                with contextlib.suppress(errors.ForbiddenError):
                    await self._list_implicit()
            with contextlib.suppress(errors.ForbiddenError):
                await self._list_pods()
        if scope.namespace and not self.picture.organizations:
            await cluster.require_namespace(self._api, self._scope.namespace)

    async def changes(self) -> AsyncGenerator[None, None]:
        """Yield after each change of the picture, several that come together as one, until closed."""
        parts = (
            self._follow(self._scope.organizations, self._take_organization, self._organizations.clear),
            self._follow_host(),
            self._follow_implicit(),
            self._follow_pods(),
        )
        tasks = [asyncio.create_task(part) for part in parts]
        try:
            while True:
                await self._news.wait()
                await asyncio.sleep(_GATHER_SECONDS)
                self._news.clear()
                yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _list_host(self) -> None:
        await self._relist(paths.host_settings(), self._take_host, self._forget_host)
        self._host_missing = self._host is None

    async def _list_implicit(self) -> None:
        path = paths.config_maps(self._scope.operator_namespace)
        await self._relist(path, self._take_implicit, self._implicit.clear, labels=self._scope.effective)

    async def _list_pods(self) -> None:
        found = await self._api.list(paths.pods(self._scope.operator_namespace), labels=cluster.POD_LABELS)
        pods = [rows.Pod.of(pod) for pod in sorted(found.items, key=lambda pod: pod["metadata"]["name"])]
        leader = "" if pods else await self._find_leader()
        if (pods, leader) != (self._pods, self._leader):
            self._pods, self._leader = pods, leader
            self._news.set()

    async def _find_leader(self) -> str:
        """Return who holds the operator's Lease; "" where nobody does, or nobody may say so."""
        try:
            lease = await self._api.get(paths.leases(self._scope.operator_namespace, names.LEASE_NAME))
        except (errors.NotFoundError, errors.ForbiddenError):
            return ""
        return rows.leader(lease, terminal.now())

    async def _relist(
        self,
        path: str,
        take: Callable[[str, _Object], None],
        forget_all: Callable[[], None],
        *,
        labels: str = "",
    ) -> None:
        """List a collection page by page, of which only the rows are kept."""
        forget_all()
        async with contextlib.aclosing(self._api.pages(path, labels=labels)) as pages:
            async for page in pages:
                self._versions[path] = page.resource_version
                for found in page.items:
                    take("ADDED", found)
        self._news.set()

    async def _follow(
        self,
        path: str,
        take: Callable[[str, _Object], None],
        forget_all: Callable[[], None],
        *,
        labels: str = "",
    ) -> None:
        """Keep a collection that was listed, through outages."""
        stale = path not in self._versions
        while True:
            try:
                if stale:
                    await self._relist(path, take, forget_all, labels=labels)
                    stale = False
                watch = self._api.watch(path, resource_version=self._versions[path], labels=labels)
                async with contextlib.aclosing(watch) as events:
                    async for event in events:
                        self._versions[path] = event.object["metadata"]["resourceVersion"]
                        if event.type != "BOOKMARK":
                            take(event.type, event.object)
                            self._news.set()
            except errors.ForbiddenError:
                # Not visible; a right that is granted meanwhile is seen by the next command.
                return
            except errors.ApiError:
                stale = True
                await asyncio.sleep(_PAUSE_SECONDS)

    async def _follow_host(self) -> None:
        await self._follow(paths.host_settings(), self._take_host, self._forget_host)

    async def _follow_implicit(self) -> None:
        if self._has_implicit:
            path = paths.config_maps(self._scope.operator_namespace)
            await self._follow(path, self._take_implicit, self._implicit.clear, labels=self._scope.effective)

    async def _follow_pods(self) -> None:
        while self._pods is not None:
            await asyncio.sleep(_PODS_SECONDS)
            with contextlib.suppress(errors.ApiError):
                await self._list_pods()

    def _take_organization(self, kind: str, found: _Object) -> None:
        key = (found["metadata"]["namespace"], found["metadata"]["name"])
        if kind == "DELETED":
            self._organizations.pop(key, None)
        else:
            self._organizations[key] = rows.Row.of(found)

    def _take_host(self, kind: str, found: _Object) -> None:
        if kind == "DELETED":
            self._forget_host()
            self._host_missing = True
            return
        mode = ((found["spec"].get("policy") or {}).get("organizations") or {}).get("mode")
        self._host, self._host_missing = rows.Row.of(found), False
        self._has_implicit = mode in _IMPLICIT_MODES

    def _forget_host(self) -> None:
        self._host = None

    def _take_implicit(self, kind: str, found: _Object) -> None:
        row = rows.Row.of_config_map(found)
        if row is not None:
            key = (row.namespace, row.name)
            if kind == "DELETED":
                self._implicit.pop(key, None)
            else:
                self._implicit[key] = row
