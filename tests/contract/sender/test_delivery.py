"""What is queued is delivered, whatever servers do (R4, R10)."""

import asyncio
import collections.abc
import datetime as dt

import pytest

from kit import backends, sending, smtpd, wait
from mailtier.api import vocabulary

_S = vocabulary.RecipientState
_C = vocabulary.Category
Serve = collections.abc.Callable[..., collections.abc.Awaitable[smtpd.Server]]


async def test_a_notification_is_delivered(sender: sending.Sender, serve: Serve) -> None:
    """A queued notification arrives with its subject and text, and is recorded as accepted."""
    server = await serve()
    of = sender.settings.put(sending.settings("team-a", sending.endpoint(server)))
    sent = await sender.notify(of, "a@example.org", "b@example.org")
    await sender.until(of, sent, _S.ACCEPTED, _S.ACCEPTED)
    assert sorted(message.rcpt_to for message in server.messages) == [("a@example.org",), ("b@example.org",)]
    parsed = server.messages[0].parsed()
    assert parsed["Subject"] == "Something happened"
    assert parsed["From"] == "Example <noreply@example.com>"
    assert parsed["Auto-Submitted"] == "auto-generated"
    assert server.messages[0].message_id.endswith("@example.com>")
    assert [transcript.violations for transcript in server.transcripts if transcript.violations] == []


@pytest.mark.parametrize("category", list(_C))
async def test_every_category_has_templates_that_work(
    sender: sending.Sender, serve: Serve, category: vocabulary.Category
) -> None:
    """A message of each category is built and delivered."""
    server = await serve()
    of = sender.settings.put(sending.settings("team-a", sending.endpoint(server)))
    sent = await sender.notify(of, category=category, data={"link": "https://example.org/reset?t=1"})
    await sender.until(of, sent, _S.ACCEPTED)


async def test_sessions_carry_many_messages_and_no_more_than_their_share(sender: sending.Sender, serve: Serve) -> None:
    """A connection is used for messagesPerConnection messages, and then another one."""
    server = await serve()
    of = sender.settings.put(
        sending.settings("team-a", sending.endpoint(server), max_connections=1, messages_per_connection=10)
    )
    sent = [await sender.notify(of) for _ in range(30)]
    for each in sent:
        await sender.until(of, each, _S.ACCEPTED)
    assert len(server.transcripts) == 3
    assert server.peak_connections == 1


async def test_the_connection_limit_holds_for_all_organizations_together(sender: sending.Sender, serve: Serve) -> None:
    """Fifty organizations on the host's relay never have more connections together than it allows."""
    server = await serve()
    server.script.on(smtpd.DOT, smtpd.Behaviour(delay_seconds=0.005))
    at = sending.endpoint(server)
    everyone = [
        sender.settings.put(sending.settings(f"team-{number}", at, max_connections=3, messages_per_connection=4))
        for number in range(50)
    ]
    sent = [(of, await sender.notify(of)) for of in everyone for _ in range(3)]
    for of, each in sent:
        await sender.until(of, each, _S.ACCEPTED)
    assert server.peak_connections == 3


async def test_the_limit_holds_where_everyone_has_credentials_of_their_own(
    sender: sending.Sender, serve: Serve
) -> None:
    """Sessions with other credentials make room for each other, and none is used with another's (R3)."""
    server = await serve(
        smtpd.Options(users={f"robot-{number}": f"pw-{number}" for number in range(6)}, plaintext_auth=True)
    )
    at = sending.endpoint(server)
    everyone = []
    for number in range(6):
        reference = sender.secrets.put(f"team-{number}", "smtp", f"pw-{number}", endpoint=str(at))
        auth = sending.login(reference, identity=f"robot-{number}")
        everyone.append(
            sender.settings.put(
                sending.settings(
                    f"team-{number}", at, auth=auth, max_connections=2, from_address=f"robot-{number}@example.com"
                )
            )
        )
    sent = [(of, await sender.notify(of)) for _ in range(4) for of in everyone]
    for of, each in sent:
        await sender.until(of, each, _S.ACCEPTED)
    assert server.peak_connections == 2
    for message in server.messages:
        assert message.mail_from == f"{message.username}@example.com"


