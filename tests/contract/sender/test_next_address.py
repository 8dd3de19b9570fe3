"""A name with several addresses: what fails at one of them before AUTH is tried at the next (DESIGN, failures)."""

import collections.abc
import dataclasses
import datetime as dt
import pathlib

import pytest

from kit import certs, dns, hostile, openings, sending, smtpd
from mailtier.api import vocabulary
from mailtier.mail import reasons
from mailtier.sender.smtp import destination
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


def _names() -> dns.Server:
    return dns.Server({_NAME: ["127.0.0.2", "127.0.0.3"]})


def _at(pair: _Pair, rig: openings.Rig) -> effective.Endpoint:
    wanted = openings.tls_settings(vocabulary.TlsMode.STARTTLS, ca=rig.ca, server_name="smtp.test")
    return sending.endpoint(pair.first, host=_NAME, tls=wanted)


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
    at = sending.endpoint(
        pair.first,
        host=_NAME,
        tls=openings.tls_settings(vocabulary.TlsMode.STARTTLS, ca=rig.ca, server_name="smtp.test"),
    )
    async with _names() as nameserver:
        rig.nameservers = (nameserver.address,)
        opened = await rig.open(at, found=openings.login(), total=dt.timedelta(seconds=6))
    await opened.quit()
    assert len(pair.second.auth_attempts) == 1
    assert pair.first.auth_attempts == []


async def test_a_refused_login_is_not_tried_elsewhere(
    authority: certs.Authority, leaf: certs.Leaf, serve: Serve
) -> None:
    """From AUTH on the server has spoken of who asks: the next address would be a second attempt (R12)."""
    rig = openings.Rig(authority)
    pair = await _pair(serve, openings.options(leaf, smtpd.Tls.STARTTLS, users={"robot": "another"}))
    at = sending.endpoint(
        pair.first,
        host=_NAME,
        tls=openings.tls_settings(vocabulary.TlsMode.STARTTLS, ca=rig.ca, server_name="smtp.test"),
    )
    async with _names() as nameserver:
        rig.nameservers = (nameserver.address,)
        error = await rig.fails(at, found=openings.login())
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
        sender.skip(destination.PREFERRED_SECONDS)
        await sender.until(of, await sender.notify(of), _S.ACCEPTED)
        assert len(pair.first.messages) == 1
