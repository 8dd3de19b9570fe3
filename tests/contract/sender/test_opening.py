"""Sessions are opened as the settings demand, or not at all (R2, R6, R10)."""

import asyncio
import base64
import collections.abc
import datetime as dt

import pytest

from kit import certs, dns, memories, openings, sending, smtpd, written
from mailtier.api import vocabulary
from mailtier.mail import classify, reasons, wire
from mailtier.sender.net import faults, resolver, tls
from mailtier.sender.secrets import auth_states, credentials
from mailtier.sender.smtp import destinations
from mailtier.sender.smtp.sessions import opening
from mailtier.settings import effective

Serve = collections.abc.Callable[..., collections.abc.Awaitable[smtpd.Server]]
_R = reasons.DeliveryReason
_SERVING = {
    vocabulary.TlsMode.STARTTLS: smtpd.Tls.STARTTLS,
    vocabulary.TlsMode.IMPLICIT: smtpd.Tls.IMPLICIT,
}
_PASSWORD = openings.PASSWORD
_tls = openings.tls_settings
_credentials = openings.login
_options = openings.options
_Rig = openings.Rig


@pytest.fixture
def rig(authority: certs.Authority) -> _Rig:
    """Return what opens sessions."""
    return _Rig(authority)


@pytest.mark.parametrize("mechanism", [vocabulary.Mechanism.PLAIN, vocabulary.Mechanism.LOGIN])
@pytest.mark.parametrize("mode", list(_SERVING))
async def test_a_session_authenticates_under_tls(
    rig: _Rig, serve: Serve, leaf: certs.Leaf, mode: vocabulary.TlsMode, mechanism: vocabulary.Mechanism
) -> None:
    """StartTLS and Implicit verify against the bundle, ask for the server's name, and send one AUTH."""
    server = await serve(_options(leaf, _SERVING[mode]))
    at = sending.endpoint(server, tls=_tls(mode, ca=rig.ca, server_name="smtp.test"))
    opened = await rig.open(at, found=_credentials(mechanism))
    await opened.quit()
    (attempt,) = server.auth_attempts
    assert (attempt.mechanism, attempt.username, attempt.password) == (mechanism.value, "robot", _PASSWORD)
    assert attempt.tls
    assert server.transcripts[0].sni == "smtp.test"
    assert server.transcripts[0].violations == []
    assert opened.certificate_expires_at is not None


async def test_no_auth_where_starttls_is_not_offered(rig: _Rig, serve: Serve) -> None:
    """A server without STARTTLS gets no AUTH, though it offers it (R2)."""
    server = await serve(smtpd.Options(users={"robot": _PASSWORD}, plaintext_auth=True))
    at = sending.endpoint(server, tls=_tls(vocabulary.TlsMode.STARTTLS, ca=rig.ca))
    error = await rig.fails(at, found=_credentials())
    assert (error.phase, error.failure.reason) == (classify.Phase.TLS, _R.STARTTLS_NOT_OFFERED)
    assert not any(command.startswith(b"AUTH") for command in server.transcripts[0].commands())


@pytest.mark.parametrize("reply", ["500 5.5.1 Command unrecognized", "502 5.5.1 Command not implemented"])
async def test_a_server_that_does_not_know_ehlo_is_greeted_with_helo(rig: _Rig, serve: Serve, reply: str) -> None:
    """It has no extensions, and takes mail all the same (RFC 5321 section 3.2)."""
    server = await serve()
    server.script.on("EHLO", reply)
    opened = await rig.open(sending.endpoint(server))
    assert opened.offered == wire.Extensions.from_ehlo({})
    await opened.quit()
    assert [command.split()[0] for command in server.transcripts[0].commands()] == [b"EHLO", b"HELO", b"QUIT"]


