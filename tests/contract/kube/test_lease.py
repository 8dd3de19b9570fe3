"""Leader election between contenders on a real apiserver."""

import asyncio
import collections.abc
import contextlib
import datetime as dt

import pytest

from kit import cluster as cluster_kit
from kit import wait
from mailtier.kube import client, lease, paths

_WITHIN_SECONDS = 30
# Long enough that the release, not the expiry, is what a standby wins by.
_LONG = lease.Timing(duration_seconds=60, renew_deadline_seconds=40, retry_seconds=0.1)
_SHORT = lease.Timing(duration_seconds=2, renew_deadline_seconds=1, retry_seconds=0.1)


def contender(api: client.Client, namespace: str, identity: str, timing: lease.Timing) -> lease.Lease:
    """Return a contender for the namespace's Lease."""
    return lease.Lease(
        api,
        namespace=namespace,
        name="leader",
        identity=identity,
        timing=timing,
        now=lambda: dt.datetime.now(dt.UTC),
        jitter=lambda: 0.0,
    )


@contextlib.asynccontextmanager
async def running(contending: lease.Lease) -> collections.abc.AsyncIterator[asyncio.Task[None]]:
    """Run a contender that leads until it is cancelled."""
    forever = asyncio.Event()

    async def lead() -> None:
        await forever.wait()

    task = asyncio.create_task(contending.run(lead))
    try:
        yield task
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError, lease.LeaseLostError):
            await task


async def until_leading(contending: lease.Lease) -> None:
    """Return once the contender leads."""
    await wait.until_async(lambda: contending.leading, within_seconds=_WITHIN_SECONDS, why="the contender leads")


async def test_standby_takes_over_at_once_after_a_release(api: client.Client, namespace: str) -> None:
    """Who is stopped gives the Lease up, so that the other need not wait for its end."""
    first, second = (contender(api, namespace, identity, _LONG) for identity in ("first", "second"))
    async with running(first) as leader:
        await until_leading(first)
        async with running(second):
            await wait.until_async(
                lambda: second.holder == "first", within_seconds=_WITHIN_SECONDS, why="the standby sees the leader"
            )
            assert not second.leading
            leader.cancel()
            await until_leading(second)
            assert not first.leading
            spec = (await api.get(paths.leases(namespace, "leader")))["spec"]
            assert (spec["holderIdentity"], spec["leaseTransitions"]) == ("second", 1)


async def test_standby_takes_over_from_the_dead(api: client.Client, namespace: str) -> None:
    """A leader that is silent for the Lease's duration is followed by a standby."""
    first, second = (contender(api, namespace, identity, _SHORT) for identity in ("first", "second"))
    await first.acquire()
    async with running(second):
        await until_leading(second)
    assert not first.leading


async def test_work_that_ends_releases_the_lease(api: client.Client, namespace: str) -> None:
    """When the leader's work is done, `run` returns and nobody holds the Lease."""

    async def lead() -> None:
        return

    await contender(api, namespace, "first", _LONG).run(lead)
    assert (await api.get(paths.leases(namespace, "leader")))["spec"]["holderIdentity"] == ""


async def test_failing_work_is_reported_and_releases_the_lease(api: client.Client, namespace: str) -> None:
    """An exception of the leader's work comes out of `run`."""

    async def lead() -> None:
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        await contender(api, namespace, "first", _LONG).run(lead)
    assert (await api.get(paths.leases(namespace, "leader")))["spec"]["holderIdentity"] == ""


async def edit(api: client.Client, namespace: str, **groups: dict[str, object]) -> None:
    """Change fields of the Lease, as somebody else."""
    head = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease"}
    body = {**head, **groups, "metadata": {"name": "leader", **groups.get("metadata", {})}}
    await api.apply(paths.leases(namespace, "leader"), body, field_manager="somebody")


async def test_stolen_lease_ends_the_leader(api: client.Client, namespace: str) -> None:
    """A leader that finds another name in the Lease stops its work and raises."""
    first = contender(api, namespace, "first", _LONG)
    async with running(first) as leader:
        await until_leading(first)
        await edit(api, namespace, spec={"holderIdentity": "thief"})
        with pytest.raises(lease.LeaseLostError):
            async with asyncio.timeout(_WITHIN_SECONDS):
                await leader
    assert not first.leading


async def test_leader_gives_up_when_the_apiserver_is_away(
    mortal_api: client.Client, mortal_cluster: cluster_kit.LocalCluster, mortal_namespace: str
) -> None:
    """Without a renewal within the deadline the leader stops, before a standby may begin."""
    first = contender(mortal_api, mortal_namespace, "first", _SHORT)
    async with running(first) as leader:
        await until_leading(first)
        await asyncio.to_thread(mortal_cluster.stop_apiserver)
        try:
            with pytest.raises(lease.LeaseLostError):
                async with asyncio.timeout(_WITHIN_SECONDS):
                    await leader
        finally:
            await asyncio.to_thread(mortal_cluster.start_apiserver)


async def test_leader_survives_a_short_outage(
    mortal_api: client.Client, mortal_cluster: cluster_kit.LocalCluster, mortal_namespace: str
) -> None:
    """A restart of the apiserver within the deadline changes nothing."""
    first = contender(mortal_api, mortal_namespace, "first", _LONG)
    async with running(first) as leader:
        await until_leading(first)
        await asyncio.to_thread(mortal_cluster.restart_apiserver)
        before = (await mortal_api.get(paths.leases(mortal_namespace, "leader")))["spec"]["renewTime"]

        async def renewed() -> bool:
            return bool((await mortal_api.get(paths.leases(mortal_namespace, "leader")))["spec"]["renewTime"] != before)

        await wait.until_async(renewed, within_seconds=_WITHIN_SECONDS, why="the Lease is renewed")
        assert first.leading
        assert not leader.done()


async def test_edited_lease_stays_with_its_holder(api: client.Client, namespace: str) -> None:
    """An annotation by somebody else makes one write conflict, and no change of leader."""
    first = contender(api, namespace, "first", _LONG)
    await first.acquire()
    await edit(api, namespace, metadata={"annotations": {"seen": "yes"}})
    assert not await first._try()
    assert await first._try()
    assert first.leading
