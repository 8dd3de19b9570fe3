"""A client certificate is looked at before a server sees it: its parts, whether they fit, and when it ends."""

import collections.abc
import dataclasses
import datetime as dt
import pathlib
import ssl

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from kit import certs, specs, tiers
from mailtier.api import feed, names
from mailtier.settings import client_certificates, codec, conditions, fitness, observed, passwords, resolve

_DAY = dt.timedelta(days=1)
_NEED = observed.SecretNeed(
    namespace="team-a",
    name="client",
    keys=(
        observed.SecretKey(purpose=observed.Purpose.CERTIFICATE, name=names.CERTIFICATE_KEY),
        observed.SecretKey(purpose=observed.Purpose.CERTIFICATE_KEY, name=names.CERTIFICATE_KEY_KEY),
    ),
)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Held:
    """What a Secret holds."""

    certificate: bytes | None
    private_key: bytes | None
    kind: str = names.TLS_SECRET_TYPE
    now: dt.datetime = specs.NOW

    def parse(self) -> client_certificates.ClientCertificate:
        return client_certificates.parse(self.certificate, self.private_key, kind=self.kind, now=self.now)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> certs.Authority:
    """Return an authority of clients."""
    return certs.Authority(tmp_path_factory.mktemp("clients"))


@pytest.fixture(scope="module")
def held(authority: certs.Authority) -> _Held:
    """Return a certificate that is valid for a month around now."""
    leaf = authority.issue("cluster.example.com", not_before=specs.NOW - 10 * _DAY, not_after=specs.NOW + 20 * _DAY)
    return _Held(certificate=leaf.cert_path.read_bytes(), private_key=leaf.key_path.read_bytes())


def _encrypted() -> bytes:
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"passphrase"),
    )


def _of_another_kind() -> bytes:
    return ed25519.Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _another(curve: ec.EllipticCurve) -> bytes:
    return ec.generate_private_key(curve).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def test_what_is_used_is_written_anew(held: _Held) -> None:
    """However the text was wrapped, what OpenSSL is given is the certificate and its key, and when it ends is known."""
    assert held.certificate is not None
    assert held.private_key is not None
    joined = dataclasses.replace(
        held,
        certificate=b"# of the platform team\n" + held.certificate.replace(b"\n", b" "),
        private_key=held.private_key.replace(b"\n", b"\r\n"),
    )
    found = joined.parse()
    assert found == held.parse()
    assert found.expires_at == specs.NOW + 20 * _DAY
    assert found.chain.startswith("-----BEGIN CERTIFICATE-----\nMII")
    assert found.private_key.reveal not in repr(found)


def test_a_key_that_only_pretends_is_not_taken_for_another_s(held: _Held) -> None:
    """R3: whoever has seen a certificate, and writes its public half into a key of their own, has not got its key."""
    found = held.parse()
    theirs = serialization.load_pem_private_key(found.private_key.reveal.encode(), password=None)
    own = ec.generate_private_key(ec.SECP256R1())
    assert isinstance(theirs, ec.EllipticCurvePrivateKey)
    plain = serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
    der = own.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).replace(own.public_key().public_bytes(*plain), theirs.public_key().public_bytes(*plain))
    forged = ssl.DER_cert_to_PEM_cert(der).replace("CERTIFICATE", "PRIVATE KEY").encode()
    with pytest.raises(client_certificates.ClientCertificateError, match="the private key cannot be read"):
        dataclasses.replace(held, private_key=forged).parse()


def test_another_certificate_is_told_by_its_digest(held: _Held, authority: certs.Authority) -> None:
    """Contexts are kept by it, so that a renewed certificate is never taken for the one before."""
    leaf = authority.issue("cluster.example.com", file_name="renewed", not_after=specs.NOW + 400 * _DAY)
    renewed = _Held(certificate=leaf.cert_path.read_bytes(), private_key=leaf.key_path.read_bytes())
    assert renewed.parse().digest != held.parse().digest