@pytest.mark.parametrize("mode", [vocabulary.TlsMode.STARTTLS, vocabulary.TlsMode.DISABLED])
async def test_what_takes_an_extension_is_not_had_by_helo(rig: _Rig, serve: Serve, mode: vocabulary.TlsMode) -> None:
    """Required TLS and credentials fail, and say why; no AUTH is sent (R2)."""
    server = await serve(smtpd.Options(users={"robot": _PASSWORD}, plaintext_auth=True))
    server.script.on("EHLO", "502 5.5.1 Command not implemented")
    error = await rig.fails(sending.endpoint(server, tls=_tls(mode)), found=_credentials())
    is_plain = mode is vocabulary.TlsMode.DISABLED
    assert error.failure.reason == (_R.MECHANISM_NOT_OFFERED if is_plain else _R.STARTTLS_NOT_OFFERED)
    assert "does not know EHLO" in error.failure.text
    assert not any(command.startswith(b"AUTH") for command in server.transcripts[0].commands())


async def test_what_was_offered_in_clear_is_forgotten_by_helo_too(rig: _Rig, serve: Serve, leaf: certs.Leaf) -> None:
    """A server that no longer knows EHLO after TLS offers no AUTH, whatever it said before (RFC 3207 section 4.2)."""
    server = await serve(
        smtpd.Options(
            tls=smtpd.Tls.STARTTLS, context=leaf.server_context(), users={"robot": _PASSWORD}, plaintext_auth=True
        )
    )
    server.script.on("EHLO", "502 5.5.1 Command not implemented", skip=1)
    error = await rig.fails(
        sending.endpoint(server, tls=_tls(vocabulary.TlsMode.STARTTLS, ca=rig.ca, server_name="smtp.test")),
        found=_credentials(),
    )
    assert error.failure.reason == _R.MECHANISM_NOT_OFFERED
    assert not any(command.startswith(b"AUTH") for command in server.transcripts[0].commands())


@pytest.mark.parametrize("mode", list(_SERVING))
@pytest.mark.parametrize("how", ["unknown authority", "other name", "expired"])
async def test_no_auth_with_a_certificate_that_does_not_verify(
    rig: _Rig, serve: Serve, authority: certs.Authority, mode: vocabulary.TlsMode, how: str
) -> None:
    """A certificate of another authority, for another name, or expired ends the session before AUTH (R2)."""
    ca: str | None = rig.ca
    issued = authority.issue("smtp.test")
    if how == "unknown authority":
        ca = None
    elif how == "other name":
        issued = authority.issue("other.test", file_name="other", loopback=False)
    else:
        past = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
        issued = authority.issue(
            "smtp.test", file_name="expired", not_before=past, not_after=past + dt.timedelta(days=1)
        )
    server = await serve(_options(issued, _SERVING[mode]))
    error = await rig.fails(sending.endpoint(server, tls=_tls(mode, ca=ca)), found=_credentials())
    assert (error.phase, error.failure.reason) == (classify.Phase.TLS, _R.CERTIFICATE_NOT_TRUSTED)
    assert server.auth_attempts == []
    assert not any(command.startswith(b"AUTH") for command in server.transcripts[0].commands())


async def test_a_bundle_that_is_not_published_opens_nothing(rig: _Rig, serve: Serve, leaf: certs.Leaf) -> None:
    """Without its CA bundle a session is not opened with the public CAs instead (R2)."""
    server = await serve(_options(leaf, smtpd.Tls.STARTTLS))
    error = await rig.fails(sending.endpoint(server, tls=_tls(vocabulary.TlsMode.STARTTLS, ca="0" * 64)))
    assert error.failure.reason is _R.TLS_FAILED
    assert server.transcripts == []


async def test_what_is_sent_before_the_handshake_is_not_believed(rig: _Rig, serve: Serve, leaf: certs.Leaf) -> None:
    """Text that a man in the middle puts behind the answer to STARTTLS has no effect (CVE-2011-0411) (R2)."""
    server = await serve(_options(leaf, smtpd.Tls.STARTTLS, mechanisms=("LOGIN",)))
    server.script.on("STARTTLS", b"220 2.0.0 Go\r\n250-injected\r\n250 AUTH PLAIN\r\n")
    at = sending.endpoint(server, tls=_tls(vocabulary.TlsMode.STARTTLS, ca=rig.ca))
    error = await rig.fails(at, found=_credentials())
    assert error.failure.reason in {_R.MECHANISM_NOT_OFFERED, _R.TLS_FAILED, _R.PROTOCOL_ERROR, _R.CONNECTION_LOST}
    assert server.auth_attempts == []


