"""A name with several addresses: what fails at one of them before AUTH is tried at the next (RFC 5321 section 5.1)."""

import asyncio
import collections.abc
import contextlib
import dataclasses
import datetime as dt
import pathlib
import socket

import pytest

from kit import certs, dns, granting, hostile, oauth, openings, sending, smtpd
from mailtier.api import vocabulary
from mailtier.mail import classify, reasons
from mailtier.sender.net import connecting, known_name
from mailtier.settings import effective

Serve = collections.abc.Callable[..., collections.abc.Awaitable[smtpd.Server]]
_NAME = "smtp.example.com"
_S = vocabulary.RecipientState
_R = reasons.DeliveryReason


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Pair:
    """Two servers of one name, in the order in which they are tried."""

    first: smtpd.Server
    second: smtpd.Server


async def _pair(serve: Serve, options: smtpd.Options | None = None) -> _Pair:
    first = await serve(options, host="127.0.0.2")
    return _Pair(first=first, second=await serve(options, host="127.0.0.3", port=first.port))


async def _all(serve: Serve, count: int, options: smtpd.Options | None = None) -> list[smtpd.Server]:
    """Return servers of one name, in the order in which they are tried."""
    first = await serve(options, host=_address(0))
    return [first, *[await serve(options, host=_address(number), port=first.port) for number in range(1, count)]]


def _address(number: int) -> str:
    return f"127.0.0.{number + 2}"


def _names(count: int = 2) -> dns.Server:
    return dns.Server({_NAME: [_address(number) for number in range(count)]})


def _at(
    server: smtpd.Server, rig: openings.Rig, mode: vocabulary.TlsMode = vocabulary.TlsMode.STARTTLS
) -> effective.Endpoint:
    wanted = openings.tls_settings(mode, ca=rig.ca, server_name="smtp.test")
    return sending.endpoint(server, host=_NAME, tls=wanted)


def _take_no_more(stack: contextlib.ExitStack, at: tuple[str, int]) -> None:
    """Listen at an address with a queue that is full, so that the kernel answers nobody who connects."""
    stack.enter_context(socket.create_server(at, backlog=0))
    for _ in range(4):
        waiting = stack.enter_context(socket.socket())
        waiting.settimeout(0)
        waiting.connect_ex(at)


def _connections(servers: collections.abc.Sequence[smtpd.Server]) -> list[int]:
    return [len(server.transcripts) for server in servers]


@pytest.mark.parametrize(
    ("when", "does"),
    [
        (smtpd.GREETING, "421 4.3.2 Too many connections"),
        (smtpd.GREETING, "554 5.7.1 Go away"),
        (smtpd.GREETING, hostile.hang_up()),
        (smtpd.GREETING, hostile.silence()),
        (smtpd.GREETING, b"SSH-2.0-OpenSSH_9.6\r\n"),
        ("EHLO", "421 4.3.2 Shutting down"),
        ("EHLO", hostile.hang_up()),
        ("STARTTLS", "454 4.7.0 TLS not available"),
    ],
)
async def test_what_fails_before_auth_is_tried_at_the_next(
    authority: certs.Authority, leaf: certs.Leaf, serve: Serve, when: str, does: smtpd.Behaviour | str | bytes
) -> None:
    """Whatever the first does, the session is opened at the second, within the one total."""
    rig = openings.Rig(authority)
    pair = await _pair(serve, openings.options(leaf, smtpd.Tls.STARTTLS))
    pair.first.script.on(when, does)
    async with _names() as nameserver:
        rig.nameservers = (nameserver.address,)
        opened = await rig.open(_at(pair.first, rig), found=openings.login(), total=dt.timedelta(seconds=6))
    await opened.quit()
    assert len(pair.second.auth_attempts) == 1
    assert pair.first.auth_attempts == []


async def test_a_refused_login_is_not_tried_elsewhere(
    authority: certs.Authority, leaf: certs.Leaf, serve: Serve
) -> None:
    """From AUTH on the server has spoken of who asks: the next address would be a second attempt (R12)."""
    rig = openings.Rig(authority)
    pair = await _pair(serve, openings.options(leaf, smtpd.Tls.STARTTLS, users={"robot": "another"}))
    async with _names() as nameserver:
        rig.nameservers = (nameserver.address,)
        error = await rig.fails(_at(pair.first, rig), found=openings.login())
    assert error.failure.reason is _R.CREDENTIALS_REFUSED
    assert (len(pair.first.auth_attempts), len(pair.second.transcripts)) == (1, 0)


