"""Acknowledged notifications survive SIGKILL at any moment, at full load (R4): `make test-crash`."""

import asyncio
import collections
import collections.abc
import contextlib
import dataclasses
import itertools
import os
import pathlib
import random
import secrets

import aiohttp
import pytest

from kit import cluster as cluster_kit
from kit import intake, invariants, sender, smtpd, tenants, wait
from mailtier.api import vocabulary

_CONNECTIONS = 4
_DOT_SECONDS = 0.01
"""A server answers the final dot so late, to keep sessions busy when the kill comes."""

_CLIENTS = 24
_PAUSE_SECONDS = 0.1
_LONGEST_SECONDS = 2.0
"""Until a kill: of a sender that is up, and of one that starts, which takes about as long."""
_KILLED_STARTING = 0.2
"""Part of the kills."""
_DRAINED_SECONDS = 120

_Backend = collections.abc.Callable[[pathlib.Path], list[str]]
"""Returns the sender's arguments for a backend, given a folder for it."""

BACKENDS: dict[str, _Backend] = {"sqlite": lambda _: []}

_ROOMY = ("--full-at=1.0", "--quota-messages=1000000", f"--quota-bytes={10**10}", f"--quota-stored-bytes={10**10}")

_CATEGORIES = tuple(
    category for category in vocabulary.Category if category is not vocabulary.Category.PASSWORD_RECOVERY
)


@dataclasses.dataclass(slots=True, kw_only=True)
class _Load:
    """Notifications of several organizations, sent until they are acknowledged.

    Attributes:
        acknowledged: How many recipients each acknowledged id has.
        retries: Requests that were sent again because nobody answered.
        replayed: Of those, how many had been stored.
    """

    organizations: list[tuple[tenants.Tenant, str]]
    acknowledged: dict[str, tuple[tenants.Tenant, str, int]] = dataclasses.field(default_factory=dict)
    retries: int = 0
    replayed: int = 0

    async def send(self, client: intake.Client, number: int) -> None:
        """Send one notification until it is acknowledged."""
        tenant, organization = self.organizations[number % len(self.organizations)]
        recipients = [f"user-{number}-{index}@example.com" for index in range(1 + number % 2)]
        body = {
            "category": _CATEGORIES[number % len(_CATEGORIES)],
            "recipients": recipients,
            "text": f"Notification {number}.",
        }
        while True:
            with contextlib.suppress(aiohttp.ClientError, OSError, TimeoutError):
                answer = await client.post(tenant, body, organization=organization, key=f"key-{number}")
                if answer.status == 202:
                    self.replayed += "Idempotency-Replayed" in answer.headers
                    self.acknowledged[answer.document["id"]] = (tenant, organization, len(recipients))
                    return
                assert answer.status in {429, 503}, answer
            self.retries += 1
            await asyncio.sleep(_PAUSE_SECONDS)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("kills", [40, pytest.param(300, marks=pytest.mark.long)], ids=["short", "long"])
