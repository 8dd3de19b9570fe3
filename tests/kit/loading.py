"""Many organizations at once: made, written and removed over as many connections as a busy client has."""

import asyncio
import collections
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, TypeVar

from kit import population
from mailtier.kube import client as kube_client
from mailtier.kube import paths

CONNECTIONS = 32
MANAGER = "bench"

_Item = TypeVar("_Item")


async def each(
    items: Iterable[_Item], work: Callable[[_Item], Awaitable[None]], *, connections: int = CONNECTIONS
) -> float:
    """Work on all items over as many connections as the operator has by default; return the seconds it took."""
    waiting = collections.deque(items)
    started = time.monotonic()

    async def worker() -> None:
        while waiting:
            await work(waiting.popleft())

    await asyncio.gather(*(worker() for _ in range(connections)))
    return time.monotonic() - started


async def prepare(client: kube_client.Client, organizations: list[population.Organization]) -> None:
    """Create what the organizations need: namespaces and Secrets."""

    async def apply(document: dict[str, Any]) -> None:
        metadata = document["metadata"]
        name = metadata["name"]
        path = paths.namespaces(name) if document["kind"] == "Namespace" else paths.secrets(metadata["namespace"], name)
        await client.apply(path, document, field_manager=MANAGER)

    spaces = list(dict.fromkeys(one.namespace for one in organizations))
    await each([{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}} for name in spaces], apply)
    unbound = [population.secret(name, "unbound", "not-bound") for name in spaces]
    await each([*unbound, *(one.secret("first") for one in organizations if one.rotates)], apply)


async def create(client: kube_client.Client, organizations: list[population.Organization]) -> float:
    """Create the organizations' objects; return the seconds it took."""

    async def post(one: population.Organization) -> None:
        await client.create(paths.org_settings(one.namespace), one.body)

    return await each(organizations, post)


async def remove(client: kube_client.Client, path: str) -> None:
    """Delete every object of a collection."""
    listing = await client.list(path, metadata_only=True)

    async def delete(name: str) -> None:
        await client.delete(f"{path}/{name}")

    found = [item["metadata"]["name"] for item in listing.items]
    await each([name for name in found if name != "kube-root-ca.crt"], delete)
