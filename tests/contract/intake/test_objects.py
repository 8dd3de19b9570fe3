"""Notification objects over the socket, by the operator's own client."""

import asyncio
import collections.abc
import contextlib
import hashlib
import pathlib
import secrets
import stat

import pytest
import pytest_asyncio

from kit import intake, sender, tenants, wait
from kit import sender as sender_kit
from mailtier.api import feed, notification, vocabulary
from mailtier.handlers import feed_client
from mailtier.sender.intake.http import problems
from mailtier.settings import effective


@pytest_asyncio.fixture
async def operator(sender: sender.Sender) -> collections.abc.AsyncIterator[feed_client.FeedClient]:
    """Return the operator's client of the sender's socket."""
    connected = feed_client.FeedClient(sender.socket)
    yield connected
    await connected.close()


def _offer(tenant: tenants.Tenant, *, name: str | None = None, **spec: object) -> feed.Offer:
    content = notification.NotificationSpec.model_validate({"category": "JobAlert", "text": "it failed", **spec})
    return feed.Offer(
        namespace=tenant.namespace,
        namespace_uid=tenant.uid,
        name=name or f"alert-{secrets.token_hex(4)}",
        object_uid=secrets.token_hex(8),
        spec_hash=hashlib.sha256(content.model_dump_json().encode()).hexdigest(),
        spec=content,
    )


@contextlib.asynccontextmanager
async def _following(running: sender.Sender) -> collections.abc.AsyncIterator[dict[str, feed.Taken]]:
    """Give what an operator that just started sees of the feed, by name of the object."""
    seen: dict[str, feed.Taken] = {}

    def take(item: feed.Taken | feed.Probe) -> None:
        if isinstance(item, feed.Taken):
            seen[item.name] = item

    connected = feed_client.FeedClient(running.socket)
    task = asyncio.create_task(connected.follow(take, lambda _connected: None, lambda _restored: None))
    try:
        yield seen
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await connected.close()


async def _until_accepted(seen: dict[str, feed.Taken], name: str) -> feed.Taken:
    await wait.until_async(
        lambda: name in seen and seen[name].complete, within_seconds=20, why=f"the feed says that {name} is complete"
    )
    return seen[name]


async def test_offer_is_taken_delivered_and_told(
    operator: feed_client.FeedClient, organization: tenants.Tenant, sender: sender.Sender
) -> None:
    """An offer is answered with its record, the feed tells its acceptance, to a restarted operator again (R4)."""
    offered = _offer(organization)
    async with _following(sender) as seen:
        taken = await operator.offer(offered)
        assert isinstance(taken, feed.Taken)
        assert (taken.name, taken.object_uid, taken.complete) == (offered.name, offered.object_uid, False)
        told = await _until_accepted(seen, offered.name)
        assert told.id == taken.id
        assert [recipient.state for recipient in told.recipients] == [vocabulary.RecipientState.ACCEPTED]
    async with _following(sender) as seen_after_restart:
        assert await _until_accepted(seen_after_restart, offered.name) == told


async def test_repeated_offer_is_the_same_notification(
    operator: feed_client.FeedClient, organization: tenants.Tenant, stage: tenants.Stage
) -> None:
    """An object that is offered again, or recreated, does not mail again."""
    offered = _offer(organization)
    first = await operator.offer(offered)
    again = await operator.offer(offered)
    recreated = await operator.offer(offered.model_copy(update={"object_uid": "another"}))
    assert isinstance(first, feed.Taken)
    assert isinstance(again, feed.Taken)
    assert isinstance(recreated, feed.Taken)
    assert first.id == again.id == recreated.id
    assert recreated.object_uid == "another"
    await wait.until_async(
        lambda: any(first.id in message["message_id"] for message in stage.smtp.messages()),
        within_seconds=20,
        why="the mail arrived",
    )
    assert sum(first.id in message["message_id"] for message in stage.smtp.messages()) == 1


async def test_what_was_forgotten_is_told_as_what_it_became(
    stage: tenants.Stage, tenant: tenants.Tenant, tmp_path: pathlib.Path
) -> None:
    """Once the share is used up, an object's record is 404 over HTTP, and an offer is answered with its totals (R4)."""
    stage.publish(tenant, recipients=["ops@example.com"])
    crowd = {**intake.ALERT, "recipients": [f"user{number}@example.com" for number in range(20)]}
    small = ["--full-at=1.0", "--quota-stored-bytes=20000"]
    offered = _offer(tenant)
    with sender_kit.Sender(tmp_path, kubeconfig=stage.account, namespace=stage.system, arguments=small) as running:
        async with (
            intake.Client(running.url, running.tls) as client,
            contextlib.AsyncExitStack() as opened,
            _following(running) as seen,
        ):
            operator = feed_client.FeedClient(running.socket)
            opened.push_async_callback(operator.close)
            await intake.until_known(client, tenant)
            taken = await operator.offer(offered)
            assert isinstance(taken, feed.Taken)
            await _until_accepted(seen, offered.name)
            path = f"{tenant.collection()}/{taken.id}"
            bearer = {"Authorization": f"Bearer {tenant.token}"}
            assert (await client.request("GET", path, headers=bearer)).document["complete"]

            async def is_gone() -> bool:
                await intake.until_complete(client, tenant, await client.post(tenant, crowd))
                return (await client.request("GET", path, headers=bearer)).status != 200

            await wait.until_async(is_gone, within_seconds=60, why="the record of the object was forgotten")
            intake.require(await client.request("GET", path, headers=bearer), problems.NOT_FOUND)
            again = await operator.offer(offered.model_copy(update={"object_uid": "another"}))
            assert isinstance(again, feed.Taken)
            assert (again.id, again.complete, again.recipients) == (taken.id, True, ())
            assert again.totals == feed.Tally(accepted=1, recipients=1)


