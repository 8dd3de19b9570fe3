"""One organization as it is in a cluster: its two tiers and its namespace, and what the operator wrote in status."""

import dataclasses
import pathlib
from collections.abc import Mapping
from typing import Any, Final

from mailtier.api import names
from mailtier.cli.offline.files import loading, sources, world
from mailtier.cli.online import cluster
from mailtier.kube import client as kube_client
from mailtier.kube import errors, paths
from mailtier.settings import effective

_WHERE: Final = loading.DocumentText(file="the cluster", text="", line=1)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """What the cluster holds.

    Attributes:
        objects: Host, organization and namespace, as far as they may be read.
        sees_host: Whether the host's settings may be read.
        status: Of the object that is explained; {} where it has none.
    """

    objects: world.World
    sees_host: bool
    status: Mapping[str, Any]


async def read(key: effective.OrganizationKey | None, *, context: str, kubeconfig: pathlib.Path | None) -> Live:
    """Return an organization, or with None the host.

    Raises:
        CommandError: The cluster cannot be reached, or says no.
    """
    async with cluster.connect(context=context, kubeconfig=kubeconfig) as api:
        host, sees_host = await _host(api, is_needed=key is None)
        documents = [] if host is None else [host]
        if key is None:
            return Live(objects=_world(documents), sees_host=True, status=_status(host))
        documents += await _namespace(api, key.namespace)
        # All of the namespace: whether it holds any object decides whether it is an organization without one.
        with cluster.explained(f"list {names.ORG_PLURAL}.{names.GROUP} in namespace {key.namespace}"):
            listed = await api.list(paths.org_settings(key.namespace))
    organizations = [{"apiVersion": names.API_VERSION, "kind": names.ORG_KIND, **item} for item in listed.items]
    own = next((item for item in organizations if item["metadata"]["name"] == key.name), None)
    return Live(objects=_world([*documents, *organizations]), sees_host=sees_host, status=_status(own))


async def _host(api: kube_client.Client, *, is_needed: bool) -> tuple[dict[str, Any] | None, bool]:
    """Return the host's settings, and whether they may be read."""
    path = paths.host_settings(names.HOST_NAME)
    with cluster.explained(f"get {names.HOST_PLURAL}.{names.GROUP} {names.HOST_NAME}"):
        try:
            return await api.get(path), True
        except errors.NotFoundError:
            return None, True
        except errors.ForbiddenError:
            if is_needed:
                raise
            return None, False


async def _namespace(api: kube_client.Client, name: str) -> list[dict[str, Any]]:
    """Return a namespace, or nothing where it may not be read: its labels are taken to be right then."""
    with cluster.explained(f"get namespace {name}"):
        try:
            return [await api.get(paths.namespaces(name))]
        except errors.ForbiddenError:
            return []


def _status(document: Mapping[str, Any] | None) -> Mapping[str, Any]:
    return {} if document is None else document.get("status", {})


def _world(documents: list[dict[str, Any]]) -> world.World:
    found = tuple(sources.Document(body=_without_status(document), origin=_WHERE) for document in documents)
    return world.build(sources.Read(documents=found, unreadable=(), files=()))


def _without_status(document: dict[str, Any]) -> dict[str, Any]:
    """Return an object without its status, which an operator of another release may have written."""
    return {name: part for name, part in document.items() if name != "status"}
