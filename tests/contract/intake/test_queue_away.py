"""A queue whose database is away: whoever asks is told so, by every way in, and asks again."""

import asyncio
import pathlib
import tempfile

import pytest

from kit import intake, postgres, sender, tenants
from mailtier.api import feed, notification, reasons
from mailtier.handlers import feed_client
from mailtier.sender.intake.http import problems


async def test_every_way_in_says_that_the_queue_is_away(
    stage: tenants.Stage, tenant: tenants.Tenant, tmp_path: pathlib.Path
) -> None:
    """Over HTTPS a problem of its own with Retry-After, for objects a reason; nothing of the database (R1, R4)."""
    stage.publish(tenant, recipients=["o@example.com"])
    person = tenants.account(
        stage.cluster, tenant.namespace, "person", allowed=True, verbs=("list", "get", "update", "create")
    )
    # Beside pytest's own folders, which only root may enter.
    with tempfile.TemporaryDirectory(prefix="mailtier-away-") as folder:
        server = postgres.start(pathlib.Path(folder), *postgres.FAST)
        try:
            dsn_file = tmp_path / "dsn"
            dsn_file.write_text(server.dsn("postgres"), encoding="utf-8")
            with sender.Sender(
                tmp_path / "sender",
                kubeconfig=stage.account,
                namespace=stage.system,
                arguments=[f"--queue-dsn-file={dsn_file}", "--most-deaths=100"],
            ) as running:
                async with intake.Client(running.url, running.tls) as client:
                    await intake.until_known(client, tenant)
                    taken = await client.post(tenant, intake.ALERT)
                    server.end()
                    await _ask_everything(client, tenant, person, taken, running.socket)
                    _, page = await asyncio.to_thread(running.get, "/metrics")
                    assert 'mailtier_queue_up{part="intake"} 0.0' in page.splitlines()
        finally:
            server.end()


async def _ask_everything(
    client: intake.Client, tenant: tenants.Tenant, token: str, taken: intake.Answer, socket: pathlib.Path
) -> None:
    base, id_ = f"/v1/namespaces/{tenant.namespace}", taken.document["id"]
    # Two of a namespace that people ask of the queue are worked on at the same time.
    rounds: list[list[tuple[str, str, object]]] = [
        [
            ("GET", taken.document["status"], None),
            ("GET", f"{base}/notifications", None),
            ("POST", f"{base}/notifications:retry", {"ids": [id_]}),
            ("POST", f"{base}/organizations/default:release", None),
            ("POST", f"{base}/organizations/default/probes", None),
            ("POST", tenant.collection(), intake.ALERT),
        ],
        [("GET", f"{base}/notifications/{id_}", None), ("GET", f"{base}/suppressions", None)],
    ]
    operator = feed_client.FeedClient(socket)
    offering = asyncio.create_task(operator.offer(_offer(tenant)))
    headers = {"Authorization": f"Bearer {token}"}
    for asked in rounds:
        answers = await asyncio.gather(
            *(client.request(method, path, body=body, headers=headers) for method, path, body in asked)
        )
        for request, answer in zip(asked, answers, strict=True):
            detail = intake.require(answer, problems.QUEUE_AWAY)["detail"]
            assert int(answer.headers["Retry-After"]) > 0, request
            assert "postgres" not in str(detail).lower(), request
            assert ("idempotency key" in str(detail)) == (request[1] == tenant.collection()), request
    refused = await offering
    assert isinstance(refused, feed.Refused)
    assert (refused.reason, refused.retry) == (str(reasons.SENDER_UNAVAILABLE), True)
    with pytest.raises(feed_client.SenderUnavailableError, match="answered 503"):
        await operator.forget_namespaces(lambda: ())
    await operator.close()


def _offer(tenant: tenants.Tenant) -> feed.Offer:
    return feed.Offer(
        namespace=tenant.namespace,
        namespace_uid=tenant.uid,
        name="alert",
        object_uid="object-1",
        spec_hash="spec-1",
        spec=notification.NotificationSpec.model_validate({"category": "JobAlert", "text": "it failed"}),
    )
