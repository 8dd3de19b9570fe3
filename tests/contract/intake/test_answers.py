"""Every answer that the intake gives to a request, from a real sender beside a real apiserver."""

import collections.abc
import json
import secrets
import typing

import pytest

from kit import intake, sender, tenants, wait
from mailtier.sender.intake.http import problems
from mailtier.settings import effective

_SECRET = "https://example.com/reset/s3cr3t-link"


async def test_notification_is_taken_and_delivered(
    client: intake.Client, organization: tenants.Tenant, stage: tenants.Stage
) -> None:
    """A POST is answered with 202, an id and a path; the mail arrives; the path shows accepted."""
    taken = await client.post(organization, {**intake.ALERT, "recipients": ["a@example.com", "b@example.com"]})
    assert taken.status == 202
    assert taken.headers["Location"] == taken.document["status"]
    found = await intake.until_complete(client, organization, taken)
    assert found["id"] == taken.document["id"]
    assert found["category"] == "JobAlert"
    assert [(entry["address"], entry["state"]) for entry in found["recipients"]] == [
        ("a@example.com", "accepted"),
        ("b@example.com", "accepted"),
    ]
    mine = [message for message in stage.smtp.messages() if taken.document["id"] in message["message_id"]]
    assert sorted(message["rcpt_to"] for message in mine) == [["a@example.com"], ["b@example.com"]]


async def test_recipients_default_to_the_category(client: intake.Client, organization: tenants.Tenant) -> None:
    """A notification without recipients goes to those of its category."""
    taken = await client.post(organization, intake.ALERT)
    found = await intake.until_complete(client, organization, taken)
    assert [entry["address"] for entry in found["recipients"]] == ["ops@example.com"]


async def test_repeat_is_answered_with_the_same_id(client: intake.Client, organization: tenants.Tenant) -> None:
    """The same body under the same key is the same notification, however it is spelled; another body is a conflict."""
    key = secrets.token_hex(8)
    first = await client.post(organization, intake.ALERT, key=key)
    again = await client.post(organization, data=json.dumps(intake.ALERT, indent=4).encode(), key=key)
    assert (first.status, again.status) == (202, 202)
    assert "Idempotency-Replayed" not in first.headers
    assert again.headers["Idempotency-Replayed"] == "true"
    assert again.document == first.document
    intake.require(
        await client.post(organization, {**intake.ALERT, "text": "Job 8 failed."}, key=key), problems.KEY_REUSED
    )


async def test_keys_of_organizations_are_their_own(
    client: intake.Client,
    organization: tenants.Tenant,
    stage: tenants.Stage,
) -> None:
    """Two organizations may use the same key for different notifications."""
    stage.publish(organization, organization="second", recipients=["ops@example.com"])
    await intake.until_known(client, organization, "second")
    first = await client.post(organization, intake.ALERT, key="k")
    second = await client.post(organization, {**intake.ALERT, "text": "other"}, key="k", organization="second")
    assert (first.status, second.status) == (202, 202)
    assert first.document["id"] != second.document["id"]


@pytest.mark.parametrize("key", ["", "x" * 256, "a b", "\u00e9"])
async def test_malformed_key_is_refused(client: intake.Client, organization: tenants.Tenant, key: str) -> None:
    """An idempotency key is one word of printable ASCII, at most 255 long."""
    intake.require(await client.post(organization, intake.ALERT, key=key), problems.MALFORMED)


@pytest.mark.parametrize("authorization", [None, "Basic dXNlcjpwYXNz", "Bearer", "Bearer nonsense", "Bearer a.b.c"])
async def test_caller_without_a_token_is_not_let_in(
    client: intake.Client, organization: tenants.Tenant, authorization: str | None
) -> None:
    """Without a token that could be right the answer is 401 with a challenge, and says how to get one."""
    headers = {} if authorization is None else {"Authorization": authorization}
    answer = await client.request("POST", organization.collection(), body=intake.ALERT, headers=headers)
    intake.require(answer, problems.NOT_AUTHENTICATED)
    assert answer.headers["WWW-Authenticate"].startswith('Bearer realm="mailtier"')


async def test_token_for_others_is_not_accepted(
    client: intake.Client, organization: tenants.Tenant, stage: tenants.Stage
) -> None:
    """A token for the apiserver itself is refused: whoever it is handed to could act as its owner (R3)."""
    token = stage.cluster.token(organization.namespace, "application")
    document = intake.require(await client.post(organization, intake.ALERT, token=token), problems.NOT_AUTHENTICATED)
    assert "audience" in document["detail"]
    assert token not in json.dumps(document)


