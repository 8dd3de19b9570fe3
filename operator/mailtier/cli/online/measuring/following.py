"""Looking again and again at what is under way."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable

from mailtier.cli import failures
from mailtier.cli.online import cluster, looking
from mailtier.cli.online.measuring import activity, pages
from mailtier.kube import client, paths


async def activities(
    api: client.Client, *, namespace: str, seconds: float, monotonic: Callable[[], float]
) -> AsyncGenerator[activity.Activity, None]:
    """Yield what is under way, the first time without rates, until closed.

    Args:
        api: The cluster.
        namespace: Mailtier's.
        seconds: From one look to the next.
        monotonic: Returns seconds of a clock that never steps.

    Raises:
        CommandError: There is nobody to ask, or the caller may not.
    """
    seen = looking.Look(api, looking.Selection(namespace="", operator_namespace=namespace))
    await seen.list_all()
    keeping = asyncio.create_task(_keep(seen))
    try:
        before: activity.Sight | None = None
        while True:
            now = await _look(api, namespace, monotonic)
            yield activity.between(before, now, seen.picture)
            before = now
            await asyncio.sleep(max(now.seconds + seconds - monotonic(), 0.0))
    finally:
        keeping.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await keeping


async def _look(api: client.Client, namespace: str, monotonic: Callable[[], float]) -> activity.Sight:
    with cluster.explained(f"list pods in the namespace {namespace}"):
        pods = await api.list(paths.pods(namespace), labels=cluster.POD_LABELS)
    if not pods.items:
        raise failures.CommandError(
            f"there is no pod of Mailtier in the namespace {namespace}; name its namespace with --operator-namespace"
        )
    seconds = monotonic()
    answered = await pages.read_all(api, pods.items, parts=("sender",))
    if all(page.is_forbidden for page in answered):
        raise failures.CommandError(
            f"you may not get pods/portforward in the namespace {namespace}: have that right granted"
        )
    return activity.Sight(seconds=seconds, pages=answered)


async def _keep(seen: looking.Look) -> None:
    """Keep up with the organizations."""
    async with contextlib.aclosing(seen.changes()) as changes:
        async for _ in changes:
            pass
