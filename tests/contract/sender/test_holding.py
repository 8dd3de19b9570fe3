"""What may not be sent waits, is shown as held, and goes when it may, or ends (R4, R9, R11, R12, R14)."""

import asyncio
import collections.abc
import contextlib
import dataclasses
import datetime as dt
import typing

from kit import backends, locked_tables, queues, sending, smtpd, wait
from mailtier.api import vocabulary
from mailtier.sender.scheduling import lanes
from mailtier.sender.storage.sqlite import embedded
from mailtier.settings import effective

_S = vocabulary.RecipientState
_C = vocabulary.Category
Serve = collections.abc.Callable[..., collections.abc.Awaitable[smtpd.Server]]

pytestmark = backends.BOTH


async def test_refused_credentials_are_used_once(sender: sending.Sender, serve: Serve) -> None:
    """Ten messages and a wrong password are one AUTH (R12); a new Secret version sends them all."""
    server = await serve(smtpd.Options(users={"robot": "right"}, plaintext_auth=True))
    at = sending.endpoint(server)
    wrong = sender.secrets.put("mailtier", "smtp", "wrong", endpoint=str(at))
    of = sender.settings.put(sending.settings("team-a", at, auth=sending.login(wrong)))
    sent = [await sender.notify(of) for _ in range(10)]
    await wait.until_async(lambda: server.auth_attempts, within_seconds=5, why="the password is refused")
    for _ in range(3):
        sender.skip(60)
        await asyncio.sleep(0)
    await sender.until(of, sent[0], _S.HELD)
    for each in sent:
        await sender.until(of, each, _S.HELD)
    assert len(server.auth_attempts) == 1
    right = sender.secrets.put("mailtier", "smtp", "right", endpoint=str(at))
    sender.settings.put(sending.settings("team-a", at, auth=sending.login(right)))
    for each in sent:
        await sender.until(of, each, _S.ACCEPTED)
    assert [attempt.password for attempt in server.auth_attempts].count("wrong") == 1


async def test_a_secret_that_was_mended_is_found_without_being_told(sender: sending.Sender, serve: Serve) -> None:
    """After a refusal the Secret is read again by and by (R9), so that messages go once it is right."""
    server = await serve(smtpd.Options(users={"robot": "right"}, plaintext_auth=True))
    at = sending.endpoint(server)
    reference = sender.secrets.put("mailtier", "smtp", "wrong", endpoint=str(at))
    of = sender.settings.put(sending.settings("team-a", at, auth=sending.login(reference)))
    sent = await sender.notify(of)
    await sender.until(of, sent, _S.HELD)
    sender.secrets.put("mailtier", "smtp", "right", endpoint=str(at))
    sender.skip(61)
    await sender.until(of, sent, _S.ACCEPTED)
    assert len(server.auth_attempts) == 2


async def test_no_session_is_opened_with_what_was_read_long_ago(sender: sending.Sender, serve: Serve) -> None:
    """Consent that is taken back holds for the next session, though the operator has not told of it yet (R9)."""
    server = await serve(smtpd.Options(users={"robot": "right"}, plaintext_auth=True))
    at = sending.endpoint(server)
    reference = sender.secrets.put("mailtier", "smtp", "right", endpoint=str(at))
    of = sender.settings.put(sending.settings("team-a", at, auth=sending.login(reference), max_connections=1))
    first, again = await sender.notify(of), await sender.notify(of)
    for sent in (first, again):
        await sender.until(of, sent, _S.ACCEPTED)
    # While the session is open, nothing is read again.
    assert sender.secrets.reads == 1
    sender.secrets.put("mailtier", "smtp", "right", endpoint="")
    sender.skip(31)
    await wait.until_async(lambda: server.open_connections == 0, within_seconds=5, why="the idle session is closed")
    late = await sender.notify(of)
    await sender.until_held()
    sender.skip(11)
    stands = await sender.until(of, late, _S.HELD)
    assert [each.reason for each in stands] == ["CredentialsUnusable"]
    assert len(server.auth_attempts) == 1