async def test_token_with_a_forged_signature_is_not_accepted(
    client: intake.Client, organization: tenants.Tenant
) -> None:
    """A token whose claims are right and whose signature is not is refused by the cluster."""
    claims, _, signature = organization.token.rpartition(".")
    forged = f"{claims}.{signature[::-1]}"
    intake.require(await client.post(organization, intake.ALERT, token=forged), problems.NOT_AUTHENTICATED)


async def test_caller_without_the_right_is_not_let_in(
    client: intake.Client, organization: tenants.Tenant, stage: tenants.Stage
) -> None:
    """A ServiceAccount without the Role, and one with it in another namespace, are answered with 403 (R3)."""
    stranger = tenants.account(stage.cluster, organization.namespace, "stranger", allowed=False)
    other = tenants.create(stage.cluster)
    for token in (stranger, other.token):
        intake.require(await client.post(organization, intake.ALERT, token=token), problems.NOT_ALLOWED)


async def test_who_may_not_reads_the_command_that_allows_it(
    client: intake.Client, organization: tenants.Tenant, stage: tenants.Stage
) -> None:
    """The refusal names the chart's ClusterRole, and binds it to the very account that asked."""
    stranger = tenants.account(stage.cluster, organization.namespace, "newcomer", allowed=False)
    answer = await client.post(organization, intake.ALERT, token=stranger)
    detail = intake.require(answer, problems.NOT_ALLOWED)["detail"]
    assert (
        f"`kubectl create rolebinding -n {organization.namespace} mailtier-notifier --clusterrole=mailtier-notifier"
        f" --serviceaccount={organization.namespace}:newcomer`" in detail
    )


async def test_unknown_organization_is_told_to_those_who_may_ask(
    client: intake.Client, organization: tenants.Tenant, stage: tenants.Stage
) -> None:
    """An organization that does not exist is 404 for an allowed caller, and 403 like any other for a stranger."""
    intake.require(await client.post(organization, intake.ALERT, organization="none"), problems.UNKNOWN_ORGANIZATION)
    other = tenants.create(stage.cluster)
    intake.require(
        await client.post(organization, intake.ALERT, organization="none", token=other.token), problems.NOT_ALLOWED
    )


async def test_caller_is_checked_before_the_body(client: intake.Client, organization: tenants.Tenant) -> None:
    """A body that is not valid is not looked at before the caller is let in."""
    answer = await client.request("POST", organization.collection(), data=b"{")
    intake.require(answer, problems.NOT_AUTHENTICATED)


async def test_notification_of_another_organization_is_not_found(
    client: intake.Client,
    organization: tenants.Tenant,
    stage: tenants.Stage,
) -> None:
    """An id is looked up within the organization of the path only (R3)."""
    taken = await client.post(organization, intake.ALERT)
    other = tenants.create(stage.cluster)
    stage.publish(other)
    await intake.until_known(client, other)
    path = f"{other.collection()}/{taken.document['id']}"
    answer = await client.request("GET", path, headers={"Authorization": f"Bearer {other.token}"})
    intake.require(answer, problems.NOT_FOUND)


async def test_unknown_path_and_method_are_problems_too(client: intake.Client, organization: tenants.Tenant) -> None:
    """What the router refuses is a problem document as well."""
    intake.require(await client.request("GET", "/v2"), problems.NOT_FOUND)
    answer = await client.request("DELETE", organization.collection())
    intake.require(answer, problems.METHOD_NOT_ALLOWED)
    assert (answer.headers["Allow"], answer.headers["Server"]) == ("POST", "mailtier")


async def test_large_body_is_refused(client: intake.Client, organization: tenants.Tenant) -> None:
    """More than 256 KiB are 413, whether they are announced or not."""
    large = json.dumps({**intake.ALERT, "text": "x" * 300_000}).encode()
    intake.require(await client.post(organization, data=large), problems.TOO_LARGE)

    async def pieces() -> collections.abc.AsyncIterator[bytes]:
        for begin in range(0, len(large), 10_000):
            yield large[begin : begin + 10_000]

    intake.require(await client.post(organization, data=typing.cast("bytes", pieces())), problems.TOO_LARGE)


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/json; charset=utf-16"},
        {"Content-Encoding": "identity, br"},
    ],
)
async def test_other_media_are_refused(
    client: intake.Client, organization: tenants.Tenant, headers: dict[str, str]
) -> None:
    """Only plain JSON in UTF-8 is read."""
    intake.require(await client.post(organization, intake.ALERT, headers=headers), problems.NOT_JSON)


