"""Why TLS does not come about is told by its cause, and what to do about it."""

import collections.abc
import dataclasses
import datetime as dt
import ssl

import pytest

from kit import certs, handshakes, hostile, logins, sending, smtpd
from mailtier.api import feed, reasons, vocabulary
from mailtier.settings import effective

_MODE = vocabulary.TlsMode
_SHORT = dt.timedelta(seconds=4)


async def _check(sender: sending.Sender, at: effective.Endpoint) -> feed.Probe:
    """Return a probe's result for an endpoint without credentials."""
    of = sending.settings("team-a", at, auth=sending.ANONYMOUS)
    of = dataclasses.replace(of, delivery=dataclasses.replace(of.delivery, session_timeout=_SHORT))
    sender.settings.put(of)
    return await sender.check(of)


def _at(sender: sending.Sender, authority: certs.Authority, port: int, mode: vocabulary.TlsMode) -> effective.Endpoint:
    tls = dataclasses.replace(logins.protected(sender, authority), mode=mode)
    return effective.Endpoint(
        host="127.0.0.1",
        port=port,
        tls=tls,
        addresses=sending.LOOPBACK,
        origin=vocabulary.Origin.HOST,
        is_host_s=True,
    )


async def test_a_server_that_speaks_in_clear(
    sender: sending.Sender, serve: logins.Serve, authority: certs.Authority
) -> None:
    """Implicit TLS against a server that greets in clear names the mode, and quotes nothing."""
    server = await serve(smtpd.Options())
    found = await _check(sender, _at(sender, authority, server.port, _MODE.IMPLICIT))
    assert (found.reason, found.stage) == (reasons.TLS_NOT_SPOKEN.name, vocabulary.ProbeStage.TLS)
    assert "220" not in found.owner_message


async def test_a_server_that_expects_tls(
    sender: sending.Sender, serve: logins.Serve, authority: certs.Authority, leaf: certs.Leaf
) -> None:
    """A server that waits for a handshake and says nothing is asked whether it does."""
    server = await serve(smtpd.Options(tls=smtpd.Tls.IMPLICIT, context=leaf.server_context()))
    found = await _check(sender, _at(sender, authority, server.port, _MODE.STARTTLS))
    assert (found.reason, found.stage) == (reasons.TLS_EXPECTED.name, vocabulary.ProbeStage.EHLO)


async def test_a_server_that_says_nothing(
    sender: sending.Sender, serve: logins.Serve, authority: certs.Authority
) -> None:
    """What is silent to a handshake too is late, and no more than that."""
    server = await serve(smtpd.Options())
    server.script.on(smtpd.GREETING, hostile.silence())
    found = await _check(sender, _at(sender, authority, server.port, _MODE.STARTTLS))
    assert found.reason == reasons.PROBE_TIMEOUT.name


def _old(context: ssl.SSLContext) -> None:
    # OpenSSL 3 allows the old versions at level 0 alone, and Python warns of them.
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1


def _without_ecdhe(context: ssl.SSLContext) -> None:
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0")


@pytest.mark.parametrize(
    ("make", "expected"), [(_old, reasons.TLS_TOO_OLD), (_without_ecdhe, reasons.TLS_NO_COMMON_CIPHER)]
)
async def test_a_server_that_has_nothing_in_common(
    sender: sending.Sender,
    authority: certs.Authority,
    leaf: certs.Leaf,
    make: collections.abc.Callable[[ssl.SSLContext], None],
    expected: reasons.Reason,
) -> None:
    """Versions and ciphers are told apart, and from a certificate that is wrong."""
    context = leaf.server_context()
    make(context)
    with handshakes.refusing(context) as port:
        found = await _check(sender, _at(sender, authority, port, _MODE.IMPLICIT))
    assert (found.reason, found.stage) == (expected.name, vocabulary.ProbeStage.TLS)
