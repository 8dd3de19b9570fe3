"""The sender shows servers who connects: with its own certificate, the present one, and to those that may see it."""

import collections.abc
import contextlib
import dataclasses
import pathlib
import ssl

import pytest

from kit import certs, handshakes, logins, sending, smtpd, wait
from mailtier.api import reasons, vocabulary
from mailtier.sender.net import breaker
from mailtier.settings import effective

_MODE = vocabulary.TlsMode
_S = vocabulary.RecipientState
_VERSIONS = (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)


@pytest.fixture(scope="module")
def clients(tmp_path_factory: pytest.TempPathFactory) -> certs.Authority:
    """Return the authority whose certificates the servers know their clients by."""
    return certs.Authority(tmp_path_factory.mktemp("clients"))


class _Demanding:
    """A server that demands certificates, and says by an alert what it thinks of them; settings that name it."""

    def __init__(self, sender: sending.Sender, authority: certs.Authority, context: ssl.SSLContext) -> None:
        self._context = context
        self._tls = logins.protected(sender, authority)

    @contextlib.contextmanager
    def at(self, mode: vocabulary.TlsMode) -> collections.abc.Iterator[effective.Endpoint]:
        """Give its endpoint while it runs."""
        with handshakes.refusing(self._context, starttls=mode is _MODE.STARTTLS) as port:
            yield effective.Endpoint(
                host="127.0.0.1",
                port=port,
                tls=dataclasses.replace(self._tls, mode=mode),
                addresses=sending.LOOPBACK,
                origin=vocabulary.Origin.HOST,
                is_host_s=True,
            )


@pytest.fixture(params=_VERSIONS)
def demanding(
    request: pytest.FixtureRequest,
    sender: sending.Sender,
    authority: certs.Authority,
    leaf: certs.Leaf,
    clients: certs.Authority,
) -> _Demanding:
    """Return a server of either version of TLS that demands certificates."""
    context = leaf.server_context(clients=clients)
    context.maximum_version = request.param
    return _Demanding(sender, authority, context)


@pytest.fixture
async def server(serve: logins.Serve, leaf: certs.Leaf, clients: certs.Authority) -> smtpd.Server:
    """Return a server that takes mail from whoever shows a certificate that it knows."""
    return await serve(smtpd.Options(tls=smtpd.Tls.STARTTLS, context=leaf.server_context(clients=clients)))


def _shown(reference: effective.CertificateReference | None) -> effective.Auth:
    return dataclasses.replace(sending.ANONYMOUS, certificate=reference)


def _settings(
    sender: sending.Sender, at: effective.Endpoint, shown: certs.Leaf, *, namespace: str = "team-a"
) -> effective.Effective:
    """Return settings with a client certificate, which is put into its Secret."""
    put = sender.secrets.put_certificate("mailtier", "client", shown, endpoint=str(at))
    return sending.settings(namespace, at, auth=_shown(put))


@pytest.mark.parametrize("version", _VERSIONS)
@pytest.mark.parametrize("mode", [smtpd.Tls.STARTTLS, smtpd.Tls.IMPLICIT])
async def test_a_server_that_demands_a_certificate_gets_it(
    sender: sending.Sender,
    *,
    serve: logins.Serve,
    authority: certs.Authority,
    leaf: certs.Leaf,
    clients: certs.Authority,
    mode: smtpd.Tls,
    version: ssl.TLSVersion,
) -> None:
    """The probe goes through with it, by either way to TLS and either version, and says which Secret it speaks of."""
    context = leaf.server_context(clients=clients)
    context.maximum_version = version
    server = await serve(smtpd.Options(tls=mode, context=context))
    ours = _MODE.STARTTLS if mode is smtpd.Tls.STARTTLS else _MODE.IMPLICIT
    at = sending.endpoint(server, tls=dataclasses.replace(logins.protected(sender, authority), mode=ours))
    of = _settings(sender, at, clients.issue("cluster.example.com", loopback=False))
    found = await sender.check(of)
    assert found.reason == reasons.VERIFIED.name
    assert of.auth is not None
    assert found.secret_version == of.auth.version != ""
    assert [each.client_names for each in server.transcripts] == [("cluster.example.com",)]