async def test_a_secret_that_does_not_name_the_endpoint_is_not_used(sender: sending.Sender, serve: Serve) -> None:
    """Without the annotation nothing is connected to, and the messages are held (R1, R3)."""
    server = await serve(smtpd.Options(users={"robot": "right"}, plaintext_auth=True))
    at = sending.endpoint(server)
    reference = sender.secrets.put("mailtier", "smtp", "right", endpoint="smtp.example.com")
    of = sender.settings.put(sending.settings("team-a", at, auth=sending.login(reference)))
    sent = await sender.notify(of)
    await wait.until_async(lambda: sender.secrets.reads, within_seconds=5, why="the Secret is read")
    sender.skip(15)
    stands = await sender.until(of, sent, _S.HELD)
    assert [each.reason for each in stands] == ["CredentialsUnusable"]
    assert server.transcripts == []


async def test_blocked_settings_hold_and_mended_ones_release(sender: sending.Sender, serve: Serve) -> None:
    """Messages of a blocked organization wait, are shown as held, and go when the settings are mended."""
    server = await serve()
    at = sending.endpoint(server)
    of = sender.settings.put(sending.settings("team-a", at, state=effective.State.BLOCKED))
    sent = await sender.notify(of)
    await sender.until_held()
    sender.skip(11)
    await sender.until(of, sent, _S.HELD)
    assert server.transcripts == []
    sender.settings.put(sending.settings("team-a", at))
    await sender.until(of, sent, _S.ACCEPTED)


async def test_held_messages_expire(sender: sending.Sender, serve: Serve) -> None:
    """A message that is held for its max age has expired (R4)."""
    server = await serve()
    of = sender.settings.put(sending.settings("team-a", sending.endpoint(server), state=effective.State.SUSPENDED))
    sent = await sender.notify(of, max_age=dt.timedelta(minutes=5))
    await sender.until_held()
    sender.skip(301)
    await sender.until(of, sent, _S.EXPIRED)


async def test_what_is_in_doubt_is_not_shown_as_held(sender: sending.Sender, serve: Serve) -> None:
    """A message that may have arrived stays in doubt while its organization is held, and is resent afterwards (R4)."""
    server = await serve()
    at = sending.endpoint(server)
    server.script.on(smtpd.DOT, smtpd.Behaviour(drop=smtpd.Drop.INSTEAD), times=1)
    of = sender.settings.put(sending.settings("team-a", at))
    sent = await sender.notify(of)
    await sender.until(of, sent, _S.IN_DOUBT)
    sender.settings.put(sending.settings("team-a", at, state=effective.State.SUSPENDED))
    sender.skip(301)
    other = await sender.notify(of)
    await sender.until_held()
    sender.skip(11)
    await sender.until(of, other, _S.HELD)
    assert await sender.states(of, sent) == [_S.IN_DOUBT]
    sender.settings.put(sending.settings("team-a", at))
    for each in (sent, other):
        await sender.until(of, each, _S.ACCEPTED)


async def test_what_is_in_doubt_does_not_expire(sender: sending.Sender, serve: Serve) -> None:
    """A message that may have arrived and is held for its max age has failed as InDoubt, not expired (R4)."""
    server = await serve()
    at = sending.endpoint(server)
    server.script.on(smtpd.DOT, smtpd.Behaviour(drop=smtpd.Drop.INSTEAD), times=1)
    of = sender.settings.put(sending.settings("team-a", at))
    sent = await sender.notify(of)
    await sender.until(of, sent, _S.IN_DOUBT)
    sender.settings.put(sending.settings("team-a", at, state=effective.State.SUSPENDED))
    sender.skip(3601)
    stands = await sender.until(of, sent, _S.FAILED)
    assert [each.reason for each in stands] == ["InDoubt"]


