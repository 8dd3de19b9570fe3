"""A leader goes while ten thousand organizations are being changed, and the standby catches up."""

import asyncio
import collections.abc
import pathlib
import time

import pytest

from kit import operators, population, stages, wait
from mailtier.api import names
from mailtier.kube import errors, lease, paths

_CATCH_UP_SECONDS = 10.0
"""What a standby may take beyond the Lease until it has seen what happened meanwhile."""

_LEASE_SECONDS = {"killed": lease.Timing().duration_seconds, "ended": 2.0}
"""A leader that is asked to end gives its Lease up, and others try for it every two seconds."""


@pytest.mark.parametrize("count", [500, pytest.param(10_000, marks=pytest.mark.long)])
@pytest.mark.parametrize("how", ["killed", "ended"])
async def test_a_standby_catches_up(tmp_path: pathlib.Path, how: str, count: int) -> None:
    """An edit that nobody led for is published within ten seconds and the Lease, before the backlog (R8)."""
    async with stages.running(tmp_path, count) as stage:
        await stages.Script(stage).run()
        await wait.until_async(
            stage.operator.is_idle, within_seconds=stage.patience_seconds, why="the leader is idle", poll_seconds=0.5
        )
        standby = operators.Operator(tmp_path, stage.cluster.kubeconfig, namespace=stages.SYSTEM, identity="standby")
        await asyncio.to_thread(standby.start)
        try:
            await standby.ready()
            # In the middle of a fan-out, of which the standby has to do the rest.
            await stages.Script(stage).host(population.host("Again"))
            leaving = stage.operator.kill if how == "killed" else stage.operator.stop
            started = time.monotonic()
            await asyncio.to_thread(leaving)
            edited = next(
                one for one in reversed(stage.organizations) if one.is_plain and one.number % 20 not in {3, 4}
            )
            await stages.Script(stage).rename(edited)
            allowed = _LEASE_SECONDS[how] + _CATCH_UP_SECONDS
            name = names.effective_config_map(edited.namespace, edited.name)
            await _until(
                lambda: _has(stage, name, "from.displayName", f"Renamed {edited.number}"),
                within=allowed,
                why="the edit",
            )
            caught_up = time.monotonic() - started
            reply_to = population.host("Again")["spec"]["from"]["replyTo"]
            others = [one for one in stage.organizations if one.is_plain and one.number % 20 != 3]
            for one in others:
                published = names.effective_config_map(one.namespace, one.name)
                await _until(
                    lambda name=published: _has(stage, name, "from.replyTo", reply_to),
                    within=stage.patience_seconds,
                    why="the rest of the fan-out",
                )
            everything = time.monotonic() - started
        finally:
            await asyncio.to_thread(standby.stop)
    print(
        f"\nleader {how} at {count} organizations: the edit published after {caught_up:.1f} s (the Lease's"
        f" {_LEASE_SECONDS[how]:.0f} s included), the fan-out finished after {everything:.1f} s"
    )


async def _has(stage: stages.Stage, name: str, key: str, value: str) -> bool:
    try:
        found = await stage.client.get(paths.config_maps(stages.SYSTEM, name))
    except errors.ApiError:
        return False
    return bool(found["data"].get(key) == value)


async def _until(
    predicate: collections.abc.Callable[[], collections.abc.Awaitable[bool]], *, within: float, why: str
) -> None:
    await wait.until_async(predicate, within_seconds=within, why=f"{why} is published", poll_seconds=0.2)