@pytest.mark.parametrize("mode", [_MODE.STARTTLS, _MODE.IMPLICIT])
@pytest.mark.parametrize(
    ("shown", "told"),
    [
        (None, "demands a client certificate (smtp.tls.clientCertificateRef), and was shown none that it could use."),
        ("stranger", "does not know the authority of the client certificate"),
    ],
)
async def test_a_server_that_refuses_says_why(
    sender: sending.Sender,
    *,
    demanding: _Demanding,
    tmp_path: pathlib.Path,
    shown: str | None,
    told: str,
    mode: vocabulary.TlsMode,
) -> None:
    """With TLS 1.3 a server says so when the client takes the handshake for done; TLS has failed all the same."""
    with demanding.at(mode) as at:
        of = sending.settings("team-a", at)
        if shown is not None:
            of = _settings(sender, at, certs.Authority(tmp_path).issue(shown))
        found = await sender.check(of)
    assert (found.reason, found.stage) == (reasons.TLS_FAILED.name, vocabulary.ProbeStage.TLS)
    assert told in found.owner_message
    assert "client certificate" not in found.tenant_message


async def test_a_new_certificate_ends_the_sessions_of_the_former(
    sender: sending.Sender, server: smtpd.Server, authority: certs.Authority, clients: certs.Authority
) -> None:
    """After a rotation mail goes over a connection with the new one, without a restart."""
    at = sending.endpoint(server, tls=logins.protected(sender, authority))
    for name in ("first.example.com", "second.example.com"):
        of = sender.settings.put(_settings(sender, at, clients.issue(name, loopback=False)))
        for _ in range(2):
            await sender.until(of, await sender.notify(of), _S.ACCEPTED)
    assert [each.client_names for each in server.transcripts] == [("first.example.com",), ("second.example.com",)]


async def test_a_certificate_is_looked_at_again_when_it_is_used(
    sender: sending.Sender, server: smtpd.Server, authority: certs.Authority, clients: certs.Authority
) -> None:
    """What its owner took the consent from, or what has no key of its own, is shown to nobody (R1, R3)."""
    at = sending.endpoint(server, tls=logins.protected(sender, authority))
    of = _settings(sender, at, clients.issue("cluster.example.com"))
    sender.secrets.put_certificate("mailtier", "client", clients.issue("cluster.example.com"), endpoint="smtp.other")
    of = sender.settings.put(of)
    sent = await sender.notify(of)
    await wait.until_async(lambda: sender.secrets.reads, within_seconds=5, why="the Secret is read")
    sender.skip(15)
    assert [each.reason for each in await sender.until(of, sent, _S.HELD)] == ["CredentialsUnusable"]
    assert server.transcripts == []


async def test_who_shows_none_keeps_nobody_from_a_server_that_demands_one(
    sender: sending.Sender, server: smtpd.Server, authority: certs.Authority, clients: certs.Authority
) -> None:
    """R15: a login that an organization brings to the host's server goes without the certificate, and alone."""
    at = sending.endpoint(server, tls=logins.protected(sender, authority))
    login = sending.login(sender.secrets.put("team-b", "smtp", "pw", endpoint=str(at)), origin=vocabulary.Origin.ORG)
    without = sender.settings.put(sending.settings("team-b", at, auth=login))
    of = sender.settings.put(_settings(sender, at, clients.issue("cluster.example.com", loopback=False)))
    await sender.check(without)
    states = [sender.destinations.get(each).health.breaker.state(sender.clock.monotonic()) for each in (without, of)]
    assert states == [breaker.BreakerState.OPEN, breaker.BreakerState.HALF_OPEN]
    await sender.until(of, await sender.notify(of), _S.ACCEPTED)
    assert ("cluster.example.com",) in [each.client_names for each in server.transcripts]