async def test_of_several_failures_the_one_that_got_furthest_is_told(authority: certs.Authority, serve: Serve) -> None:
    """A greeting that refuses says more than an address where nobody listens."""
    rig = openings.Rig(authority)
    first = await serve(host="127.0.0.2")
    first.script.on(smtpd.GREETING, "554 5.7.1 Go away")
    async with _names() as nameserver:
        rig.nameservers = (nameserver.address,)
        error = await rig.fails(sending.endpoint(first, host=_NAME))
    assert (error.failure.reason, error.failure.code) == (_R.SERVER_REFUSED, 554)


@pytest.mark.parametrize("count", [1, 4, 16])
async def test_a_greeting_may_take_its_time_at_however_many_addresses(
    authority: certs.Authority, serve: Serve, count: int
) -> None:
    """A server that greets after a pause is waited for, on the one connection, as if it had no other address."""
    rig = openings.Rig(authority)
    servers = await _all(serve, count)
    for server in servers:
        server.script.on(smtpd.GREETING, smtpd.Behaviour(delay_seconds=1.2))
    async with _names(count) as nameserver:
        rig.nameservers = (nameserver.address,)
        opened = await rig.open(sending.endpoint(servers[0], host=_NAME), total=dt.timedelta(seconds=4))
    await opened.quit()
    assert _connections(servers) == [1] + [0] * (count - 1)


async def test_a_server_that_greets_late_is_reached_after_others_say_nothing(
    authority: certs.Authority, serve: Serve
) -> None:
    """The first that is silent leaves enough of the total for one that takes a moment."""
    rig = openings.Rig(authority)
    servers = await _all(serve, 16)
    servers[0].script.on(smtpd.GREETING, hostile.silence())
    servers[1].script.on(smtpd.GREETING, smtpd.Behaviour(delay_seconds=0.3))
    async with _names(16) as nameserver:
        rig.nameservers = (nameserver.address,)
        opened = await rig.open(sending.endpoint(servers[0], host=_NAME), total=dt.timedelta(seconds=6))
    await opened.quit()
    # The first was asked on a second connection whether it expects TLS.
    assert _connections(servers) == [2, 1] + [0] * 14


@pytest.mark.parametrize(
    ("mode", "serving"),
    [
        (vocabulary.TlsMode.STARTTLS, smtpd.Tls.STARTTLS),
        (vocabulary.TlsMode.IMPLICIT, smtpd.Tls.IMPLICIT),
    ],
)
async def test_no_more_than_three_addresses_cost_a_handshake(
    authority: certs.Authority, leaf: certs.Leaf, serve: Serve, mode: vocabulary.TlsMode, serving: smtpd.Tls
) -> None:
    """Sixteen addresses that refuse after TLS cost three connections, as far apart as those of others (R10, R15)."""
    rig = openings.Rig(authority)
    servers = await _all(serve, 16, openings.options(leaf, serving))
    for server in servers:
        server.script.on("EHLO", "421 4.3.2 Shutting down", skip=int(mode is vocabulary.TlsMode.STARTTLS))
    loop = asyncio.get_running_loop()
    started = loop.time()
    async with _names(16) as nameserver:
        rig.nameservers = (nameserver.address,)
        error = await rig.fails(_at(servers[0], rig, mode), found=openings.login(), total=dt.timedelta(seconds=6))
    assert (error.phase, error.failure.code) == (classify.Phase.EHLO, 421)
    assert _connections(servers) == [1] * connecting.MOST_REACHED + [0] * 13
    assert loop.time() - started >= (connecting.MOST_REACHED - 1) * connecting.APART_SECONDS


async def test_addresses_at_which_nobody_listens_do_not_count(authority: certs.Authority, serve: Serve) -> None:
    """The last of sixteen is reached, though nobody listens at any before it."""
    rig = openings.Rig(authority)
    last = await serve(host=_address(15))
    async with _names(16) as nameserver:
        rig.nameservers = (nameserver.address,)
        opened = await rig.open(sending.endpoint(last, host=_NAME))
    await opened.quit()
    assert _connections([last]) == [1]


