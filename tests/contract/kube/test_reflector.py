"""The reflector's copy follows a real apiserver, also through its restarts."""

import asyncio
import collections.abc
import contextlib

from kit import cluster as cluster_kit
from kit import objects, wait
from mailtier.kube import client, paths, reflector

_WITHIN_SECONDS = 30


@contextlib.asynccontextmanager
async def running(
    api: client.Client, namespace: str, on_change: reflector.OnChange
) -> collections.abc.AsyncIterator[reflector.Reflector]:
    """Run a reflector of the test's ConfigMaps, which has the first listing."""
    made = reflector.Reflector(
        api,
        paths.config_maps(namespace),
        labels="test=yes",
        on_change=on_change,
        jitter=lambda: 0.5,
        backoff_seconds=0.05,
    )
    task = asyncio.create_task(made.run())
    try:
        async with asyncio.timeout(_WITHIN_SECONDS):
            await made.synced.wait()
        yield made
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def until_names(made: reflector.Reflector, *names: str) -> None:
    """Return once the copy holds these names."""
    await wait.until_async(
        lambda: sorted(made.objects) == sorted(names), within_seconds=_WITHIN_SECONDS, why=f"the copy is {names}"
    )


async def test_copy_follows_the_collection(api: client.Client, namespace: str) -> None:
    """The copy holds what the selector picks, without managedFields, and each change is told once."""
    told: list[tuple[str, bool]] = []
    path = paths.config_maps(namespace)
    await api.create(path, objects.config_map(namespace, "first", a="1"))
    async with running(api, namespace, lambda name, found: told.append((name, found is not None))) as made:
        assert list(made.objects) == ["first"]
        assert "managedFields" not in made.objects["first"]["metadata"]
        await api.create(path, objects.config_map(namespace, "second"))
        await until_names(made, "first", "second")
        await api.replace(paths.config_maps(namespace, "first"), objects.config_map(namespace, "first", a="2"))
        await wait.until_async(
            lambda: made.objects["first"]["data"] == {"a": "2"}, within_seconds=_WITHIN_SECONDS, why="a change arrives"
        )
        # What loses its label leaves the selection, as if it were deleted.
        unlabelled = objects.config_map(namespace, "second")
        del unlabelled["metadata"]["labels"]
        await api.replace(paths.config_maps(namespace, "second"), unlabelled)
        await until_names(made, "first")
    assert told == [("first", True), ("second", True), ("first", True), ("second", False)]


async def test_copy_is_right_again_after_a_restart(
    mortal_api: client.Client, mortal_cluster: cluster_kit.LocalCluster, mortal_namespace: str
) -> None:
    """A restart of the apiserver is survived, and what changes afterwards arrives."""
    api, namespace = mortal_api, mortal_namespace
    path = paths.config_maps(namespace)
    await api.create(path, objects.config_map(namespace, "kept"))
    await api.create(path, objects.config_map(namespace, "deleted"))
    async with running(api, namespace, lambda _name, _found: None) as made:
        await asyncio.to_thread(mortal_cluster.restart_apiserver)
        await api.delete(paths.config_maps(namespace, "deleted"))
        await api.create(path, objects.config_map(namespace, "made"))
        await until_names(made, "kept", "made")