async def test_invalid_notification_names_its_fields_and_quotes_nothing(
    client: intake.Client, organization: tenants.Tenant, sender: sender.Sender
) -> None:
    """Each wrong field has an entry; neither the answer nor the log repeats what was sent (R1)."""
    answer = await client.post(
        organization,
        {"category": "JobAlert", "recipients": [_SECRET], "link": _SECRET, "subject": f"{_SECRET}\r\nX: y"},
    )
    document = intake.require(answer, problems.INVALID)
    assert {error["pointer"] for error in document["errors"]} == {"#/recipients/0", "#/link", "#/subject"}
    assert "s3cr3t" not in json.dumps(document)
    intake.require(await client.post(organization, data=b'{"text": "s3cr3t"'), problems.MALFORMED)
    await client.post(organization, {"category": "PasswordRecovery", "recipients": ["u@example.com"], "text": _SECRET})
    assert "s3cr3t" not in sender.log.read_text(encoding="utf-8")


async def test_settings_decide_what_is_let_through(
    client: intake.Client,
    organization: tenants.Tenant,
) -> None:
    """A category that is switched off, and a notification for nobody, are 422 and say which setting to change."""
    document = intake.require(await client.post(organization, {"category": "ProductUpdate"}), problems.NOT_TAKEN)
    assert document["errors"][0]["pointer"] == "#/category"
    assert "productUpdate.enabled" in document["detail"]
    document = intake.require(await client.post(organization, {**intake.ALERT, "recipients": []}), problems.NOT_TAKEN)
    assert document["errors"][0]["pointer"] == "#/recipients"


@pytest.mark.parametrize("state", [effective.State.BLOCKED, effective.State.SUSPENDED])
async def test_organization_that_may_not_send_still_takes(
    client: intake.Client,
    tenant: tenants.Tenant,
    stage: tenants.Stage,
    state: effective.State,
) -> None:
    """What comes while the settings are blocked or suspended is held, and goes once they are mended."""
    stage.publish(tenant, state=state, recipients=["o@example.com"])
    await intake.until_known(client, tenant)
    taken = await client.post(tenant, intake.ALERT)
    assert taken.status == 202

    async def is_held() -> bool:
        return (await client.look_up(tenant, taken))["recipients"][0]["state"] == "held"

    await wait.until_async(is_held, within_seconds=20, why="the recipient is held")
    stage.publish(tenant, recipients=["o@example.com"])
    found = await intake.until_complete(client, tenant, taken)
    assert found["recipients"][0]["state"] == "accepted"


async def test_quota_of_a_namespace(client: intake.Client, tenant: tenants.Tenant, stage: tenants.Stage) -> None:
    """A namespace that has its quota waiting is answered with 429 and a time to wait."""
    stage.publish(tenant, state=effective.State.SUSPENDED)
    await intake.until_known(client, tenant)
    crowd = [f"user{number}@example.com" for number in range(20)]
    for _ in range(5):
        assert (await client.post(tenant, {**intake.ALERT, "recipients": crowd})).status == 202
    answer = await client.post(tenant, {**intake.ALERT, "recipients": ["one@example.com"]})
    intake.require(answer, problems.TOO_MANY)
    assert int(answer.headers["Retry-After"]) > 0


async def test_password_recoveries_of_a_minute(client: intake.Client, organization: tenants.Tenant) -> None:
    """The thirty-first password recovery within a minute is answered with 429; a repeat counts once."""
    request = {
        "category": "PasswordRecovery",
        "recipients": ["u@example.com"],
        "data": {"link": f"https://a.example/{_SECRET}"},
    }
    for number in range(30):
        for _ in range(2):
            answer = await client.post(organization, request, key=f"recovery-{number}")
            assert answer.status == 202, (number, answer)
            if number > 0:
                break
    answer = await client.post(organization, request)
    document = intake.require(answer, problems.TOO_MANY)
    assert 0 < int(answer.headers["Retry-After"]) <= 60
    assert "s3cr3t" not in json.dumps(document)
    # What was acknowledged is acknowledged again, however many came since; a new key is a new one.
    assert (await client.post(organization, request, key="recovery-3")).status == 202
    intake.require(await client.post(organization, request, key="recovery-new"), problems.TOO_MANY)


async def test_description_is_served_to_everybody(client: intake.Client) -> None:
    """OpenAPI needs no token."""
    answer = await client.request("GET", "/openapi.json")
    assert answer.status == 200
    assert answer.document["openapi"] == "3.1.0"