async def test_the_time_for_connecting_is_divided(authority: certs.Authority, serve: Serve) -> None:
    """Addresses that do not answer at all leave the last one its part, and time to greet."""
    rig = openings.Rig(authority)
    last = await serve(host=_address(3))
    last.script.on(smtpd.GREETING, smtpd.Behaviour(delay_seconds=0.3))
    with contextlib.ExitStack() as stack:
        for number in range(3):
            _take_no_more(stack, (_address(number), last.port))
        async with _names(4) as nameserver:
            rig.nameservers = (nameserver.address,)
            opened = await rig.open(sending.endpoint(last, host=_NAME), total=dt.timedelta(seconds=4))
        await opened.quit()
    assert _connections([last]) == [1]


async def test_a_certificate_is_told_before_a_silent_greeting(
    authority: certs.Authority, leaf: certs.Leaf, serve: Serve
) -> None:
    """With StartTLS the handshake comes after greeting and EHLO, so that who failed there got further."""
    rig = openings.Rig(authority)
    servers = await _all(serve, 2, openings.options(leaf, smtpd.Tls.STARTTLS))
    servers[1].script.on(smtpd.GREETING, hostile.silence())
    at = dataclasses.replace(_at(servers[0], rig), tls=openings.tls_settings(vocabulary.TlsMode.STARTTLS))
    async with _names() as nameserver:
        rig.nameservers = (nameserver.address,)
        error = await rig.fails(at, total=dt.timedelta(seconds=2))
    assert _connections(servers) == [1, 2]
    assert (error.phase, error.failure.reason) == (classify.Phase.TLS, _R.CERTIFICATE_NOT_TRUSTED)


async def test_a_refusal_after_tls_is_told_before_a_certificate(
    authority: certs.Authority, leaf: certs.Leaf, serve: Serve
) -> None:
    """The second EHLO is further than the handshake, though it bears the name of the first."""
    rig = openings.Rig(authority)
    wrong = authority.issue("other.test", file_name="other", loopback=False)
    first = await serve(openings.options(wrong, smtpd.Tls.STARTTLS), host=_address(0))
    second = await serve(openings.options(leaf, smtpd.Tls.STARTTLS), host=_address(1), port=first.port)
    second.script.on("EHLO", "421 4.3.2 Shutting down", skip=1)
    async with _names() as nameserver:
        rig.nameservers = (nameserver.address,)
        error = await rig.fails(_at(first, rig))
    assert (error.phase, error.failure.code) == (classify.Phase.EHLO, 421)


async def test_the_address_that_did_is_remembered(tmp_path: pathlib.Path, serve: Serve) -> None:
    """After one refusal the next sessions go to the good address at once, and after ten minutes to the first again."""
    pair = await _pair(serve)
    pair.first.script.on(smtpd.GREETING, "421 4.3.2 Too many connections")
    at = sending.endpoint(pair.first, host=_NAME)
    async with _names() as nameserver, sending.Sender(tmp_path, nameserver=nameserver.address) as sender:
        of = sender.settings.put(sending.settings("team-a", at, messages_per_connection=1, max_connections=1))
        for _ in range(5):
            await sender.until(of, await sender.notify(of), _S.ACCEPTED)
        assert (len(pair.first.transcripts), len(pair.second.messages)) == (1, 5)
        pair.first.script.clear()
        sender.skip(known_name.PREFERRED_SECONDS)
        await sender.until(of, await sender.notify(of), _S.ACCEPTED)
        assert len(pair.first.messages) == 1


@pytest.mark.parametrize("order", [("127.0.0.1", "127.0.0.2"), ("127.0.0.2", "127.0.0.1")], ids="/".join)
async def test_a_token_is_asked_for_where_a_handshake_comes_about(
    tmp_path: pathlib.Path, authority: certs.Authority, monkeypatch: pytest.MonkeyPatch, order: tuple[str, ...]
) -> None:
    """One address of a token server with another's certificate keeps nobody from the next."""
    wrong = authority.issue("other.test", file_name="other", loopback=False)
    async with (
        dns.Server({oauth.NAME: order}) as nameserver,
        granting.running(tmp_path / "queue", authority, monkeypatch, nameserver) as login,
        oauth.Server(wrong, host="127.0.0.2", port=login.tokens.port) as another,
    ):
        await login.deliver()
        assert (len(login.tokens.asked), another.asked) == (1, [])
