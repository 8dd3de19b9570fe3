"""A primary that is killed at full load, and its synchronous standby: nothing acknowledged is lost (R4)."""

import asyncio
import pathlib
import secrets
import time

import pytest

from kit import cluster as cluster_kit
from kit import full_load, intake, invariants, sender, smtpd, standby, wait

_TAKEN = 300


@pytest.mark.parametrize("late", [False, pytest.param(True, marks=pytest.mark.long)], ids=["soon", "late"])
async def test_a_failover_loses_nothing(
    cluster: cluster_kit.LocalCluster, tmp_path: pathlib.Path, *, late: bool
) -> None:
    """Nothing is acknowledged while there is no primary; the sender goes on by itself, and mails nothing twice (R4).

    Where the standby is promoted after the sender's lease, its delivery starts anew: what was under way may come again.
    """
    system = f"mailtier-{secrets.token_hex(4)}"
    account = sender.install(cluster, system)
    with (
        standby.running() as database,
        smtpd.Process(tmp_path / "relay", script=full_load.SLOW_DOT, transcript=False) as relay,
        smtpd.Process(tmp_path / "own", script=full_load.SLOW_DOT, transcript=False) as own,
    ):
        dsn_file = tmp_path / "dsn"
        dsn_file.write_text(database.both(), encoding="utf-8")
        arguments = [*full_load.ROOMY, *full_load.patient(10), f"--queue-dsn-file={dsn_file}", "--sender-name=sender-0"]
        with sender.Sender(tmp_path / "sender", kubeconfig=account, namespace=system, arguments=arguments) as running:
            organizations = full_load.publish(cluster, system, relay=relay, own=own)
            async with intake.Client(running.url, running.tls) as client:
                load = full_load.FullLoad(organizations=organizations, clients=[client], servers=[relay, own])
                async with load.running():
                    await load.until_acknowledged(_TAKEN)
                    delivery = running.pid_of("delivery")
                    await asyncio.to_thread(database.primary.kill)
                    killed_at = time.monotonic()
                    if late:
                        await wait.until_async(lambda: load.refusals[503], within_seconds=60, why="it says so")
                    promoted_at = time.monotonic()
                    await asyncio.to_thread(database.promote)
                    await load.until_acknowledged(_TAKEN)
                    went_on_at = time.monotonic()
                await asyncio.to_thread(running.wait_ready)
                await load.until_accepted()
            restarted = running.pid_of("delivery") != delivery
            arrived = full_load.ArrivedMail.at(relay, own)
            running.stop()
        assert await asyncio.to_thread(invariants.shared_violations, database.promoted()) == []
    between = [
        each for each in load.acknowledged.values() if each.begun_at > killed_at and each.answered_at < promoted_at
    ]
    print(
        f"\nfailover: promoted {promoted_at - killed_at:.1f} s after the kill, {_TAKEN} more acknowledged"
        f" {went_on_at - promoted_at:.1f} s later, refused with {dict(load.refusals)}, {arrived.told(load)};"
        f" delivery {'started anew' if restarted else 'went on'}"
    )
    assert not between, "acknowledged without a database"
    arrived.require_all_of(load)
    assert restarted == late
    if not late:
        assert arrived.duplicates == 0
