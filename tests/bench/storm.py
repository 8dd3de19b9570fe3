"""A storm of edits in some namespaces, and how soon a single edit elsewhere is published meanwhile."""

import asyncio
import contextlib
import dataclasses
import itertools
import time
from typing import Any

from kit import loading, population
from mailtier.api import names
from mailtier.kube import client as kube_client
from mailtier.kube import paths, reflector

SECONDS = 30.0
_ALONE_SECONDS = 10.0
_EDITORS = 8
"""Enough to keep an API server on two cores busy; more of them only wait longer for each answer."""

_SHARE_OF_NAMESPACES = 5
_PAUSE_SECONDS = 0.1
_PUBLISHED_SECONDS = 60.0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class StormResult:
    """What a storm came to.

    Attributes:
        edits: How many the storm made.
        stormed: Of how many organizations.
        seconds: How long it lasted.
        answered: Seconds of single edits elsewhere, from sending one to the API server's answer.
        published: The same to seeing its effective ConfigMap, which is one write of the operator's more.
    """

    edits: int
    stormed: int
    seconds: float
    answered: list[float]
    published: list[float]


class Published:
    """Shows when an effective ConfigMap has a display name."""

    def __init__(self, client: kube_client.Client, namespace: str) -> None:
        self._waiting: dict[str, tuple[str, asyncio.Future[None]]] = {}
        self._watch = reflector.Reflector(
            client,
            paths.config_maps(namespace),
            labels=names.PUBLISHED_SELECTOR,
            on_change=self._see,
            strip=lambda found: {"name": found["data"].get("from.displayName")},
            jitter=lambda: 0.5,
        )

    @contextlib.asynccontextmanager
    async def watching(self) -> Any:
        """Watch for the length of the context."""
        task = asyncio.create_task(self._watch.run())
        try:
            await self._watch.synced.wait()
            yield self
        finally:
            task.cancel()
            await asyncio.wait({task})

    def expect(self, one: population.Organization, display_name: str) -> asyncio.Future[None]:
        """Return what is done when it is published."""
        future = asyncio.get_running_loop().create_future()
        self._waiting[names.effective_config_map(one.namespace, one.name)] = (display_name, future)
        return future

    def _see(self, name: str, found: dict[str, Any] | None) -> None:
        wanted, future = self._waiting.get(name, ("", None))
        if future is not None and found is not None and found["name"] == wanted and not future.done():
            future.set_result(None)
            del self._waiting[name]


async def run(
    client: kube_client.Client,
    single: kube_client.Client,
    organizations: list[population.Organization],
    *,
    system: str,
) -> StormResult:
    """Edit as fast as the API server takes it, and measure single edits elsewhere.

    Args:
        client: For the storm.
        single: For the single edits and their watch, so that they wait for no connection of the storm's.
        organizations: Those of the first namespaces are stormed.
        system: The operator's namespace.
    """
    border = len(organizations) // _SHARE_OF_NAMESPACES
    stormed = [one for one in organizations[:border] if not one.is_broken]
    others = [one for one in organizations[border:] if one.is_plain]
    ends = time.monotonic() + SECONDS

    answered: list[float] = []
    seen_after: list[float] = []

    async def elsewhere(published: Published) -> None:
        for number, one in enumerate(itertools.cycle(others)):
            if time.monotonic() >= ends:
                return
            display_name = f"single {number}"
            seen = published.expect(one, display_name)
            started = time.monotonic()
            await _edit(single, one, display_name)
            answered.append(time.monotonic() - started)
            async with asyncio.timeout(_PUBLISHED_SECONDS):
                await seen
            seen_after.append(time.monotonic() - started)
            await asyncio.sleep(_PAUSE_SECONDS)

    async with Published(single, system).watching() as published:
        measured = asyncio.create_task(elsewhere(published))
        edits, seconds = await _storm(client, stormed, SECONDS)
        await measured
    return StormResult(edits=edits, stormed=len(stormed), seconds=seconds, answered=answered, published=seen_after)


async def alone(client: kube_client.Client, organizations: list[population.Organization]) -> float:
    """Return how many such edits a second the API server takes while nobody watches or writes beside them."""
    edits, seconds = await _storm(client, [one for one in organizations if not one.is_broken], _ALONE_SECONDS)
    return edits / seconds


async def _storm(
    client: kube_client.Client, stormed: list[population.Organization], duration_seconds: float
) -> tuple[int, float]:
    """Edit as fast as it goes; return how many edits that made, and the seconds."""
    targets, edits, started = itertools.cycle(stormed), 0, time.monotonic()

    async def editor() -> None:
        nonlocal edits
        while time.monotonic() < started + duration_seconds:
            edits += 1
            await _edit(client, next(targets), f"storm {edits}")

    await asyncio.gather(*(editor() for _ in range(_EDITORS)))
    return edits, time.monotonic() - started


async def _edit(client: kube_client.Client, one: population.Organization, display_name: str) -> None:
    path = paths.org_settings(one.namespace, one.name)
    await client.apply(path, one.edit(display_name), field_manager=loading.MANAGER)