async def test_a_permanent_refusal_fails(sender: sending.Sender, serve: Serve) -> None:
    """After 550 5.1.1 the recipient has failed, and others of the notification are not touched."""
    server = await serve()
    server.script.on("RCPT TO:<gone@example.org>", "550 5.1.1 No such user")
    of = sender.settings.put(sending.settings("team-a", sending.endpoint(server)))
    sent = await sender.notify(of, "gone@example.org", "here@example.org")
    stands = await sender.until(of, sent, _S.FAILED, _S.ACCEPTED)
    assert stands[0].reason == "RecipientRefused"


@backends.BOTH
async def test_a_message_in_doubt_is_resent_byte_for_byte(sender: sending.Sender, serve: Serve) -> None:
    """Lost after the dot, a message is sent again after five minutes with the same bytes and Message-ID (R4)."""
    server = await serve()
    server.script.on(smtpd.DOT, smtpd.Behaviour(drop=smtpd.Drop.INSTEAD), times=1)
    of = sender.settings.put(sending.settings("team-a", sending.endpoint(server)))
    sent = await sender.notify(of)
    await sender.until(of, sent, _S.IN_DOUBT)
    # What it is resent with was decided when it was sent first.
    sender.settings.put(sending.settings("team-a", sending.endpoint(server), from_address="other@example.net"))
    sender.skip(301)
    await sender.until(of, sent, _S.ACCEPTED)
    first, second = server.messages
    assert first.data == second.data
    assert first.message_id == second.message_id != ""


@backends.BOTH
async def test_a_message_in_doubt_keeps_its_message_id_over_a_restart(sender: sending.Sender, serve: Serve) -> None:
    """However From has changed meanwhile, a resend has the Message-ID of the copy that may have arrived (R4)."""
    server = await serve()
    server.script.on(smtpd.DOT, smtpd.Behaviour(drop=smtpd.Drop.INSTEAD), times=1)
    of = sender.settings.put(sending.settings("team-a", sending.endpoint(server)))
    sent = await sender.notify(of)
    await sender.until(of, sent, _S.IN_DOUBT)
    await sender.stop()
    await sender.queue.close()
    async with sending.Sender(sender.folder, before=sender) as again:
        again.settings.put(sending.settings("team-a", sending.endpoint(server), from_address="other@example.net"))
        again.skip(301)
        await again.until(of, sent, _S.ACCEPTED)
    assert len({message.message_id for message in server.messages}) == 1


@pytest.mark.parametrize("at", ["MAIL", smtpd.DOT])
async def test_a_message_keeps_its_message_id_when_from_changes(sender: sending.Sender, serve: Serve, at: str) -> None:
    """Refused for now and tried again from another domain, over a restart too, it is still the same message (R4)."""
    server = await serve()
    server.script.on(at, "451 4.3.0 Later", times=1)
    of = sender.settings.put(sending.settings("team-a", sending.endpoint(server)))
    sent = await sender.notify(of)
    await sender.until(of, sent, _S.DEFERRED)
    await sender.stop()
    await sender.queue.close()
    async with sending.Sender(sender.folder, before=sender) as again:
        again.settings.put(sending.settings("team-a", sending.endpoint(server), from_address="other@example.net"))
        again.skip(61)
        await again.until(of, sent, _S.ACCEPTED)
    (message,) = server.messages
    assert message.mail_from == "other@example.net"
    assert message.message_id.endswith("@example.com>")


@pytest.mark.parametrize("is_offered", [True, False])
async def test_a_bounce_is_asked_for_without_the_message(
    sender: sending.Sender, serve: Serve, *, is_offered: bool
) -> None:
    """Where DSN is offered a bounce is to hold headers alone: reset links are for one reader (R1)."""
    server = await serve(smtpd.Options(extensions=smtpd.Options().extensions - (set() if is_offered else {"DSN"})))
    of = sender.settings.put(sending.settings("team-a", sending.endpoint(server)))
    await sender.until(of, await sender.notify(of, category=_C.PASSWORD_RECOVERY), _S.ACCEPTED)
    assert ("RET=HDRS" in server.messages[0].mail_parameters) == is_offered


@backends.BOTH
async def test_product_news_in_doubt_is_not_resent(sender: sending.Sender, serve: Serve) -> None:
    """Where arriving twice is worse than not at all, a message in doubt fails as InDoubt."""
    server = await serve()
    server.script.on(smtpd.DOT, smtpd.Behaviour(drop=smtpd.Drop.INSTEAD), times=1)
    of = sender.settings.put(sending.settings("team-a", sending.endpoint(server)))
    sent = await sender.notify(of, category=_C.PRODUCT_UPDATE)
    stands = await sender.until(of, sent, _S.FAILED)
    assert [each.reason for each in stands] == ["InDoubt"]