async def test_a_mechanism_that_is_not_offered_is_not_tried(rig: _Rig, serve: Serve, leaf: certs.Leaf) -> None:
    """The settings' mechanism is used or none: no other one gets the password (R12)."""
    server = await serve(_options(leaf, smtpd.Tls.STARTTLS, mechanisms=("LOGIN",)))
    at = sending.endpoint(server, tls=_tls(vocabulary.TlsMode.STARTTLS, ca=rig.ca))
    error = await rig.fails(at, found=_credentials())
    assert error.failure.reason is _R.MECHANISM_NOT_OFFERED
    assert server.auth_attempts == []


async def test_a_refused_password_is_sent_once(rig: _Rig, serve: Serve, leaf: certs.Leaf) -> None:
    """After a 535, sessions with the same generation go as far as AUTH and no further; also those in flight (R12)."""
    server = await serve(_options(leaf, smtpd.Tls.STARTTLS, users={"robot": "other"}))
    at = sending.endpoint(server, tls=_tls(vocabulary.TlsMode.STARTTLS, ca=rig.ca))
    auth = auth_states.AuthState()
    results = await asyncio.gather(
        *(rig.open(at, found=_credentials(), auth=auth) for _ in range(5)), return_exceptions=True
    )
    assert all(isinstance(result, faults.DeliveryError) for result in results)
    assert len(server.auth_attempts) == 1
    assert auth.refusal is not None
    assert auth.refusal.code == 535


async def test_a_server_in_trouble_has_not_refused_the_password(rig: _Rig, serve: Serve, leaf: certs.Leaf) -> None:
    """454 at AUTH is the server's trouble: the credentials may be used again."""
    server = await serve(_options(leaf, smtpd.Tls.STARTTLS))
    server.script.on("AUTH", "454 4.7.0 Temporary authentication failure", times=1)
    at = sending.endpoint(server, tls=_tls(vocabulary.TlsMode.STARTTLS, ca=rig.ca))
    auth = auth_states.AuthState()
    error = await rig.fails(at, found=_credentials(), auth=auth)
    assert error.failure.scope is classify.Scope.SERVER
    assert auth.refusal is None
    await (await rig.open(at, found=_credentials(), auth=auth)).quit()


@pytest.mark.parametrize("stage", [smtpd.GREETING, "EHLO", "STARTTLS", "AUTH"])
async def test_a_server_that_drips_is_left_at_the_total(rig: _Rig, serve: Serve, leaf: certs.Leaf, stage: str) -> None:
    """A byte now and then holds no session longer than its wall-clock total (R10)."""
    server = await serve(_options(leaf, smtpd.Tls.STARTTLS))
    server.script.on(stage, smtpd.Behaviour(reply="220 2.0.0 By and by", drip_seconds=0.1))
    at = sending.endpoint(server, tls=_tls(vocabulary.TlsMode.STARTTLS, ca=rig.ca))
    loop = asyncio.get_running_loop()
    started = loop.time()
    error = await rig.fails(at, found=_credentials(), total=dt.timedelta(seconds=0.6))
    assert error.failure.reason is _R.TIMED_OUT
    assert loop.time() - started < 2


@pytest.mark.parametrize("stage", [smtpd.GREETING, "EHLO"])
async def test_a_flood_is_not_read_to_its_end(rig: _Rig, serve: Serve, stage: str) -> None:
    """A reply beyond 64 lines or 8 KiB is no SMTP (R10)."""
    server = await serve()
    server.script.on(stage, smtpd.Behaviour(flood_lines=100_000))
    error = await rig.fails(sending.endpoint(server))
    assert error.failure.reason in {_R.PROTOCOL_ERROR, _R.CONNECTION_LOST}