@pytest.mark.parametrize(
    ("change", "key", "told"),
    [
        ({"kind": "Opaque"}, names.CERTIFICATE_KEY, "the Secret is not of type kubernetes.io/tls"),
        ({"certificate": None}, names.CERTIFICATE_KEY, "the key does not exist"),
        ({"certificate": b""}, names.CERTIFICATE_KEY, "not certificates alone in PEM"),
        ({"certificate": b"x" * 65_537}, names.CERTIFICATE_KEY, "longer than 65536 bytes"),
        (
            {"certificate": b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"},
            names.CERTIFICATE_KEY,
            "certificate 1 cannot be read",
        ),
        ({"private_key": None}, names.CERTIFICATE_KEY_KEY, "the key does not exist"),
        ({"private_key": b"hunter2"}, names.CERTIFICATE_KEY_KEY, "not one private key in PEM"),
        ({"private_key": _encrypted()}, names.CERTIFICATE_KEY_KEY, "cannot be read, or is encrypted"),
        ({"private_key": _of_another_kind()}, names.CERTIFICATE_KEY_KEY, "nor on the curve P-256 or P-384"),
        ({"private_key": _another(ec.SECP256R1())}, names.CERTIFICATE_KEY_KEY, "not that of the first certificate"),
        ({"private_key": _another(ec.SECP384R1())}, names.CERTIFICATE_KEY_KEY, "not that of the first certificate"),
        ({"now": specs.NOW + 20 * _DAY}, names.CERTIFICATE_KEY, "the certificate ended on 2026-01-22"),
        ({"now": specs.NOW - 11 * _DAY}, names.CERTIFICATE_KEY, "is not valid before 2025-12-23"),
    ],
)
def test_what_cannot_be_shown_is_refused(held: _Held, change: dict[str, object], key: str, told: str) -> None:
    """R1: the sentence names the key that is at fault and why, and quotes nothing of it."""
    with pytest.raises(client_certificates.ClientCertificateError, match=told) as caught:
        dataclasses.replace(held, **change).parse()  # type: ignore[arg-type]
    assert caught.value.key == key
    assert "hunter2" not in str(caught.value)


def test_a_chain_has_a_bound(held: _Held) -> None:
    """A handshake of a tenant's making is no longer than others."""
    assert held.certificate is not None
    with pytest.raises(client_certificates.ClientCertificateError, match="11 certificates; at most 10"):
        dataclasses.replace(held, certificate=held.certificate * 11).parse()


def _values(held: _Held) -> collections.abc.Callable[[str], bytes | None]:
    return {names.CERTIFICATE_KEY: held.certificate, names.CERTIFICATE_KEY_KEY: held.private_key}.get


def test_fitness_names_the_key_and_the_end(held: _Held) -> None:
    """The operator learns of a Secret which key is at fault, or until when it is good; never what is in it."""
    well = fitness.judge(_NEED, _values(held), kind=held.kind, now=held.now)
    assert well == fitness.Fitness(expires_at=specs.NOW + 20 * _DAY)
    ended = fitness.judge(_NEED, _values(held), kind=held.kind, now=specs.NOW + 30 * _DAY)
    assert (ended.unfit, ended.expires_at) == (_NEED.keys[0], None)
    keyless = dataclasses.replace(held, private_key=None)
    assert fitness.judge(_NEED, _values(keyless), kind=held.kind, now=held.now).unfit == _NEED.keys[1]


def test_a_private_key_is_no_password(tmp_path: pathlib.Path) -> None:
    """R1: a key whose owner agreed to its use for certificates is not sent as a password, not even in one line."""
    path = tmp_path / "key"
    certs.write_signing_key(path)
    line = path.read_bytes().replace(b"\n", b" ").strip()
    with pytest.raises(passwords.PasswordError, match="in PEM, and no password"):
        passwords.parse(line)


_SHOWN: tiers.Json = {"tls": {"clientCertificateRef": {"name": "client"}}}
_OWN: tiers.Json = {**tiers.OWN, "smtp": {**tiers.OWN["smtp"], **_SHOWN}}


def _status(resolution: resolve.Resolution, probe: feed.Probe | None = None) -> tiers.Json:
    """Return the conditions of an organization by their type, and its effective settings."""
    status = conditions.org_status(
        resolution,
        published=True,
        projection=conditions.Projection.NONE,
        probe=probe,
        generation=1,
        previous=(),
        now=specs.NOW,
    )
    return {"effective": status["effective"], **{entry["type"]: entry for entry in status["conditions"]}}


def test_until_when_it_is_valid_is_its_owner_s_to_read() -> None:
    """R7: the platform team reads it of the host's, and whoever inherits the server does not."""
    host = {**tiers.RELAY, "smtp": {**tiers.RELAY["smtp"], **_SHOWN}}
    told = "The client certificate is valid until 2027-01-02."
    assert told in _status(tiers.conclude(tiers.RELAY, _OWN))["ResolvedRefs"]["message"]
    inherited = _status(tiers.conclude(host, {}))
    assert told not in inherited["ResolvedRefs"]["message"]
    assert "client" not in str(inherited["effective"])
    mine = _status(tiers.conclude_host(host))
    assert told in mine["ResolvedRefs"]["message"]
    assert mine["effective"]["smtp"]["tls"]["clientCertificateSecretName"] == "client"


@pytest.mark.parametrize(
    ("version", "expected"), [("uid/1 uid/2", ("True", "Verified")), ("uid/1 uid/3", ("Unknown", "ProbePending"))]
)
def test_verified_is_about_the_certificate_that_there_is_now(version: str, expected: tuple[str, str]) -> None:
    """A probe with another one says as little as a probe with another password."""
    resolution = tiers.conclude(tiers.RELAY, _OWN)
    probe = feed.Probe(
        key=codec.probe_key(resolution.effective),
        secret_version=version,
        reason="Verified",
        stage=None,
        owner_message="",
        tenant_message="",
        certificate_expires_at=None,
        probed_at=specs.NOW,
    )
    found = _status(resolution, probe)["Verified"]
    assert (found["status"], found["reason"]) == expected


def test_what_the_host_refers_to_is_told_once() -> None:
    """An organization learns of no name, and so hears the same of password and certificate: it is told it once."""
    missing = observed.SecretRead(outcome=observed.ReadOutcome.NOT_FOUND)
    host = {**tiers.RELAY, "smtp": {**tiers.RELAY["smtp"], **_SHOWN}}
    found = tiers.conclude(host, {}, secret=missing, certificate=missing).effective.findings
    assert [finding.reason.name for finding in found] == ["SecretNotFound"]
    own = tiers.conclude_host(host, secret=missing, certificate=missing).effective.findings
    assert [finding.reason.name for finding in own] == ["SecretNotFound", "SecretNotFound"]
