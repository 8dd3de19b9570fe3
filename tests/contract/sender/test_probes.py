"""Probes say what is wrong, to whom it may be said, and not too often (R7, R12)."""

import collections.abc
import dataclasses
import datetime as dt
import pathlib

import pytest

from kit import certs, dns, logins, sending, smtpd, wait
from mailtier.api import reasons, vocabulary
from mailtier.sender.probing import targets
from mailtier.sender.secrets import credentials
from mailtier.settings import codec, effective

Serve = collections.abc.Callable[..., collections.abc.Awaitable[smtpd.Server]]
_STAGE = vocabulary.ProbeStage


async def test_a_good_endpoint_is_verified_and_nothing_is_sent(sender: sending.Sender, login: logins.Login) -> None:
    """The probe goes through every stage up to MAIL FROM, and takes that back."""
    found = await sender.check(login.settings)
    assert (found.reason, found.stage) == ("Verified", None)
    assert found.key == codec.probe_key(login.settings)
    assert login.settings.auth is not None
    assert login.settings.auth.secret is not None
    assert found.secret_version == login.settings.auth.secret.version
    assert found.certificate_expires_at is not None
    assert found.certificate_expires_at > dt.datetime.now(dt.UTC)
    commands = login.server.transcripts[0].commands()
    assert b"MAIL FROM:<noreply@example.com>" in commands
    assert b"RSET" in commands
    assert not any(command.startswith(b"RCPT") for command in commands)
    assert login.server.messages == []


@pytest.mark.parametrize(
    ("command", "reply", "expected"),
    [
        (smtpd.GREETING, "554 5.7.1 Not you", (reasons.GREETING_FAILED, _STAGE.EHLO)),
        (smtpd.GREETING, b"SSH-2.0-OpenSSH_9.2\r\n", (reasons.GREETING_FAILED, _STAGE.EHLO)),
        ("EHLO", "502 5.5.1 Command not implemented", (reasons.STARTTLS_NOT_OFFERED, _STAGE.TLS)),
        ("EHLO", "501 5.5.2 Bad name", (reasons.CLIENT_NAME_REFUSED, _STAGE.EHLO)),
        ("EHLO", "554 5.3.0 No", (reasons.EHLO_FAILED, _STAGE.EHLO)),
        ("STARTTLS", "454 4.7.0 TLS not available", (reasons.TLS_FAILED, _STAGE.TLS)),
        ("AUTH", "535 5.7.8 Wrong", (reasons.AUTH_FAILED, _STAGE.AUTH)),
        ("AUTH", "454 4.7.0 Later", (reasons.SERVER_UNAVAILABLE, _STAGE.AUTH)),
        ("AUTH", smtpd.Behaviour(drop=smtpd.Drop.BEFORE), (reasons.SERVER_UNAVAILABLE, _STAGE.AUTH)),
        ("MAIL", "550 5.7.60 Not your address", (reasons.SENDER_REFUSED, _STAGE.MAIL)),
        ("MAIL", "421 4.3.2 Leaving", (reasons.SERVER_UNAVAILABLE, _STAGE.MAIL)),
    ],
)
async def test_each_failure_has_its_reason_and_stage(
    sender: sending.Sender,
    login: logins.Login,
    command: str,
    reply: str | bytes | smtpd.Behaviour,
    expected: tuple[reasons.Reason, vocabulary.ProbeStage],
) -> None:
    """What the server does wrong is told by reason and stage."""
    login.server.script.on(command, reply)
    found = await sender.check(login.settings)
    assert (found.reason, found.stage) == (expected[0].name, expected[1])