async def test_a_connection_lost_before_the_dot_charges_no_attempt(sender: sending.Sender, serve: Serve) -> None:
    """Lost at DATA, a message was certainly not taken: it is deferred without an attempt, and sent once (R12)."""
    server = await serve()
    server.script.on("DATA", smtpd.Behaviour(drop=smtpd.Drop.BEFORE), times=1)
    of = sender.settings.put(sending.settings("team-a", sending.endpoint(server)))
    sent = await sender.notify(of)
    await sender.until(of, sent, _S.DEFERRED)
    record = await sender.queue.find(sending.lane(of), sent)
    assert record is not None
    assert record.recipients[0].attempts == 0
    sender.skip(130)
    await sender.until(of, sent, _S.ACCEPTED)
    assert len(server.messages) == 1


async def test_a_dead_endpoint_does_not_delay_another(sender: sending.Sender, serve: Serve) -> None:
    """While one server does not even greet, organizations on another one are served at once (R4)."""
    dead, alive = await serve(), await serve()
    dead.script.on(smtpd.GREETING, smtpd.Behaviour(delay_seconds=60))
    unlucky = sender.settings.put(sending.settings("unlucky", sending.endpoint(dead)))
    lucky = sender.settings.put(sending.settings("lucky", sending.endpoint(alive)))
    for _ in range(200):
        await sender.notify(unlucky)
    sent = await sender.notify(lucky)
    await sender.until(lucky, sent, _S.ACCEPTED, within_seconds=3)
    assert dead.peak_connections <= 3


async def test_a_server_that_is_back_is_used_at_once(sender: sending.Sender, serve: Serve) -> None:
    """A breaker that opened lets one session try after its pause, and then all."""
    server = await serve()
    server.script.on(smtpd.GREETING, "421 4.3.2 Going down", times=1)
    of = sender.settings.put(sending.settings("team-a", sending.endpoint(server), max_connections=1))
    sent = [await sender.notify(of) for _ in range(5)]
    await sender.until(of, sent[0], _S.DEFERRED)
    for each in sent:
        await sender.until(of, each, _S.ACCEPTED)


async def test_a_message_that_cannot_be_built_fails(sender: sending.Sender, serve: Serve) -> None:
    """What the builder refuses twice has failed, and what is behind it is delivered."""
    server = await serve()
    of = sender.settings.put(sending.settings("team-a", sending.endpoint(server)))
    poison = await sender.notify(of, "nobody at all")
    sent = await sender.notify(of)
    await sender.until(of, sent, _S.ACCEPTED)
    await sender.until(of, poison, _S.DEFERRED)
    sender.skip(31)
    stands = await sender.until(of, poison, _S.FAILED)
    assert [each.reason for each in stands] == ["NotBuildable"]


async def test_a_session_that_the_server_ended_costs_nothing(sender: sending.Sender, serve: Serve) -> None:
    """An idle session that the server dropped meanwhile is replaced, without an attempt or a pause."""
    server = await serve()
    of = sender.settings.put(sending.settings("team-a", sending.endpoint(server), max_connections=1))
    first = await sender.notify(of)
    await sender.until(of, first, _S.ACCEPTED)
    await server.drop_connections()
    second = await sender.notify(of)
    await sender.until(of, second, _S.ACCEPTED, within_seconds=3)


async def test_idle_sessions_are_ended(sender: sending.Sender, serve: Serve) -> None:
    """A session without messages takes leave after a few seconds."""
    server = await serve()
    of = sender.settings.put(sending.settings("team-a", sending.endpoint(server)))
    sent = await sender.notify(of)
    await sender.until(of, sent, _S.ACCEPTED)
    sender.skip(11)
    await wait.until_async(lambda: server.open_connections == 0, within_seconds=3, why="the session has ended")
    assert server.transcripts[0].commands()[-1] == b"QUIT"


async def test_a_flood_ends_the_session(sender: sending.Sender, serve: Serve) -> None:
    """A reply without end is not read to its end (R10)."""
    server = await serve()
    server.script.on("MAIL", smtpd.Behaviour(flood_lines=100_000), times=1)
    of = sender.settings.put(sending.settings("team-a", sending.endpoint(server)))
    sent = await sender.notify(of)
    stands = await sender.until(of, sent, _S.DEFERRED, within_seconds=3)
    assert [each.reason for each in stands] == ["ProtocolError"]