async def test_a_wall_clock_that_is_set_back_keeps_nothing(sender: sending.Sender, serve: Serve) -> None:
    """What was queued or put off by the former time goes within the longest wait of its category (R14)."""
    server = await serve()
    server.script.on("RCPT", "451 4.3.0 Later", times=1)
    of = sender.settings.put(sending.settings("team-a", sending.endpoint(server)))
    put_off = await sender.notify(of, category=vocabulary.Category.PASSWORD_RECOVERY)
    await sender.until(of, put_off, _S.DEFERRED)
    sender.settings.put(dataclasses.replace(of, state=effective.State.SUSPENDED))
    queued = await sender.notify(of, max_age=dt.timedelta(days=1))
    sender.clock.jumped = -dt.timedelta(hours=3)
    sender.settings.put(of)
    sender.skip(61)
    await sender.until(of, queued, _S.ACCEPTED)
    await sender.until(of, put_off, _S.ACCEPTED)


async def test_a_wall_clock_that_jumps_expires_nothing(sender: sending.Sender, serve: Serve) -> None:
    """After a jump forward, messages that look old are still delivered (R14)."""
    server = await serve()
    suspended = sending.settings("team-a", sending.endpoint(server), state=effective.State.SUSPENDED)
    of = sender.settings.put(suspended)
    sent = await sender.notify(of, max_age=dt.timedelta(minutes=5))
    await sender.until_held()
    sender.clock.jumped = dt.timedelta(days=2)
    sender.skip(301)
    sender.settings.put(sending.settings("team-a", sending.endpoint(server)))
    await sender.until(of, sent, _S.ACCEPTED)


async def test_an_organization_that_is_gone_fails_after_an_hour(sender: sending.Sender, serve: Serve) -> None:
    """Messages of a deleted organization are held for an hour, and then fail as OrganizationDeleted."""
    server = await serve()
    of = sending.settings("team-a", sending.endpoint(server))
    sent = await sender.notify(of, max_age=dt.timedelta(days=1))
    await sender.until_held()
    sender.skip(11)
    await sender.until(of, sent, _S.HELD)
    sender.skip(3600)
    stands = await sender.until(of, sent, _S.FAILED)
    assert [each.reason for each in stands] == ["OrganizationDeleted"]


async def test_a_recreated_namespace_inherits_nothing(sender: sending.Sender, serve: Serve) -> None:
    """Messages of a former namespace of the same name fail at once, and reach nobody (R11)."""
    server = await serve()
    former = sending.settings("team-a", sending.endpoint(server), uid="former")
    sender.settings.put(sending.settings("team-a", sending.endpoint(server), uid="present"))
    sent = await sender.notify(former)
    stands = await sender.until(former, sent, _S.FAILED)
    assert [each.reason for each in stands] == ["NamespaceDeleted"]
    assert server.transcripts == []


async def test_a_lane_that_the_policy_refuses_is_held(sender: sending.Sender, serve: Serve) -> None:
    """After three recipients were refused by policy, the lane is held; the recipients stay deferred."""
    server = await serve()
    server.script.on("RCPT", "550 5.7.1 Client refused")
    of = sender.settings.put(sending.settings("team-a", sending.endpoint(server), max_connections=1))
    sent = [await sender.notify(of, f"r{number}@example.org") for number in range(6)]
    for each in sent[:3]:
        await sender.until(of, each, _S.DEFERRED)
    server.script.clear()
    other = await sender.notify(of, category=_C.PASSWORD_RECOVERY)
    await sender.until(of, other, _S.ACCEPTED)
    assert await sender.states(of, sent[4]) == [_S.QUEUED]
    sender.skip(901)
    for each in sent:
        await sender.until(of, each, _S.ACCEPTED)