async def test_what_was_taken_stays_taken(
    operator: feed_client.FeedClient, organization: tenants.Tenant, stage: tenants.Stage
) -> None:
    """An offer that was taken before is answered with its record, also when the settings refuse its like since."""
    offered = _offer(organization)
    first = await operator.offer(offered)
    stage.publish(organization, disabled=["JobAlert"], recipients=["ops@example.com"])

    async def is_refused() -> bool:
        return isinstance(await operator.offer(_offer(organization)), feed.Refused)

    await wait.until_async(is_refused, within_seconds=10, why="the category is switched off")
    again = await operator.offer(offered)
    assert isinstance(first, feed.Taken)
    assert isinstance(again, feed.Taken)
    assert again.id == first.id


async def test_what_is_refused_for_good(operator: feed_client.FeedClient, organization: tenants.Tenant) -> None:
    """A disabled category, a notification for nobody and a password recovery are refused, and need not be retried."""
    recovery = _offer(organization)
    spec = notification.NotificationSpec.model_construct(
        **{**dict(recovery.spec), "category": vocabulary.Category.PASSWORD_RECOVERY}
    )
    for offered, reason in (
        (_offer(organization, category="ProductUpdate"), "CategoryDisabled"),
        (_offer(organization, recipients=[]), "NoRecipients"),
    ):
        refused = await operator.offer(offered)
        assert isinstance(refused, feed.Refused)
        assert (refused.reason, refused.retry) == (reason, False)
        assert refused.message
    # The operator cannot have seen such an object: the apiserver and the model refuse it.
    with pytest.raises(feed_client.SenderUnavailableError, match="422"):
        await operator.offer(recovery.model_copy(update={"spec": spec}))


async def test_recipients_that_the_host_does_not_list_are_refused(
    operator: feed_client.FeedClient, tenant: tenants.Tenant, stage: tenants.Stage, client: intake.Client
) -> None:
    """An object that names such a recipient is refused for good, and reads which one and what is allowed."""
    stage.publish(tenant, domains=["example.org"])
    await intake.until_known(client, tenant)
    refused = await operator.offer(_offer(tenant, recipients=["a@example.org", "b@example.com"]))
    assert isinstance(refused, feed.Refused)
    assert (refused.reason, refused.retry) == ("RecipientNotAllowed", False)
    assert "recipients/1" in refused.message
    assert "example.org" in refused.message


async def test_objects_count_for_the_quota_of_their_namespace(
    operator: feed_client.FeedClient, tenant: tenants.Tenant, stage: tenants.Stage, client: intake.Client
) -> None:
    """What came over HTTP for one organization is in the way of an object of another in the same namespace."""
    for organization in ("default", "second"):
        quota = effective.Quota(queued_messages=1)
        stage.publish(tenant, organization=organization, state=effective.State.SUSPENDED, quota=quota)
        await intake.until_known(client, tenant, organization)
    assert (await client.post(tenant, {**intake.ALERT, "recipients": ["a@example.com"]})).status == 202
    refused = await operator.offer(_offer(tenant, organization="second", recipients=["b@example.com"]))
    assert isinstance(refused, feed.Refused)
    assert (refused.reason, refused.retry) == ("QuotaExceeded", True)
    assert "may have 1 messages" in refused.message


async def test_what_may_be_taken_later(
    operator: feed_client.FeedClient, organization: tenants.Tenant, stage: tenants.Stage, client: intake.Client
) -> None:
    """An unknown organization, a recreated namespace and a used-up quota are refused for now."""
    unknown = await operator.offer(_offer(organization, organization="none"))
    other = tenants.Tenant(namespace=organization.namespace, uid="another", token=organization.token)
    recreated = await operator.offer(_offer(other))
    for refused in (unknown, recreated):
        assert isinstance(refused, feed.Refused)
        assert (refused.reason, refused.retry) == ("OrganizationUnknown", True)
    stage.publish(organization, state=effective.State.SUSPENDED, organization="held")
    await intake.until_known(client, organization, "held")
    crowd = [f"user{number}@example.com" for number in range(20)]
    answers = [await operator.offer(_offer(organization, organization="held", recipients=crowd)) for _ in range(6)]
    assert all(isinstance(answer, feed.Taken) for answer in answers[:5])
    refused = answers[5]
    assert isinstance(refused, feed.Refused)
    assert (refused.reason, refused.retry) == ("QuotaExceeded", True)


async def test_socket_is_the_owners_alone(sender: sender.Sender) -> None:
    """Nobody but the pod's user may open the socket, and its folder is closed to others."""
    mode = sender.socket.stat().st_mode
    assert stat.S_ISSOCK(mode)
    assert stat.S_IMODE(mode) == 0o600
    assert stat.S_IMODE(sender.socket.parent.stat().st_mode) == 0o700
