"""What the host's policy lets through: recipients, quota and rate, at a real sender beside a real apiserver."""

import dataclasses
import secrets
import typing

from kit import intake, smtpd, tenants, wait
from kit import sender as sender_kit
from mailtier.api import vocabulary
from mailtier.sender.intake.http import problems
from mailtier.settings import effective

_WOULD_REFUSE = 'mailtier_would_refuse_total{reason="RecipientNotAllowed"}'


async def _publish(
    stage: tenants.Stage, client: intake.Client, tenant: tenants.Tenant, *organizations: str, **changes: typing.Any
) -> None:
    for organization in organizations:
        stage.publish(tenant, organization=organization, **changes)
        await intake.until_known(client, tenant, organization)


def _alert(*recipients: str, **more: str) -> dict[str, typing.Any]:
    return {**intake.ALERT, "recipients": list(recipients), **more}


def _count(running: sender_kit.Sender, series: str) -> float:
    lines = running.get("/metrics")[1].splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(series))


async def test_recipients_that_the_host_does_not_list_are_refused(
    client: intake.Client, tenant: tenants.Tenant, stage: tenants.Stage
) -> None:
    """422 names each such recipient and what is allowed; those of the category are the settings' own business."""
    await _publish(stage, client, tenant, "default", recipients=["ops@elsewhere.example"], domains=["*.example.org"])
    refused = await client.post(tenant, _alert("a@mail.example.org", "b@example.com", "c@example.org"))
    document = intake.require(refused, problems.NOT_TAKEN)
    assert [error["pointer"] for error in document["errors"]] == ["#/recipients/1", "#/recipients/2"]
    assert "*.example.org" in document["detail"]
    assert "b@example.com" not in str(document)
    assert (await client.post(tenant, _alert("a@mail.example.org"))).status == 202
    taken = await client.post(tenant, intake.ALERT)
    found = await intake.until_complete(client, tenant, taken)
    assert [entry["address"] for entry in found["recipients"]] == ["ops@elsewhere.example"]


async def test_audit_takes_and_counts(
    client: intake.Client, tenant: tenants.Tenant, stage: tenants.Stage, sender: sender_kit.Sender
) -> None:
    """In mode Audit a notification that would be refused is delivered and counted, a repeat of it is not counted."""
    await _publish(stage, client, tenant, "default", domains=["example.org"], enforced=False)
    before = _count(sender, _WOULD_REFUSE)
    key = secrets.token_hex(8)
    for _ in range(2):
        taken = await client.post(tenant, _alert("b@example.com"), key=key)
        assert taken.status == 202
    await intake.until_complete(client, tenant, taken)
    assert (await client.post(tenant, _alert("a@example.org"))).status == 202
    assert _count(sender, _WOULD_REFUSE) == before + 1


async def test_organizations_of_a_namespace_share_its_quota(
    client: intake.Client, tenant: tenants.Tenant, stage: tenants.Stage
) -> None:
    """What one organization has queued counts for all of its namespace, however many there are, and for no other."""
    held = {"state": effective.State.SUSPENDED, "quota": effective.Quota(queued_messages=3)}
    await _publish(stage, client, tenant, "default", "second", "third", **held)
    assert (await client.post(tenant, _alert("a@example.com", "b@example.com"))).status == 202
    assert (await client.post(tenant, _alert("c@example.com"), organization="second")).status == 202
    for organization in ("default", "second", "third"):
        refused = await client.post(tenant, _alert("d@example.com"), organization=organization)
        document = intake.require(refused, problems.TOO_MANY)
        assert int(refused.headers["Retry-After"]) > 0
        assert "may have 3 messages" in document["detail"]
    other = tenants.create(stage.cluster)
    await _publish(stage, client, other, "default", **held)
    assert (await client.post(other, _alert("d@example.com"))).status == 202


async def test_bytes_are_limited_by_the_hosts_quota(
    client: intake.Client, tenant: tenants.Tenant, stage: tenants.Stage
) -> None:
    """The size of what waits counts too; the limit that the host does not set stays the sender's own."""
    held = {"state": effective.State.SUSPENDED, "quota": effective.Quota(queued_bytes=3_000)}
    await _publish(stage, client, tenant, "default", "second", **held)
    large = _alert("a@example.com", text="x" * 2_000)
    assert (await client.post(tenant, large)).status == 202
    document = intake.require(await client.post(tenant, large, organization="second"), problems.TOO_MANY)
    assert "3000 bytes" in document["detail"]