async def test_acknowledged_notifications_survive_kills(
    cluster: cluster_kit.LocalCluster, tmp_path: pathlib.Path, backend: str, kills: int
) -> None:
    """Killed again and again, it delivers all that it acknowledged, once or in doubt twice, and nothing else (R4)."""
    seed = int(os.environ.get("MAILTIER_TEST_SEED", secrets.randbelow(1_000_000)))
    print(f"\nseed {seed} (set MAILTIER_TEST_SEED to repeat it)")
    chance = random.Random(seed)  # noqa: S311 - Repeatable on purpose.
    system = f"mailtier-{secrets.token_hex(4)}"
    account = sender.install(cluster, system)
    slow_dot: list[dict[str, object]] = [{"on": smtpd.DOT, "delay_seconds": _DOT_SECONDS}]
    with (
        smtpd.Process(tmp_path / "relay", script=slow_dot, transcript=False) as relay,
        smtpd.Process(tmp_path / "own", script=slow_dot, transcript=False) as own,
        sender.Sender(
            tmp_path / "sender",
            kubeconfig=account,
            namespace=system,
            # As many delays as kills: a message that was in doubt at each of them is resent, and not given up.
            arguments=[
                *_ROOMY,
                f"--most-deaths={kills + 1}",
                *["--in-doubt-delay=0.5"] * kills,
                *BACKENDS[backend](tmp_path),
            ],
        ) as running,
    ):
        organizations = _publish(cluster, system, relay=relay, own=own)
        load = _Load(organizations=organizations)
        async with intake.Client(running.url, running.tls) as client:
            for tenant, organization in organizations:
                await intake.until_known(client, tenant, organization)
            sent, killed = await _send_and_kill(load, client, running, kills=kills, chance=chance)
            await asyncio.to_thread(running.wait_ready)
            await _until_accepted(load, client)
        messages = [*relay.messages(), *own.messages()]
        running.stop()
        assert invariants.violations(running.data / "queue" / "queue.sqlite3") == []
    counts = collections.Counter(message["message_id"] for message in messages)
    duplicates = len(messages) - len(counts)
    print(
        f"{backend}: {kills} kills ({', '.join(f'{count} of {of}' for of, count in killed.items())}),"
        f" {len(load.acknowledged)} notifications acknowledged, {load.retries} requests sent again"
        f" ({load.replayed} of them were stored already), {len(counts)} messages arrived, {duplicates} of them twice,"
        f" at most {max(counts.values())} times"
    )
    arrived = collections.Counter(message_id.strip("<>").partition(".")[0] for message_id in counts)
    assert arrived == {id_: count for id_, (_, _, count) in load.acknowledged.items()}
    assert len(load.acknowledged) == sent
    assert len({(message["message_id"], message["size"]) for message in messages}) == len(counts), "a resend differs"
    # Two destinations; each connection has one message in doubt at most.
    assert duplicates <= kills * _CONNECTIONS * 2


def _publish(
    cluster: cluster_kit.LocalCluster, system: str, *, relay: smtpd.Process, own: smtpd.Process
) -> list[tuple[tenants.Tenant, str]]:
    """Publish settings for two organizations in each of three namespaces, some with a server of their own."""
    organizations = []
    for number in range(3):
        tenant = tenants.create(cluster)
        for organization, server in (("default", relay), ("second", own if number == 0 else relay)):
            published = tenants.settings(
                tenant, port=server.port, organization=organization, max_connections=_CONNECTIONS
            )
            if server is own:
                published = tenants.owned(published)
            tenants.publish(cluster, system, published)
            organizations.append((tenant, organization))
    return organizations


async def _send_and_kill(
    load: _Load, client: intake.Client, running: sender.Sender, *, kills: int, chance: random.Random
) -> tuple[int, collections.Counter[str]]:
    """Send as much as the intake takes while the sender is killed at random moments.

    Returns:
        How many notifications were sent, all of them acknowledged; and how often which processes were killed.
    """
    numbers, killed, over = itertools.count(), collections.Counter[str](), asyncio.Event()

    async def work() -> None:
        while not over.is_set():
            await load.send(client, next(numbers))

    workers = [asyncio.create_task(work()) for _ in range(_CLIENTS)]
    for _ in range(kills):
        if chance.random() > _KILLED_STARTING:
            await asyncio.to_thread(running.wait_ready)
        await asyncio.sleep(chance.uniform(0, _LONGEST_SECONDS))
        killed[await asyncio.to_thread(running.kill_any, chance)] += 1
    over.set()
    await asyncio.gather(*workers)
    return next(numbers), killed


async def _until_accepted(load: _Load, client: intake.Client) -> None:
    """Return once the sender itself says that every recipient of every notification was accepted."""
    left = iter(load.acknowledged.items())

    async def work() -> None:
        for id_, (tenant, organization, recipients) in left:
            path = f"{tenant.collection(organization)}/{id_}"
            assert await _final_states(client, path, tenant.token) == ["accepted"] * recipients, path

    await asyncio.gather(*(work() for _ in range(_CLIENTS)))


async def _final_states(client: intake.Client, path: str, token: str) -> list[str]:
    """Return the states of a notification's recipients, once all of them are final."""
    states: list[str] = []

    async def is_complete() -> bool:
        answer = await client.request("GET", path, headers={"Authorization": f"Bearer {token}"})
        if answer.status == 503:  # The settings are not read yet.
            return False
        states[:] = [recipient["state"] for recipient in answer.document["recipients"]]
        return bool(answer.document["complete"])

    await wait.until_async(is_complete, within_seconds=_DRAINED_SECONDS, why=f"{path} is complete")
    return states