async def test_a_held_message_that_cannot_be_built_is_deferred(sender: sending.Sender, serve: Serve) -> None:
    """Released and not buildable, it is no longer shown as held, and ends as what it is (R4)."""
    at = sending.endpoint(await serve())
    of = sender.settings.put(sending.settings("team-a", at, state=effective.State.SUSPENDED))
    sent = await sender.notify(of, "nobody at all")
    await sender.until_held()
    sender.skip(11)
    await sender.until(of, sent, _S.HELD)
    sender.settings.put(sending.settings("team-a", at))
    await sender.until(of, sent, _S.DEFERRED)
    sender.skip(31)
    stands = await sender.until(of, sent, _S.FAILED)
    assert [each.reason for each in stands] == ["NotBuildable"]


async def test_a_wrong_password_is_used_once_whatever_limits_its_users_want(
    sender: sending.Sender, serve: Serve
) -> None:
    """Organizations of a namespace with one Secret, one server and different limits are one AUTH (R12)."""
    server = await serve(smtpd.Options(users={"robot": "right"}, plaintext_auth=True))
    at = sending.endpoint(server, origin=vocabulary.Origin.ORG)
    wrong = sender.secrets.put("team-a", "smtp", "wrong", endpoint=str(at))
    auth = sending.login(wrong, origin=vocabulary.Origin.ORG)
    everyone = [
        sender.settings.put(sending.settings("team-a", at, name=f"org-{number}", auth=auth, max_connections=number + 1))
        for number in range(5)
    ]
    sent = [await sender.notify(of) for of in everyone]
    await wait.until_async(lambda: len(sender.delivery.held()) == 5, within_seconds=5, why="all are held")
    sender.skip(11)
    for of, each in zip(everyone, sent, strict=True):
        await sender.until(of, each, _S.HELD)
    assert len(server.auth_attempts) == 1


async def test_what_is_being_marked_as_held_is_nobody_s_to_claim(sender: sending.Sender, serve: Serve) -> None:
    """While that is stored its organization is blocked and mended: what goes then goes once, and is shown so (R4)."""
    server = await serve()
    good = sending.settings("team-a", sending.endpoint(server), max_connections=1)
    of = sender.settings.put(good)
    # What it is sent with is stored already.
    await sender.until(of, await sender.notify(of), _S.ACCEPTED)
    server.script.on("RCPT", "550 5.7.60 Not as this sender")
    sent = [await sender.notify(of) for _ in range(8)]
    lane = sending.lane(of)
    await wait.until_async(
        lambda: sender.delivery.hold_of(lane, _C.JOB_ALERT),
        within_seconds=10,
        why="the lane is held",
        poll_seconds=0.001,
    )
    entries = sender.delivery._schedule.open(lane).entries
    await wait.until_async(
        lambda: len(entries) >= 5 and all(entry.place is not lanes.EntryPlace.ACTIVE for entry in entries.values()),
        within_seconds=10,
        why="five were not tried, and none is under way",
        poll_seconds=0.001,
    )
    async with _stalled(sender):
        sender.skip(2)
        await wait.until_async(
            lambda: sum(entry.pending.state is _S.QUEUED for entry in entries.values()) == 0,
            within_seconds=10,
            why="those that were not tried are being marked",
        )
        sender.settings.put(dataclasses.replace(good, state=effective.State.BLOCKED))
        await wait.until_async(sender.delivery.held, within_seconds=10, why="all of it is held")
        server.script.clear()
        sender.settings.put(good)
        await wait.until_async(lambda: not sender.delivery.held(), within_seconds=10, why="nothing of it is held")
        await asyncio.sleep(0)
    sender.skip(901)
    for each in sent[3:]:
        await sender.until(of, each, _S.ACCEPTED)
    ids = [message.message_id for message in server.messages]
    assert len(ids) == len(set(ids))


def _stalled(sender: sending.Sender) -> contextlib.AbstractAsyncContextManager[object]:
    """Let no outcome be committed within this context, while the queue can be read."""
    if sender.shared is not None:
        return locked_tables.LockedTable(sender.shared.dsn(), "recipients", may_read=True)
    return queues.stalled(typing.cast("embedded.EmbeddedQueue", sender.opened))