async def test_a_quota_that_no_notification_fits_says_so(
    client: intake.Client, tenant: tenants.Tenant, stage: tenants.Stage
) -> None:
    """A notification for more recipients than may ever wait is told apart from one that comes too early."""
    await _publish(stage, client, tenant, "default", quota=effective.Quota(queued_messages=1))
    document = intake.require(await client.post(tenant, _alert("a@example.com", "b@example.com")), problems.TOO_MANY)
    assert "name fewer recipients" in document["detail"]


async def test_what_waits_for_the_rate_says_so(
    client: intake.Client, tenant: tenants.Tenant, stage: tenants.Stage, sender: sender_kit.Sender
) -> None:
    """What is above the rate is taken and held, of every organization of the namespace; who looks is told why."""
    await _publish(stage, client, tenant, "default", "second", quota=effective.Quota(rate_per_minute=1))
    first = await client.post(tenant, _alert("a@example.com"))
    await intake.until_complete(client, tenant, first)
    waits = await client.post(tenant, _alert("b@example.com"), organization="second")
    assert waits.status == 202

    async def is_told() -> bool:
        (recipient,) = (await client.look_up(tenant, waits))["recipients"]
        assert recipient["state"] == "queued"
        return recipient["reason"] == "RateLimited" and "rate of 1 a minute" in recipient["message"]

    await wait.until_async(is_told, within_seconds=10, why="it waits for the rate")
    await wait.until_async(
        lambda: _count(sender, "mailtier_organizations_waiting_for_rate") >= 1, within_seconds=10, why="it is exported"
    )


async def test_what_waits_for_the_rate_of_its_endpoint_says_so(
    client: intake.Client, tenant: tenants.Tenant, stage: tenants.Stage, sender: sender_kit.Sender
) -> None:
    """What is above the rate of all who use an endpoint is taken and waits; who looks is told why."""
    async with smtpd.Server() as server:
        settings = tenants.settings(tenant, port=server.port)
        delivery = dataclasses.replace(settings.delivery, endpoint_rate_per_minute=1)
        tenants.publish(stage.cluster, stage.system, dataclasses.replace(settings, delivery=delivery))
        await intake.until_known(client, tenant)
        first = await client.post(tenant, _alert("a@example.com"))
        await intake.until_complete(client, tenant, first)
        waits = await client.post(tenant, _alert("b@example.com"))

        async def is_told() -> bool:
            (recipient,) = (await client.look_up(tenant, waits))["recipients"]
            assert recipient["state"] == "queued"
            return recipient["reason"] == "RateLimited" and "endpoint's rate of 1 a minute" in recipient["message"]

        await wait.until_async(is_told, within_seconds=10, why="it waits for the rate")
        await wait.until_async(
            lambda: _count(sender, "mailtier_organizations_waiting_for_rate") >= 1,
            within_seconds=10,
            why="it is exported",
        )


async def test_the_locale_is_the_notifications_or_the_categorys(
    client: intake.Client, tenant: tenants.Tenant, stage: tenants.Stage
) -> None:
    """A message is in the language that the notification names, else in that of its category in the settings."""
    japanese = vocabulary.Locale.JAPANESE
    async with smtpd.Server() as server:
        settings = tenants.settings(tenant, port=server.port, locale=japanese, recipients=["ops@example.com"])
        tenants.publish(stage.cluster, stage.system, settings)
        await intake.until_known(client, tenant)
        for locale in ({}, {"locale": "en"}):
            taken = await client.post(tenant, {**intake.ALERT, **locale})
            await intake.until_complete(client, tenant, taken)
        subjects = [message.parsed()["Subject"] for message in server.messages]
        assert subjects == [
            f"【エラー】ジョブアラート（{tenant.namespace}）",  # noqa: RUF001  # Japanese brackets.
            f"Error: job alert ({tenant.namespace})",
        ]
    document = intake.require(await client.post(tenant, {**intake.ALERT, "locale": "fr"}), problems.INVALID)
    assert [error["pointer"] for error in document["errors"]] == ["#/locale"]
