"""The operator's socket, asked by its own client: before the settings are known, and when namespaces are gone."""

import asyncio
import collections.abc
import contextlib
import datetime as dt
import os
import pathlib
import sqlite3

import pytest

from kit import between, queues, sending, smtpd, wait
from mailtier.api import feed, notification, vocabulary
from mailtier.handlers import feed_client
from mailtier.sender import ports
from mailtier.sender.intake import feed_server, ids, taking
from mailtier.sender.queueing import restoring
from mailtier.settings import effective

_S = vocabulary.RecipientState
Serve = collections.abc.Callable[..., collections.abc.Awaitable[smtpd.Server]]


@pytest.fixture
async def operator(
    sender: sending.Sender, tmp_path: pathlib.Path
) -> collections.abc.AsyncIterator[feed_client.FeedClient]:
    """Return the operator's client of the sender's socket."""
    async with between.joined(sender) as far:
        served = feed_server.FeedServer(
            sender.queue,
            sender.settings,
            taker=taking.Taking(
                sender.queue,
                identifiers=ids.TimeSortedIds(now=sender.clock.wall, entropy=os.urandom),
                on_pending=sender.delivery.ring,
                quota=ports.QueueQuota(),
                now=sender.clock.wall,
            ),
            end_namespace=far.end_namespace,
            hold_of=far.hold_of,
        )
        await served.open(tmp_path)
        connected = feed_client.FeedClient(tmp_path / feed.SOCKET_NAME)
        yield connected
        await connected.close()
        await served.close()


async def test_before_the_settings_are_known_nothing_is_said_of_organizations(
    operator: feed_client.FeedClient, sender: sending.Sender
) -> None:
    """An offer that comes too early is put off as what it is; nobody is told that the organization is unknown."""
    sender.settings.synced = False
    early = await operator.offer(_offer("team-a"))
    assert isinstance(early, feed.Refused)
    assert (early.reason, early.retry) == ("SenderUnavailable", True)
    assert "not read the settings yet" in early.message
    sender.settings.synced = True
    unknown = await operator.offer(_offer("team-a"))
    assert isinstance(unknown, feed.Refused)
    assert (unknown.reason, unknown.retry) == ("OrganizationUnknown", True)


async def test_that_the_queue_was_restored_is_told_until_it_goes_on(
    operator: feed_client.FeedClient, sender: sending.Sender, serve: Serve
) -> None:
    """The operator hears with the feed of when the backup is, for the host's status; and of none afterwards."""
    sender.settings.put(sending.settings("team-a", sending.endpoint(await serve())))
    await sender.queue.remember(restoring.KEY, restoring.mark(queues.START))
    assert await _heard(operator) == queues.START
    assert await sender.queue.resume() is not None
    assert await _heard(operator) is None


async def _heard(operator: feed_client.FeedClient) -> dt.datetime | None:
    """Return what an operator that begins hears first, once there is something in the feed."""
    told: asyncio.Future[dt.datetime | None] = asyncio.get_running_loop().create_future()

    def take(made_at: dt.datetime | None) -> None:
        if not told.done():
            told.set_result(made_at)

    following = asyncio.create_task(operator.follow(lambda _item: None, lambda _connected: None, take))
    try:
        async with asyncio.timeout(30):
            return await told
    finally:
        following.cancel()


async def test_a_deleted_namespace_takes_what_is_queued_with_it(
    operator: feed_client.FeedClient, sender: sending.Sender, serve: Serve
) -> None:
    """What is queued for a namespace that is gone fails at once and is wiped; the others' mail stays (R11)."""
    at = sending.endpoint(await serve())
    gone, kept = (
        sender.settings.put(sending.settings(name, at, state=effective.State.SUSPENDED)) for name in ("gone", "kept")
    )
    lost = [await sender.notify(gone, "a@example.org", "b@example.org") for _ in range(3)]
    stays = await sender.notify(kept)
    asked: list[None] = []

    def present() -> set[str]:
        asked.append(None)
        return {"uid-kept"}

    await operator.forget_namespaces(present)
    for each in lost:
        stands = await sender.until(gone, each, _S.FAILED, _S.FAILED)
        assert {recipient.reason for recipient in stands} == {"NamespaceDeleted"}
    assert await sender.states(kept, stays) in ([_S.QUEUED], [_S.HELD])
    assert sender.delivery.namespaces() == ("uid-kept",)
    assert len(asked) == 1
    with contextlib.closing(sqlite3.connect(sender.folder / "queue.sqlite3")) as database:
        (payloads,) = database.execute("SELECT count(*) FROM payloads WHERE body IS NOT NULL").fetchone()
    assert payloads == 1


async def test_a_deleted_namespace_takes_what_is_kept_with_it(
    operator: feed_client.FeedClient, sender: sending.Sender, serve: Serve
) -> None:
    """The text of what failed before its namespace was gone is wiped with it, though nothing is queued (R11)."""
    server = await serve()
    server.script.on("RCPT TO:<nobody@example.org>", "550 5.1.1 No such user")
    gone, kept = (sender.settings.put(sending.settings(name, sending.endpoint(server))) for name in ("gone", "kept"))
    for each in (gone, kept):
        await sender.until(each, await sender.notify(each, "nobody@example.org"), _S.FAILED)
    assert sender.delivery.namespaces() == ()
    assert await sender.queue.kept_namespaces() == ("uid-gone", "uid-kept")
    await operator.forget_namespaces(lambda: {"uid-kept"})
    assert await sender.queue.kept_namespaces() == ("uid-kept",)


async def test_what_is_queued_is_told_of_each_organization(
    operator: feed_client.FeedClient, sender: sending.Sender, serve: Serve
) -> None:
    """The operator hears how much waits of whom, why in a word, and since when; of whom nothing waits it hears not."""
    server = await serve()
    server.script.on("RCPT TO:<full@example.org>", "452 4.2.2 Mailbox full")
    open_, closed = (
        sender.settings.put(sending.settings(name, sending.endpoint(server), state=state))
        for name, state in (("open", effective.State.ACTIVE), ("closed", effective.State.SUSPENDED))
    )
    await sender.until(open_, await sender.notify(open_), _S.ACCEPTED)
    assert await operator.backlogs() == ()
    first = await sender.notify(open_, "full@example.org")
    await sender.until(open_, first, _S.DEFERRED)
    await sender.notify(closed, "a@example.org", "b@example.org")

    async def told() -> dict[str, tuple[int, int, int]]:
        return {each.namespace: (each.queued, each.deferred, each.held) for each in await operator.backlogs()}

    async def is_told() -> bool:
        return await told() == {"open": (0, 1, 0), "closed": (0, 0, 2)}

    await wait.until_async(is_told, within_seconds=30, why="both backlogs are told")
    (deferred,) = [each for each in await operator.backlogs() if each.namespace == "open"]
    record = await sender.queue.find(sending.lane(open_), first)
    assert record is not None
    assert (deferred.namespace_uid, deferred.organization) == ("uid-open", "default")
    assert deferred.oldest_at == record.accepted_at


def _offer(namespace: str) -> feed.Offer:
    return feed.Offer(
        namespace=namespace,
        namespace_uid=f"uid-{namespace}",
        name="alert",
        object_uid="object",
        spec_hash="0" * 64,
        spec=notification.NotificationSpec.model_validate({"category": "JobAlert", "text": "it failed"}),
    )
