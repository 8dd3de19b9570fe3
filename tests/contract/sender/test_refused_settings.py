"""What a server says of the settings is the settings' fault in whatever phase: messages wait, and Verified says so."""

import collections.abc
import dataclasses

import pytest

from kit import sending, smtpd, wait
from mailtier.api import feed, vocabulary

Serve = collections.abc.Callable[..., collections.abc.Awaitable[smtpd.Server]]
_S = vocabulary.RecipientState
_HELO = "504 5.5.2 <mailtier-0>: Helo command rejected: need fully-qualified hostname"


def _commands(server: smtpd.Server) -> list[bytes]:
    return [line for transcript in server.transcripts for line in transcript.commands()]


async def _verified(sender: sending.Sender, reason: str) -> feed.Probe:
    """Return what is stored of an endpoint once it has a reason."""
    found: list[feed.Probe] = []

    async def told() -> bool:
        found[:] = [known for known in await sender.queue.probes() if known.reason == reason]
        return bool(found)

    await wait.until_async(told, within_seconds=10, why=f"Verified is {reason}")
    return found[0]


@pytest.mark.parametrize(
    ("command", "reply", "reason"),
    [
        ("RCPT", _HELO, "ClientNameRefused"),
        (smtpd.DOT, "554 5.2.252 SendAsDenied; a@x.test not allowed to send as b@x.test", "SenderRefused"),
        (smtpd.DOT, "550 5.7.60 SMTP; Client does not have permissions to send as this sender", "SenderRefused"),
        ("RCPT", "554 5.7.1 <somebody@example.org>: Relay access denied", "RelayDenied"),
        ("RCPT", "550 5.7.1 Your account is disabled", "AccountDisabled"),
        (smtpd.DOT, "554 5.7.1 Message rejected", "PolicyRefused"),
        (smtpd.DOT, "550 5.7.708 Access denied, traffic not accepted from this IP", "PolicyRefused"),
    ],
)
async def test_messages_wait_until_the_settings_are_mended(
    sender: sending.Sender, serve: Serve, command: str, reply: str, reason: str
) -> None:
    """Three recipients are refused for good, nothing fails, Verified turns False, and new settings send them all."""
    server = await serve()
    server.script.on(command, reply)
    at = sending.endpoint(server, origin=vocabulary.Origin.ORG)
    of = sender.settings.put(sending.settings("team-a", at))
    async with sender.probing():
        sent = [await sender.notify(of, f"user{number}@example.org") for number in range(5)]
        told = await _verified(sender, reason)
        assert told.stage is vocabulary.ProbeStage.MAIL
        assert reply.split(maxsplit=1)[0] in told.owner_message
        assert "A delivery was told so" in told.owner_message
        # A probe that gets to MAIL and finds nothing does not praise what deliveries were told.
        sender.skip(61)
        assert (await sender.check(of)).reason == reason
        for each in sent:
            assert await sender.states(of, each) in [[_S.DEFERRED], [_S.QUEUED], [_S.HELD]]
        server.script.clear()
        sender.skip(600)
        sender.settings.put(sending.settings("team-a", at, from_address="other@example.com"))
        for each in sent:
            await sender.until(of, each, _S.ACCEPTED)
        await _verified(sender, "Verified")


async def test_a_held_lane_is_tried_after_15_minutes(sender: sending.Sender, serve: Serve) -> None:
    """What the server's administrator mended is found without a change of settings, and Verified with it."""
    server = await serve()
    server.script.on("RCPT", _HELO)
    of = sender.settings.put(sending.settings("team-a", sending.endpoint(server, origin=vocabulary.Origin.ORG)))
    async with sender.probing():
        sent = [await sender.notify(of, f"user{number}@example.org") for number in range(4)]
        await _verified(sender, "ClientNameRefused")
        server.script.clear()
        sender.skip(901)
        for each in sent:
            await sender.until(of, each, _S.ACCEPTED)
        sender.skip(61)
        await _verified(sender, "Verified")


