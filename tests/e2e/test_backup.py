"""A backup of a real sender under load, restored for another one."""

import asyncio
import collections
import collections.abc
import itertools
import json
import pathlib
import secrets
import subprocess
import sys

from kit import cluster as cluster_kit
from kit import intake, invariants, sender, smtpd, tenants, wait

_CLIENTS = 8
_BEFORE = 100
_DOT_SECONDS = 0.05


def _platform(cluster: cluster_kit.LocalCluster, namespace: str) -> str:
    """Return the token of an account that may change the host's settings."""
    group, name = "rbac.authorization.k8s.io", f"{namespace}-platform"
    documents = [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "platform", "namespace": namespace}},
        {
            "apiVersion": f"{group}/v1",
            "kind": "ClusterRole",
            "metadata": {"name": name},
            "rules": [{"apiGroups": ["mailtier.dev"], "resources": ["hostemailsettings"], "verbs": ["update"]}],
        },
        {
            "apiVersion": f"{group}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": name},
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": name},
            "subjects": [{"kind": "ServiceAccount", "name": "platform", "namespace": namespace}],
        },
    ]
    cluster.kubectl("apply", "--server-side", "-f-", input="\n---\n".join(map(json.dumps, documents)))
    return tenants.token(cluster, namespace, "platform")


def _run(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "mailtier", "sender", *arguments], check=True, timeout=120)


async def _send_until(
    client: intake.Client,
    tenant: tenants.Tenant,
    over: asyncio.Event,
    taken: list[str],
    numbers: collections.abc.Iterator[int],
) -> None:
    while not over.is_set():
        body = {"category": "JobAlert", "recipients": [f"user-{next(numbers)}@example.com"], "text": "It failed."}
        answer = await client.post(tenant, body)
        assert answer.status == 202, answer
        taken.append(answer.document["id"])


async def test_a_backup_under_load_is_restored_and_held(
    cluster: cluster_kit.LocalCluster, tmp_path: pathlib.Path
) -> None:
    """What was acknowledged before is in it; another sender holds all of that until told, and delivers it (R4)."""
    system = f"mailtier-{secrets.token_hex(4)}"
    account, file = sender.install(cluster, system), tmp_path / "backup.sqlite3"
    platform = {"Authorization": f"Bearer {_platform(cluster, system)}"}
    tenant = tenants.create(cluster)
    slow_dot: list[dict[str, object]] = [{"on": smtpd.DOT, "delay_seconds": _DOT_SECONDS}]
    with smtpd.Process(tmp_path / "relay", script=slow_dot, transcript=False) as relay:
        tenants.publish(cluster, system, tenants.settings(tenant, port=relay.port))
        taken, over = list[str](), asyncio.Event()
        with sender.Sender(tmp_path / "first", kubeconfig=account, namespace=system) as first:
            async with intake.Client(first.url, first.tls) as client:
                await intake.until_known(client, tenant)
                numbers = itertools.count()
                load = [asyncio.create_task(_send_until(client, tenant, over, taken, numbers)) for _ in range(_CLIENTS)]
                await wait.until_async(lambda: len(taken) >= _BEFORE, within_seconds=30, why="there is a load")
                before = set(taken)
                await asyncio.to_thread(_run, "backup", str(file), f"--data-dir={first.data}")
                over.set()
                await asyncio.gather(*load)
            # As if its volume was lost: what it still had is nowhere else.
            first.kill()
        second = sender.Sender(tmp_path / "second", kubeconfig=account, namespace=system)
        second.data.mkdir(parents=True)
        await asyncio.to_thread(_run, "restore", str(file), f"--data-dir={second.data}")
        with second:
            async with intake.Client(second.url, second.tls) as client:
                await intake.until_known(client, tenant)
                await wait.until_async(
                    lambda: 'mailtier_holds{of="organization",reason="Restored"} 1.0' in second.get("/metrics")[1],
                    within_seconds=30,
                    why="everything is held",
                )
                # By now whatever the first one's processes had on the wire when they died has arrived.
                delivered = {message["message_id"] for message in relay.messages()}
                refused = await client.request(
                    "POST", "/v1/host/queue:resume", headers={"Authorization": f"Bearer {tenant.token}"}
                )
                assert refused.status == 403
                assert {message["message_id"] for message in relay.messages()} == delivered
                resumed = await client.request("POST", "/v1/host/queue:resume", headers=platform)
                assert resumed.document["resumed"]
                for id_ in before:
                    record = intake.alone(tenant, id_)
                    assert (await intake.until_complete(client, tenant, record))["recipients"][0]["state"] == "accepted"
                again = await client.request("POST", "/v1/host/queue:resume", headers=platform)
                assert not again.document["resumed"]
                told = [line for line in second.log.read_text(encoding="utf-8").splitlines() if "is to go on" in line]
                (line,) = map(json.loads, told)
                assert line["caller"] == f"system:serviceaccount:{system}:platform"
        counts = collections.Counter(message["message_id"] for message in relay.messages())
    arrived = {message_id.strip("<>").partition(".")[0] for message_id in counts}
    assert before <= arrived <= set(taken)
    # From what the first one had delivered after the backup, the second one made a second copy at most.
    assert max(counts.values()) <= 2
    assert invariants.violations(second.data / "queue" / "queue.sqlite3") == []
