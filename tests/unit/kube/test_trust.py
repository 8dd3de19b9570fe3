"""Certificates are verified alike on every Python: what people have is taken, what does not verify is not."""

import datetime as dt
import pathlib
import ssl

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import oid

from mailtier.kube import trust

_NAME = "smtp.test"
_FROM = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
_UNTIL = dt.datetime(2120, 1, 1, tzinfo=dt.UTC)
_Key = ec.EllipticCurvePrivateKey


def _certificate(subject: str, key: _Key, issuer: str, signer: _Key, *, name: str = "") -> x509.Certificate:
    """Return a certificate as `openssl req -x509` makes them: no key usage, no key identifiers."""
    subject_name, issuer_name = (
        x509.Name([x509.NameAttribute(oid.NameOID.COMMON_NAME, text)]) for text in (subject, issuer)
    )
    builder = (
        x509.CertificateBuilder(subject_name=subject_name, issuer_name=issuer_name, public_key=key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(_FROM)
        .not_valid_after(_UNTIL)
    )
    if name:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
    else:
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    return builder.sign(signer, hashes.SHA256())


class _World:
    """A root, an authority below it, and a server's certificate."""

    def __init__(self, folder: pathlib.Path) -> None:
        root, middle, leaf = (ec.generate_private_key(ec.SECP256R1()) for _ in range(3))
        self.root = _certificate("root", root, "root", root)
        self.middle = _certificate("middle", middle, "root", root)
        self.leaf = _certificate("leaf", leaf, "middle", middle, name=_NAME)
        key = leaf.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        path = folder / "server.pem"
        path.write_bytes(_pem(self.leaf) + _pem(self.middle) + key)
        self.server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.server.load_cert_chain(path)

    def shakes_hands(self, trusted: x509.Certificate, name: str = _NAME) -> bool:
        """Return whether a client that trusts a certificate takes the server's."""
        context = trust.client_context(cadata=_pem(trusted).decode())
        to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = context.wrap_bio(to_client, to_server, server_hostname=name)
        server = self.server.wrap_bio(to_server, to_client, server_side=True)
        for side in (client, server, client):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLCertVerificationError:
                return False
        return True


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> _World:
    """Return certificates without key usage and key identifiers."""
    return _World(tmp_path_factory.mktemp("trust"))


@pytest.mark.parametrize("trusted", ["root", "middle", "leaf"])
def test_what_people_have_is_taken(world: _World, trusted: str) -> None:
    """Neither key usage nor key identifiers are asked for, and a chain may end at any certificate that was named."""
    assert world.shakes_hands(getattr(world, trusted))


def test_what_does_not_verify_is_not_taken(world: _World) -> None:
    """Another authority's certificate is refused, and so is the right one under another name."""
    other = ec.generate_private_key(ec.SECP256R1())
    assert not world.shakes_hands(_certificate("root", other, "root", other))
    assert not world.shakes_hands(world.root, "other.test")


def test_the_flags_are_the_same_everywhere() -> None:
    """Whatever Python's defaults are, these are ours."""
    flags = trust.client_context().verify_flags
    assert not flags & ssl.VERIFY_X509_STRICT
    assert flags & ssl.VERIFY_X509_PARTIAL_CHAIN
    assert flags & ssl.VERIFY_X509_TRUSTED_FIRST