async def test_an_acceptance_ends_the_hold_of_its_lane(sender: sending.Sender, serve: Serve) -> None:
    """What was on its way when the third recipient was refused, and is taken, shows that the settings are not."""
    server = await serve()
    of = sender.settings.put(sending.settings("team-a", sending.endpoint(server, origin=vocabulary.Origin.ORG)))
    # From then on there is more than one connection.
    await sender.until(of, await sender.notify(of), _S.ACCEPTED)
    server.script.on("RCPT TO:<user", "554 5.7.1 Not for you")
    server.script.on(smtpd.DOT, smtpd.Behaviour(reply="250 2.0.0 Ok", delay_seconds=2), times=1)
    taken = await sender.notify(of, "taken@example.org")
    await wait.until_async(
        lambda: any(b"taken@" in line for line in _commands(server)), within_seconds=10, why="it is on its way"
    )
    for number in range(3):
        await sender.until(of, await sender.notify(of, f"user{number}@example.org"), _S.DEFERRED)
    assert sender.delivery.hold_of(sending.lane(of), vocabulary.Category.JOB_ALERT) is not None
    waits = await sender.notify(of, "other@example.org")
    await sender.until(of, taken, _S.ACCEPTED)
    await sender.until(of, waits, _S.ACCEPTED)


async def test_what_was_said_of_former_settings_holds_nobody(sender: sending.Sender, serve: Serve) -> None:
    """Refused while somebody mended the settings, three messages do not hold those that go with the new ones."""
    server = await serve()
    of = sender.settings.put(sending.settings("team-a", sending.endpoint(server, origin=vocabulary.Origin.ORG)))
    await sender.until(of, await sender.notify(of), _S.ACCEPTED)
    refusal = smtpd.Behaviour(reply="554 5.7.1 Relay access denied", delay_seconds=1)
    for number in range(3):
        server.script.on(f"RCPT TO:<user{number}@", refusal)
    sent = [await sender.notify(of, f"user{number}@example.org") for number in range(3)]
    asked = [f"user{number}@".encode() for number in range(3)]
    await wait.until_async(
        lambda: all(any(each in line for line in _commands(server)) for each in asked),
        within_seconds=10,
        why="the server was asked for all three",
    )
    sender.settings.put(dataclasses.replace(of, delivery=dataclasses.replace(of.delivery, rate_per_minute=6_000)))
    for each in sent:
        await sender.until(of, each, _S.DEFERRED)
    await sender.until(of, await sender.notify(of), _S.ACCEPTED)


async def test_one_recipient_is_enough_after_ten_minutes(sender: sending.Sender, serve: Serve) -> None:
    """A single message that is refused for ten minutes is not its recipient's fault."""
    server = await serve()
    server.script.on("RCPT", _HELO)
    of = sender.settings.put(sending.settings("team-a", sending.endpoint(server, origin=vocabulary.Origin.ORG)))
    async with sender.probing():
        sent = await sender.notify(of)
        await sender.until(of, sent, _S.DEFERRED)
        assert "ClientNameRefused" not in {known.reason for known in await sender.queue.probes()}
        sender.skip(700)
        await _verified(sender, "ClientNameRefused")
        assert await sender.states(of, sent) == [_S.DEFERRED]


async def test_a_provider_s_remedy_is_told(sender: sending.Sender, serve: Serve) -> None:
    """What the provider's file knows of the error stands in Verified and with the recipient, as after a probe."""
    server = await serve()
    server.script.on(smtpd.DOT, "550 5.7.60 SMTP; Client does not have permissions to send as this sender")
    of = sender.settings.put(sending.settings("team-a", sending.endpoint(server, origin=vocabulary.Origin.ORG)))
    async with sender.probing():
        sent = [await sender.notify(of, f"user{number}@example.org") for number in range(3)]
        told = await _verified(sender, "SenderRefused")
        assert "Add-ADPermission" in told.owner_message
        assert "Add-ADPermission" not in told.tenant_message
        record = await sender.queue.find(sending.lane(of), sent[0])
        assert record is not None
        assert "Add-ADPermission" in record.recipients[0].message


