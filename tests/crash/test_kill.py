"""Acknowledged notifications survive SIGKILL at any moment, at full load (R4): `make test-crash`."""

import asyncio
import collections
import os
import pathlib
import random
import secrets

import pytest

from kit import cluster as cluster_kit
from kit import crashing, full_load, intake, sender, smtpd

_LONGEST_SECONDS = 2.0
"""Until a kill: of a sender that is up, and of one that starts, which takes about as long."""
_KILLED_STARTING = 0.2
"""Part of the kills."""


@pytest.mark.parametrize("backend", crashing.STORAGES)
@pytest.mark.parametrize("kills", [40, pytest.param(300, marks=pytest.mark.long)], ids=["short", "long"])
async def test_acknowledged_notifications_survive_kills(
    cluster: cluster_kit.LocalCluster, tmp_path: pathlib.Path, backend: str, kills: int
) -> None:
    """Killed again and again, it delivers all that it acknowledged, once or in doubt twice, and nothing else (R4).

    In a database it is the database as well that is killed.
    """
    seed = int(os.environ.get("MAILTIER_TEST_SEED", secrets.randbelow(1_000_000)))
    print(f"\nseed {seed} (set MAILTIER_TEST_SEED to repeat it)")
    chance = random.Random(seed)  # noqa: S311 - Repeatable on purpose.
    system = f"mailtier-{secrets.token_hex(4)}"
    account = sender.install(cluster, system)
    with (
        crashing.STORAGES[backend](tmp_path) as storage,
        smtpd.Process(tmp_path / "relay", script=full_load.SLOW_DOT, transcript=False) as relay,
        smtpd.Process(tmp_path / "own", script=full_load.SLOW_DOT, transcript=False) as own,
        sender.Sender(
            tmp_path / "sender",
            kubeconfig=account,
            namespace=system,
            # As many delays as kills: a message that was in doubt at each of them is resent, and not given up.
            arguments=[*full_load.ROOMY, *full_load.patient(kills), *storage.arguments()],
        ) as running,
    ):
        organizations = full_load.publish(cluster, system, relay=relay, own=own)
        async with intake.Client(running.url, running.tls) as client:
            load = full_load.FullLoad(organizations=organizations, clients=[client], servers=[relay, own])
            async with load.running():
                killed = await _kill(running, storage, kills=kills, chance=chance)
            await asyncio.to_thread(running.wait_ready)
            await load.until_accepted()
        arrived = full_load.ArrivedMail.at(relay, own)
        running.stop()
        assert await asyncio.to_thread(storage.violations) == []
    print(
        f"{backend}: {kills} kills ({', '.join(f'{count} of {of}' for of, count in killed.items())}),"
        f" {arrived.told(load)}"
    )
    arrived.require_all_of(load)
    # A kill ends the connections that are open, each of which has one message in doubt.
    arrived.require_doubts_at_ends(within_seconds=storage.doubt_seconds)


async def _kill(
    running: sender.Sender, storage: crashing.KillableStorage, *, kills: int, chance: random.Random
) -> collections.Counter[str]:
    """Kill at random moments what runs; return how often what was killed."""
    killed = collections.Counter[str]()
    for _ in range(kills):
        if chance.random() > _KILLED_STARTING:
            await asyncio.to_thread(running.wait_ready)
        await asyncio.sleep(chance.uniform(0, _LONGEST_SECONDS))
        victim = storage.kill if chance.random() < storage.kills else running.kill_any
        killed[await asyncio.to_thread(victim, chance)] += 1
        if not running.child.running:
            # It found no database at its start, and its container would start again.
            await asyncio.to_thread(running.start, wait_ready=False)
    return killed