async def test_a_reply_just_beyond_the_bounds_is_refused(rig: _Rig, serve: Serve) -> None:
    """A 65th line is one too many."""
    server = await serve()
    server.script.on("EHLO", smtpd.Behaviour(flood_lines=64))
    assert (await rig.fails(sending.endpoint(server))).failure.reason is _R.PROTOCOL_ERROR


async def test_a_greeting_that_is_not_smtp_is_not_quoted(rig: _Rig, serve: Serve) -> None:
    """What another protocol says is in no failure's text (R7)."""
    server = await serve()
    server.script.on(smtpd.GREETING, b"HTTP/1.1 400 Bad Request\r\n\r\ninternal-host-17\r\n")
    error = await rig.fails(sending.endpoint(server))
    assert error.failure.reason is _R.PROTOCOL_ERROR
    assert "internal" not in repr(error.failure)
    assert "HTTP" not in repr(error.failure)


async def test_a_refusing_greeting_keeps_its_codes(rig: _Rig, serve: Serve) -> None:
    """554 in the place of a greeting refuses this client."""
    server = await serve()
    server.script.on(smtpd.GREETING, "554 5.7.1 No service for you")
    error = await rig.fails(sending.endpoint(server))
    assert (error.phase, error.failure.code) == (classify.Phase.GREETING, 554)


async def test_nothing_listens(rig: _Rig, serve: Serve) -> None:
    """A refused connection says so."""
    server = await serve()
    at = sending.endpoint(server)
    await server.stop()
    error = await rig.fails(at)
    assert (error.phase, error.failure.reason) == (classify.Phase.CONNECT, _R.CONNECTION_FAILED)


async def test_tls_where_the_server_speaks_plain(rig: _Rig, serve: Serve) -> None:
    """Implicit TLS to a port that greets in clear is a TLS failure, not a hang."""
    server = await serve()
    error = await rig.fails(
        sending.endpoint(server, tls=_tls(vocabulary.TlsMode.IMPLICIT, ca=rig.ca)), total=dt.timedelta(seconds=2)
    )
    assert error.phase is classify.Phase.TLS


@pytest.mark.parametrize("mechanism", [vocabulary.Mechanism.PLAIN, vocabulary.Mechanism.LOGIN])
async def test_an_echo_of_the_password_is_cut_out(
    rig: _Rig, serve: Serve, leaf: certs.Leaf, mechanism: vocabulary.Mechanism
) -> None:
    """Whatever form a server quotes the credentials in, no failure's text holds a piece of the password (R1, R7)."""
    server = await serve(_options(leaf, smtpd.Tls.STARTTLS))
    server.script.on("AUTH", "535 5.7.8 You said {payload} that is {password}, {username}")
    at = sending.endpoint(server, tls=_tls(vocabulary.TlsMode.STARTTLS, ca=rig.ca))
    error = await rig.fails(at, found=_credentials(mechanism))
    told = repr(error.failure) + str(error)
    payload = base64.b64encode(f"\0robot\0{_PASSWORD}".encode()).decode()
    for fragment in (_PASSWORD, "horse", "battery", payload, payload[8:24]):
        assert fragment not in told


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "internal.example.com"])
async def test_an_organization_does_not_reach_internal_addresses(rig: _Rig, serve: Serve, name: str) -> None:
    """By address, by a name of the hosts file, by DNS: loopback is denied unless the policy opens it (R6)."""
    server = await serve()
    async with dns.Server({"internal.example.com": ["127.0.0.1", "10.0.0.8"]}) as nameserver:
        rig.nameservers = (nameserver.address,)
        error = await rig.fails(sending.endpoint(server, host=name, addresses=sending.PUBLIC))
    assert error.failure.reason is _R.ADDRESS_DENIED
    assert server.transcripts == []


async def test_localhost_is_reached_where_it_is_allowed(rig: _Rig, serve: Serve) -> None:
    """The hosts file works, and addresses on which nothing listens are passed over."""
    server = await serve()
    await (await rig.open(sending.endpoint(server, host="localhost"))).quit()
    assert len(server.transcripts) == 1