async def test_one_tenant_alone_does_not_accuse_the_host_s_server(sender: sending.Sender, serve: Serve) -> None:
    """Who chooses his recipients may provoke refusals: Verified of all who inherit waits for a second one (R15)."""
    server = await serve()
    server.script.on("RCPT", "554 5.7.1 Not for you")
    at = sending.endpoint(server)
    first = sender.settings.put(sending.settings("team-a", at))
    second = sender.settings.put(sending.settings("team-b", at))
    async with sender.probing():
        await _verified(sender, "Verified")
        sent = [await sender.notify(first, f"user{number}@example.org") for number in range(3)]
        for each in sent:
            await sender.until(first, each, _S.DEFERRED)
        sender.skip(61)
        assert (await sender.check(first)).reason == "Verified"
        sent = [await sender.notify(second, f"user{number}@example.org") for number in range(3)]
        for each in sent:
            await sender.until(second, each, _S.DEFERRED)
        told = await _verified(sender, "PolicyRefused")
        assert "Not for you" not in told.tenant_message


async def test_a_recipient_that_is_refused_holds_nobody(sender: sending.Sender, serve: Serve) -> None:
    """Three recipients that do not exist fail, and the fourth message goes."""
    server = await serve()
    server.script.on("RCPT", "550 5.1.1 No such user", times=3)
    of = sender.settings.put(sending.settings("team-a", sending.endpoint(server), max_connections=1))
    for number in range(3):
        await sender.until(of, await sender.notify(of, f"user{number}@example.org"), _S.FAILED)
    await sender.until(of, await sender.notify(of), _S.ACCEPTED)


async def test_mail_that_wants_auth_first_is_not_the_sender_s_fault(sender: sending.Sender, serve: Serve) -> None:
    """503 at MAIL with these words is AuthRequired, and the messages are held."""
    server = await serve()
    server.script.on("MAIL", "503 Error: need EHLO and AUTH first")
    of = sender.settings.put(sending.settings("team-a", sending.endpoint(server, origin=vocabulary.Origin.ORG)))
    assert (await sender.check(of)).reason == "AuthRequired"
    sent = await sender.notify(of)
    await sender.until_held()
    sender.skip(11)
    stands = await sender.until(of, sent, _S.HELD)
    assert [each.reason for each in stands] == ["AuthenticationRequired"]


async def test_a_demand_for_authentication_is_met_ever_less_often(sender: sending.Sender, serve: Serve) -> None:
    """Sessions open and MAIL is refused: it is asked after 5 s, 10, 20, 40 and then each minute, not each 5 s (R12)."""
    server, neighbour_s = await serve(), await serve()
    server.script.on("MAIL", "530 5.7.0 Authentication required")
    of = sender.settings.put(sending.settings("team-a", sending.endpoint(server, origin=vocabulary.Origin.ORG)))
    neighbour = sender.settings.put(sending.settings("team-b", sending.endpoint(neighbour_s)))
    sent = await sender.notify(of)

    def asked() -> int:
        return sum(line.startswith(b"MAIL") for line in _commands(server))

    for count, pause_seconds in enumerate((5, 10, 20, 40, 60, 60), start=1):
        await wait.until_async(
            lambda count=count: asked() == count and sender.delivery.held(),  # type: ignore[misc]
            within_seconds=10,
            why=f"it was asked {count} times",
        )
        sender.skip(pause_seconds - 2)
        # By then whatever was due is on its way.
        await sender.until(neighbour, await sender.notify(neighbour), _S.ACCEPTED)
        assert asked() == count
        sender.skip(3)
    await wait.until_async(lambda: asked() == 7 and sender.delivery.held(), within_seconds=10, why="it was asked again")
    server.script.clear()
    sender.skip(61)
    await sender.until(of, sent, _S.ACCEPTED)