async def test_edits_during_a_probe_take_no_endpoint_from_it(
    sender: sending.Sender, login: logins.Login, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many endpoints are named while it reads the password, the probed one is not forgotten (R15)."""
    of, read = login.settings, sender.secrets.read
    assert of.endpoint is not None

    async def read_late(namespace: str, name: str) -> credentials.SecretObject:
        for number in range(100):
            edited = dataclasses.replace(of.endpoint, host=f"smtp-{number}.test")
            sender.destinations.get(dataclasses.replace(of, endpoint=edited))
        sender.destinations.prune(keep=())
        return await read(namespace, name)

    monkeypatch.setattr(sender.secrets, "read", read_late)
    assert (await sender.check(of)).reason == "Verified"
    assert len(sender.destinations) == 51


async def test_failures_before_smtp_have_theirs(sender: sending.Sender, login: logins.Login) -> None:
    """Name, address, connection and certificate are told apart."""
    at = login.settings.endpoint
    assert at is not None
    other_tls = dataclasses.replace(at.tls, server_name="other.test")
    cases = {
        "DnsFailed": dataclasses.replace(at, host="nowhere.invalid"),
        "AddressDenied": dataclasses.replace(at, addresses=sending.PUBLIC),
        "ConnectFailed": dataclasses.replace(at, host="127.0.0.9"),
        "TlsFailed": dataclasses.replace(at, tls=other_tls),
    }
    for number, (reason, endpoint) in enumerate(cases.items()):
        of = dataclasses.replace(
            login.settings,
            organization=effective.OrganizationKey(namespace=f"team-{number}", name="default"),
            namespace_uid=f"uid-{number}",
            endpoint=endpoint,
            auth=sending.ANONYMOUS,
        )
        found = await sender.check(of)
        assert found.reason == reason
    assert "certificate" in found.owner_message
    assert "other.test" in found.owner_message
    assert "other.test" not in found.tenant_message


async def test_a_name_that_only_a_search_list_finds_has_its_reason(tmp_path: pathlib.Path) -> None:
    """The owner reads which name to write, others that it is not whole; nothing is connected to (R6, R7)."""
    configuration = dns.configure_pod(tmp_path, namespace="mailtier-system")
    whole = "relay.mail.svc.cluster.local"
    async with (
        smtpd.Server() as server,
        dns.Server({whole: ["127.0.0.1"]}) as nameserver,
        sending.Sender(tmp_path, nameserver=nameserver.address, resolv_conf=configuration) as sender,
    ):
        at = sending.endpoint(server, host="relay.mail.svc")
        found = await sender.check(sending.settings("team-a", at))
        assert (found.reason, found.stage) == (reasons.NAME_NOT_ABSOLUTE.name, _STAGE.DNS)
        assert f"write {whole}" in found.owner_message
        assert "relay" not in found.tenant_message
        assert server.transcripts == []
        found = await sender.check(sending.settings("team-b", dataclasses.replace(at, host=whole)))
        assert found.reason == reasons.VERIFIED.name


async def test_tenants_read_codes_alone(sender: sending.Sender, login: logins.Login) -> None:
    """What the server said goes to the endpoint's owner; others read the codes (R7)."""
    login.server.script.on("AUTH", "535 5.7.8 Hello robot, mailbox of internal-relay-7 is locked")
    found = await sender.check(login.settings)
    assert "internal-relay-7" in found.owner_message
    assert "535 5.7.8" in found.tenant_message
    assert "internal" not in found.tenant_message
    assert "robot" not in found.tenant_message


async def test_probe_and_delivery_share_one_refusal(sender: sending.Sender, login: logins.Login) -> None:
    """Whoever learns first that a password is wrong, it is sent once (R12)."""
    login.server.script.on("AUTH", "535 5.7.8 Wrong")
    await sender.check(login.settings)
    sent = await sender.notify(login.settings)

    async def held() -> bool:
        sender.skip(61)
        await sender.check(login.settings)
        return await sender.states(login.settings, sent) == [vocabulary.RecipientState.HELD]

    await wait.until_async(held, within_seconds=5, why="the message is held")
    assert len(login.server.auth_attempts) == 1


async def test_a_restart_does_not_try_a_refused_password_again(sender: sending.Sender, login: logins.Login) -> None:
    """What an earlier process learned of a Secret's version is remembered (R12)."""
    login.server.script.on("AUTH", "535 5.7.8 Wrong")
    assert (await sender.check(login.settings)).reason == "AuthFailed"
    await sender.stop()
    await sender.queue.close()
    async with sending.Sender(sender.folder, before=sender) as again:
        # As delivery, probes and whoever else has to know do; what was refused once counts once.
        for _ in range(3):
            await again.prober.load()
        sent = await again.notify(login.settings)

        async def held() -> bool:
            return await again.states(login.settings, sent) == [vocabulary.RecipientState.HELD]

        await wait.until_async(again.delivery.held, within_seconds=3, why="the organization is held")
        again.skip(11)
        await wait.until_async(held, within_seconds=3, why="the message is held")
        assert (await again.check(login.settings)).reason == "AuthFailed"
    assert len(login.server.auth_attempts) == 1


async def test_probes_leave_the_connection_limit_alone(sender: sending.Sender, serve: Serve) -> None:
    """A probe waits for a slot like everyone, and gets the next one."""
    server = await serve()
    server.script.on(smtpd.DOT, smtpd.Behaviour(delay_seconds=0.02))
    of = sender.settings.put(sending.settings("team-a", sending.endpoint(server), max_connections=1))
    for _ in range(30):
        await sender.notify(of)
    await wait.until_async(lambda: server.messages, within_seconds=5, why="delivery has begun")
    found = await sender.check(of)
    assert found.reason == "Verified"
    assert len(server.messages) < 30
    assert server.peak_connections == 1


async def test_a_server_that_wants_credentials_says_so(sender: sending.Sender, login: logins.Login) -> None:
    """Anonymous at a server that demands AUTH is a matter of credentials, not of the sender address."""
    anonymous = sending.settings("team-a", login.settings.endpoint)
    found = await sender.check(anonymous)
    assert (found.reason, found.stage) == ("AuthRequired", _STAGE.MAIL)


async def test_blocked_settings_are_not_probed(sender: sending.Sender, serve: Serve) -> None:
    """Nothing is connected to while the settings are blocked."""
    server = await serve()
    of = sending.settings("team-a", sending.endpoint(server), state=effective.State.BLOCKED)
    with pytest.raises(targets.NotProbeableError):
        await sender.check(of)
    assert server.transcripts == []


async def test_probes_run_by_themselves(sender: sending.Sender, serve: Serve) -> None:
    """A change is probed at once, a failure again after a minute, a good endpoint after half an hour."""
    server = await serve()
    server.script.on("MAIL", "550 5.7.1 No", times=1)
    async with sender.probing():
        of = sender.settings.put(sending.settings("team-a", sending.endpoint(server)))

        async def reason() -> str:
            return next((each.reason for each in await sender.queue.probes()), "")

        async def is_refused() -> bool:
            return await reason() == "SenderRefused"

        async def is_verified() -> bool:
            return await reason() == "Verified"

        await wait.until_async(is_refused, within_seconds=30, why="the first probe fails")
        assert len(server.transcripts) == 1
        sender.skip(70)
        await wait.until_async(is_verified, within_seconds=30, why="the second probe is good")
        probed = server.recorder.connection_count
        sender.skip(1000)
        assert server.recorder.connection_count == probed
        sender.skip(1100)
        await wait.until_async(
            lambda: server.recorder.connection_count > probed, within_seconds=5, why="it is probed again"
        )
    assert of.organization.namespace == "team-a"


async def test_many_senders_on_one_relay_share_a_connection(sender: sending.Sender, serve: Serve) -> None:
    """Organizations that differ in their sender address alone are probed over few connections."""
    server = await serve()
    at = sending.endpoint(server)
    async with sender.probing():
        for number in range(30):
            sender.settings.put(sending.settings(f"team-{number}", at, from_address=f"team-{number}@example.com"))

        async def are_verified() -> bool:
            return [each.reason for each in await sender.queue.probes()] == ["Verified"] * 30

        await wait.until_async(are_verified, within_seconds=10, why="all are probed")
    assert len(server.transcripts) <= 3


async def test_a_restart_remembers_a_refusal_for_all_who_use_the_login(
    sender: sending.Sender, login: logins.Login
) -> None:
    """An organization that was never probed does not try a password that another one knows to be refused (R12)."""
    login.server.script.on("AUTH", "535 5.7.8 Wrong")
    assert (await sender.check(login.settings)).reason == "AuthFailed"
    await sender.stop()
    await sender.queue.close()
    async with sending.Sender(sender.folder, before=sender) as again:
        await again.prober.load()
        again.settings.put(login.settings)
        assert login.settings.endpoint is not None
        other = again.settings.put(
            sending.settings(
                "team-b",
                login.settings.endpoint,
                auth=login.settings.auth or sending.ANONYMOUS,
                from_address="b@b.test",
            )
        )
        await again.notify(other)
        await again.until_held()
    assert len(login.server.auth_attempts) == 1


async def test_a_secret_that_could_not_be_read_is_tried_again_soon(sender: sending.Sender, login: logins.Login) -> None:
    """A probe without credentials is made up for after a minute, not after half an hour."""
    sender.secrets.remove("mailtier", "smtp")
    async with sender.probing():
        sender.settings.put(login.settings)
        await wait.until_async(lambda: sender.secrets.reads, within_seconds=5, why="the Secret is asked for")
        sender.secrets.put("mailtier", "smtp", logins.PASSWORD, endpoint=str(login.settings.endpoint))
        await _until_probed(sender, "Verified", skip_seconds=70)


async def test_a_secret_that_changes_during_a_probe_is_probed_again(
    sender: sending.Sender, login: logins.Login
) -> None:
    """What was mended while a probe was under way is found at once, not after half an hour."""
    wrong = sender.secrets.put("mailtier", "smtp", "wrong", endpoint=str(login.settings.endpoint))
    login.server.script.on("AUTH", smtpd.Behaviour(delay_seconds=0.3, reply="535 5.7.8 Wrong"), times=1)
    async with sender.probing():
        sender.settings.put(dataclasses.replace(login.settings, auth=sending.login(wrong)))
        await wait.until_async(lambda: login.server.recorder.connection_count, within_seconds=5, why="it is probed")
        right = sender.secrets.put("mailtier", "smtp", logins.PASSWORD, endpoint=str(login.settings.endpoint))
        sender.settings.put(dataclasses.replace(login.settings, auth=sending.login(right)))
        await _until_probed(sender, "AuthFailed")
        await _until_probed(sender, "Verified", skip_seconds=6)


async def test_nothing_is_remembered_of_settings_that_are_gone(sender: sending.Sender, serve: Serve) -> None:
    """The result of a probe is dropped from memory with the last organization that it spoke of."""
    of = sending.settings("team-a", sending.endpoint(await serve()))
    await sender.check(of)
    assert len(sender.prober._memory) == 1
    sender.settings.remove(of.organization)
    assert len(sender.prober._memory) == 0


async def _until_probed(sender: sending.Sender, reason: str, *, skip_seconds: float = 0) -> None:
    """Return when the stored result has a reason, once the time is skipped."""

    async def is_stored() -> bool:
        return [each.reason for each in await sender.queue.probes()] == [reason]

    sender.skip(skip_seconds)
    await wait.until_async(is_stored, within_seconds=5, why=f"the probe says {reason}")


async def test_a_delivery_that_meets_a_dead_server_has_it_probed(sender: sending.Sender, serve: Serve) -> None:
    """Verified does not stay True for half an hour while mail is deferred."""
    server = await serve()
    of = sending.settings("team-a", sending.endpoint(server))
    async with sender.probing():
        sender.settings.put(of)

        async def reason() -> str:
            return next((each.reason for each in await sender.queue.probes()), "")

        async def is_verified() -> bool:
            return await reason() == "Verified"

        async def is_dead() -> bool:
            return await reason() == "ConnectFailed"

        await wait.until_async(is_verified, within_seconds=5, why="the server is verified")
        await server.stop()
        await sender.notify(of)
        sender.skip(70)
        await wait.until_async(is_dead, within_seconds=10, why="the probe says that the server is dead")


async def test_a_refused_greeting_over_implicit_tls_is_the_greeting_s(
    sender: sending.Sender, serve: Serve, authority: certs.Authority, leaf: certs.Leaf
) -> None:
    """What went well before it, TLS, is not blamed."""
    server = await serve(smtpd.Options(tls=smtpd.Tls.IMPLICIT, context=leaf.server_context()))
    server.script.on(smtpd.GREETING, "554 5.7.1 Not you")
    implicit = dataclasses.replace(logins.protected(sender, authority), mode=vocabulary.TlsMode.IMPLICIT)
    found = await sender.check(sending.settings("team-a", sending.endpoint(server, tls=implicit)))
    assert (found.reason, found.stage) == ("GreetingFailed", _STAGE.EHLO)