async def test_the_connection_goes_to_the_address_that_was_checked(rig: _Rig, serve: Serve) -> None:
    """A name whose address changes after the check does not lead elsewhere (R6)."""
    checked = await serve(host="127.0.0.2")
    rebound = await serve(host="127.0.0.1", port=checked.port)
    only = effective.AddressRules(public=False, private=False, allow=("127.0.0.2/32",), deny=())
    async with dns.Server({"smtp.example.com": ["127.0.0.2"]}) as nameserver:
        # Neither we nor c-ares keep such an answer.
        nameserver.ttl_seconds = 0
        async with resolver.Resolver(nameservers=(nameserver.address,)) as names:
            resolved = await names.resolve("smtp.example.com", only, payer=None)
            nameserver.names["smtp.example.com"] = ["127.0.0.1"]
            with pytest.raises(faults.DeliveryError):
                await names.resolve("smtp.example.com", only, payer=None)
    opened = await opening.Opener(tls.Contexts(rig.settings)).open(
        opening.OpeningPlan(
            endpoint=sending.endpoint(checked, host="smtp.example.com", addresses=only),
            addresses=resolved.addresses,
            credentials=credentials.ANONYMOUS,
            helo_name="sender.test",
            total=dt.timedelta(seconds=5),
            auth=auth_states.AuthState(),
            owner="team-a",
        ),
        rig.progress,
    )
    await opened.quit()
    assert len(checked.transcripts) == 1
    assert rebound.transcripts == []


async def test_names_that_are_never_answered_do_not_delay_others() -> None:
    """Fifty black-holed names leave the fifty-first as fast as ever."""
    dark = {f"dark-{number}.example.com": None for number in range(50)}
    async with (
        dns.Server({**dark, "light.example.com": ["192.0.2.1", "93.184.215.14"]}) as nameserver,
        resolver.Resolver(nameservers=(nameserver.address,)) as names,
    ):
        waiting = [asyncio.create_task(names.resolve(name, sending.PUBLIC, payer=None)) for name in dark]
        await asyncio.sleep(0)
        async with asyncio.timeout(1.5):
            resolved = await names.resolve("light.example.com", sending.PUBLIC, payer="team-b")
        for task in waiting:
            task.cancel()
        results = await asyncio.gather(*waiting, return_exceptions=True)
    assert [address.literal for address in resolved.addresses] == ["93.184.215.14"]
    assert not any(isinstance(result, resolver.ResolvedName) for result in results)


async def test_a_name_is_looked_up_once_for_many_sessions(serve: Serve) -> None:
    """All sessions of a destination share one resolution (R6)."""
    server = await serve()
    settings = written.WrittenSettings()
    async with (
        dns.Server({"smtp.example.com": ["127.0.0.1"]}) as nameserver,
        resolver.Resolver(nameservers=(nameserver.address,)) as names,
    ):
        time_ = sending.Clock().as_clock()
        known = destinations.Destinations(
            helo_name="sender.test",
            names=names,
            opener=opening.Opener(tls.Contexts(settings)),
            time=time_,
            host=lambda: None,
            memory=memories.Memory(),
        )
        target = known.get(sending.settings("a", sending.endpoint(server, host="smtp.example.com")))
        target.health.breaker.succeed()
        slots = [target.reserve() for _ in range(3)]
        await asyncio.gather(
            *(target.sessions.get(slot, credentials.ANONYMOUS, payer=None) for slot in slots if slot is not None)
        )
        for slot in slots:
            assert slot is not None
            await target.give_back(slot)
        assert target.reserve() is not None
        target.close_idle(asyncio.ensure_future, everything=True)
        assert nameserver.asked.count("smtp.example.com") <= 2


async def test_a_sender_without_a_name_says_its_address(rig: _Rig, serve: Serve) -> None:
    """EHLO has the connection's own address as a literal, which servers that refuse a pod's name take."""
    server = await serve()
    rig.helo_name = ""
    await (await rig.open(sending.endpoint(server))).quit()
    assert server.transcripts[0].commands()[0] == b"EHLO [127.0.0.1]"