async def test_an_echo_of_the_password_is_told_to_nobody(sender: sending.Sender, serve: Serve) -> None:
    """A server that quotes the AUTH payload or the password gets neither into a record (R1, R7)."""
    server = await serve(smtpd.Options(users={"robot": "correct horse"}, plaintext_auth=True))
    server.script.on("AUTH", "535 5.7.8 No: {payload} {username} {password}")
    at = sending.endpoint(server, origin=vocabulary.Origin.ORG)
    reference = sender.secrets.put("team-a", "smtp", "correct horse", endpoint=str(at))
    of = sender.settings.put(
        sending.settings("team-a", at, auth=sending.login(reference, origin=vocabulary.Origin.ORG))
    )
    sent = await sender.notify(of)
    await sender.until(of, sent, _S.HELD)
    record = await sender.queue.find(sending.lane(of), sent)
    assert record is not None
    told = record.recipients[0].message
    assert "535 5.7.8" in told
    assert "horse" not in told
    assert "AHJvYm90" not in told


async def test_what_was_queued_before_a_restart_is_delivered_after_it(sender: sending.Sender, serve: Serve) -> None:
    """Delivery takes up what the queue holds when it starts (R4)."""
    server = await serve()
    of = sending.settings("team-a", sending.endpoint(server))
    sent = await sender.notify(of)
    await sender.stop()
    await sender.queue.close()
    async with sending.Sender(sender.folder) as again:
        again.settings.put(of)
        await again.until(of, sent, _S.ACCEPTED)


@backends.BOTH
async def test_a_resend_that_is_put_off_is_still_in_doubt(sender: sending.Sender, serve: Serve) -> None:
    """A message that may have arrived stays in doubt when its resend is refused for now, and goes later (R4)."""
    server = await serve()
    server.script.on(smtpd.DOT, smtpd.Behaviour(drop=smtpd.Drop.INSTEAD), times=1)
    of = sender.settings.put(sending.settings("team-a", sending.endpoint(server)))
    sent = await sender.notify(of, max_age=dt.timedelta(days=1))
    await sender.until(of, sent, _S.IN_DOUBT)
    server.script.on(smtpd.DOT, "451 4.3.0 Later", times=1)
    sender.skip(301)

    async def is_put_off() -> bool:
        return await sender.reasons(of, sent) == ["MessageDeferred"]

    await wait.until_async(is_put_off, within_seconds=5, why="the resend is refused for now")
    assert await sender.states(of, sent) == [_S.IN_DOUBT]
    sender.skip(1801)
    await sender.until(of, sent, _S.ACCEPTED)


@backends.BOTH
async def test_a_resend_that_meets_a_dead_server_is_still_in_doubt(sender: sending.Sender, serve: Serve) -> None:
    """A message that may have arrived stays in doubt while its server serves nobody, and goes when it does (R4)."""
    server = await serve()
    server.script.on(smtpd.DOT, smtpd.Behaviour(drop=smtpd.Drop.INSTEAD), times=1)
    of = sender.settings.put(sending.settings("team-a", sending.endpoint(server)))
    sent = await sender.notify(of)
    await sender.until(of, sent, _S.IN_DOUBT)
    server.script.on(smtpd.GREETING, "421 4.3.2 Leaving")
    target = sender.destinations.get(of)
    sender.skip(301)
    await wait.until_async(
        lambda: target.health.breaker.retry_at > sender.clock.monotonic(), within_seconds=5, why="the breaker is open"
    )
    assert await sender.states(of, sent) == [_S.IN_DOUBT]
    server.script.clear()
    sender.skip(601)
    await sender.until(of, sent, _S.ACCEPTED)


async def test_a_dead_server_is_remembered_once(sender: sending.Sender, serve: Serve) -> None:
    """However much is queued for a server that is left alone, one reminder is kept to look at it again."""
    server = await serve()
    server.script.on(smtpd.GREETING, "421 4.3.2 Leaving")
    of = sender.settings.put(sending.settings("team-a", sending.endpoint(server), max_connections=1))
    target = sender.destinations.get(of)
    await sender.notify(of)
    await wait.until_async(
        lambda: target.health.breaker.retry_at > sender.clock.monotonic(), within_seconds=5, why="the breaker is open"
    )
    for _ in range(20):
        sent = await sender.notify(of)
        await asyncio.sleep(0)
    assert await sender.states(of, sent) == [_S.QUEUED]
    assert len(sender.delivery._carriers._retries) <= 1
