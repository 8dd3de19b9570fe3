"""What holds while the apiserver, the process or the volume fails."""

import asyncio
import pathlib

from kit import cluster as cluster_kit
from kit import intake, sender, smtpd, tenants
from mailtier.sender.intake.http import problems
from mailtier.settings import effective


async def test_nobody_is_let_in_while_the_apiserver_does_not_answer(tmp_path: pathlib.Path) -> None:
    """Without the apiserver a caller that is not known yet gets 503, and nothing is stored (R13)."""
    # A control plane of its own: the shared one's controllers take half a minute to come back after a restart.
    with (
        cluster_kit.LocalCluster() as mortal,
        smtpd.Process(tmp_path / "smtp") as smtp,
        sender.Sender(
            tmp_path / "sender",
            kubeconfig=sender.install(mortal, "mailtier-system"),
            namespace="mailtier-system",
            arguments=["--full-at=1.0"],
        ) as running,
    ):
        tenant = tenants.create(mortal)
        tenants.publish(
            mortal, "mailtier-system", tenants.settings(tenant, port=smtp.port, recipients=["o@example.com"])
        )
        token = tenants.token(mortal, tenant.namespace)
        async with intake.Client(running.url, running.tls) as client:
            await intake.until_known(client, tenant)
            mortal.stop_apiserver()
            before = _accepted(running)
            answer = await client.post(tenant, intake.ALERT, token=token)
            intake.require(answer, problems.UNAVAILABLE)
            assert int(answer.headers["Retry-After"]) > 0
            assert _accepted(running) == before
            # Who was let in a moment ago still is, and what is known of the settings still delivers.
            taken = await client.post(tenant, intake.ALERT)
            assert taken.status == 202
            await intake.until_complete(client, tenant, taken)
            await asyncio.to_thread(mortal.start_apiserver)
            assert (await client.post(tenant, intake.ALERT, token=token)).status == 202


def _accepted(running: sender.Sender) -> int:
    """Return how many notifications the sender has stored, by its own count."""
    lines = running.get("/metrics")[1].splitlines()
    return sum(
        int(float(line.rpartition(" ")[2])) for line in lines if line.startswith("mailtier_notifications_accepted")
    )


async def test_taken_notification_survives_a_kill(
    stage: tenants.Stage,
    tenant: tenants.Tenant,
    tmp_path: pathlib.Path,
) -> None:
    """What was answered with 202 is delivered after a SIGKILL and a start on the same volume (R4)."""
    stage.publish(tenant, state=effective.State.SUSPENDED, recipients=["o@example.com"])
    with sender.Sender(
        tmp_path, kubeconfig=stage.account, namespace=stage.system, arguments=["--full-at=1.0"]
    ) as running:
        async with intake.Client(running.url, running.tls) as client:
            taken = await client.post(tenant, intake.ALERT)
            assert taken.status == 202
        running.kill()
        stage.publish(tenant, recipients=["o@example.com"])
        await asyncio.to_thread(running.start)
        async with intake.Client(running.url, running.tls) as client:
            found = await intake.until_complete(client, tenant, taken)
            assert found["recipients"][0]["state"] == "accepted"
        assert await asyncio.to_thread(running.stop) == 0


async def test_full_volume_takes_nothing_new(
    stage: tenants.Stage,
    organization: tenants.Tenant,
    tmp_path: pathlib.Path,
) -> None:
    """On a volume that is too full new work is answered with 507 and a time to wait (R13)."""
    with sender.Sender(
        tmp_path, kubeconfig=stage.account, namespace=stage.system, arguments=["--full-at=0.01"]
    ) as running:
        async with intake.Client(running.url, running.tls) as client:
            answer = await client.post(organization, intake.ALERT)
            intake.require(answer, problems.FULL)
            assert int(answer.headers["Retry-After"]) > 0


async def test_orderly_end_mails_nothing_twice(
    stage: tenants.Stage, tenant: tenants.Tenant, tmp_path: pathlib.Path
) -> None:
    """SIGTERM ends what is on the wire and keeps what waits: after a restart each message has arrived once (R4)."""
    slow_dot: list[dict[str, object]] = [{"on": smtpd.DOT, "delay_seconds": 0.5}]
    with (
        smtpd.Process(tmp_path / "smtp", script=slow_dot) as smtp,
        sender.Sender(
            tmp_path / "sender", kubeconfig=stage.account, namespace=stage.system, arguments=["--full-at=1.0"]
        ) as running,
    ):
        tenants.publish(
            stage.cluster, stage.system, tenants.settings(tenant, port=smtp.port, recipients=["o@example.com"])
        )
        async with intake.Client(running.url, running.tls) as client:
            await intake.until_known(client, tenant)
            taken = await asyncio.gather(*(client.post(tenant, intake.ALERT) for _ in range(30)))
            # The SMTP server takes six a second at most, so that many still wait.
            assert await asyncio.to_thread(running.stop) == 0
        assert len(smtp.messages()) < len(taken)
        await asyncio.to_thread(running.start)
        async with intake.Client(running.url, running.tls) as client:
            for answer in taken:
                found = await intake.until_complete(client, tenant, answer)
                assert found["recipients"][0]["state"] == "accepted"
        arrived = sorted(message["message_id"].strip("<").partition(".")[0] for message in smtp.messages())
        assert arrived == sorted(answer.document["id"] for answer in taken)
