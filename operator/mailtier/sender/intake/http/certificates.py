"""The intake's certificate: from a mounted Secret, or made here by a small authority of our own."""

import datetime as dt
import hashlib
import ipaddress
import os
import pathlib
import ssl
import tempfile
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import oid

from mailtier.sender.net import handshakes

CERTIFICATE_FILE: Final = "tls.crt"
KEY_FILE: Final = "tls.key"
"""The names that Secrets of type kubernetes.io/tls have."""
AUTHORITY_FILE: Final = "ca.crt"
_AUTHORITY_KEY_FILE: Final = "ca.key"

# Clients hold the authority's certificate for as long as it lives, so that it outlives the installation. The
# leaf is short-lived, as no client has to hear of its renewal.
_AUTHORITY_LIFETIME: Final = dt.timedelta(days=3650)
_AUTHORITY_REMAINDER: Final = dt.timedelta(days=365)
_LEAF_LIFETIME: Final = dt.timedelta(days=90)
_LEAF_REMAINDER: Final = dt.timedelta(days=30)
_CLOCK_SKEW: Final = dt.timedelta(hours=1)


class CertificateError(Exception):
    """There is no usable certificate; the text says what is wrong with which file."""


class Certificates(Protocol):
    """Where the intake's certificate comes from."""

    def refresh(self) -> bool:
        """Look for another certificate, and return whether there is one.

        Raises:
            CertificateError: What is there cannot be used; the context stays as it was.
        """

    @property
    def context(self) -> ssl.SSLContext:
        """The TLS context for the next connection."""

    @property
    def authority_pem(self) -> str | None:
        """The certificates that clients verify against, as far as known."""


class MountedCertificates:
    """A certificate that somebody else renews in a folder: `tls.crt`, `tls.key` and, if it is there, `ca.crt`.

    Args:
        folder: A mounted Secret. The kubelet replaces its files together, behind a symbolic link.
    """

    def __init__(self, folder: pathlib.Path) -> None:
        self._folder = folder
        self._digest = b""
        self._context: ssl.SSLContext | None = None
        self.authority_pem: str | None = None

    def refresh(self) -> bool:
        """Load the files if their content changed, and return whether it did."""
        try:
            certificate, key = ((self._folder / name).read_bytes() for name in (CERTIFICATE_FILE, KEY_FILE))
            authority = self._folder / AUTHORITY_FILE
            self.authority_pem = authority.read_text(encoding="ascii") if authority.exists() else None
        except (OSError, UnicodeError) as error:
            raise CertificateError(f"the certificate in {self._folder} cannot be read: {error}") from error
        digest = hashlib.sha256(certificate + b"\0" + key).digest()
        if digest == self._digest:
            return False
        self._context = _context(self._folder / CERTIFICATE_FILE, self._folder / KEY_FILE)
        self._digest = digest
        return True

    @property
    def context(self) -> ssl.SSLContext:
        """The TLS context for the next connection; `refresh` has to have succeeded once."""
        assert self._context is not None
        return self._context


class OwnCertificates:
    """A certificate made and renewed here, by an authority that lives in the same folder.

    Args:
        folder: On the queue's volume, so that clients can go on trusting the authority after a restart.
        names: DNS names and IP addresses that clients connect to.
        now: Returns aware UTC time.
    """

    def __init__(self, folder: pathlib.Path, *, names: Sequence[str], now: Callable[[], dt.datetime]) -> None:
        self._folder = folder
        self._names = tuple(dict.fromkeys(names))
        self._now = now
        self._context: ssl.SSLContext | None = None
        self.authority_pem: str | None = None

    def refresh(self) -> bool:
        """Make what is missing, has other names or nears its end, and return whether the certificate is new."""
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            return self._refresh()
        except (OSError, ValueError) as error:
            raise CertificateError(f"no certificate can be made in {self._folder}: {error}") from error

    @property
    def context(self) -> ssl.SSLContext:
        """The TLS context for the next connection; `refresh` has to have succeeded once."""
        assert self._context is not None
        return self._context

    def _refresh(self) -> bool:
        authority = self._load(AUTHORITY_FILE, _AUTHORITY_KEY_FILE)
        if authority is None or self._ends_soon(authority[0], _AUTHORITY_REMAINDER):
            authority = self._make_authority()
        certificate, key = authority
        self.authority_pem = _pem(certificate).decode("ascii")
        leaf = self._load(CERTIFICATE_FILE, KEY_FILE)
        renew = leaf is None or not self._is_current(leaf[0], certificate)
        if renew:
            self._make_leaf(certificate, key)
        if renew or self._context is None:
            self._context = _context(self._folder / CERTIFICATE_FILE, self._folder / KEY_FILE)
            return True
        return False

    def _is_current(self, leaf: x509.Certificate, authority: x509.Certificate) -> bool:
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        return (
            leaf.issuer == authority.subject
            and list(names) == [_general_name(name) for name in self._names]
            and not self._ends_soon(leaf, _LEAF_REMAINDER)
        )

    def _ends_soon(self, certificate: x509.Certificate, remainder: dt.timedelta) -> bool:
        return certificate.not_valid_after_utc - self._now() < remainder

    def _make_authority(self) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
        key = ec.generate_private_key(ec.SECP256R1())
        # The serial number in the name tells a renewed authority from the one before it.
        serial = x509.random_serial_number()
        name = x509.Name(
            [
                x509.NameAttribute(oid.NameOID.COMMON_NAME, "mailtier intake CA"),
                x509.NameAttribute(oid.NameOID.SERIAL_NUMBER, f"{serial:x}"),
            ]
        )
        certificate = (
            self._builder(name, name, key.public_key(), serial, _AUTHORITY_LIFETIME)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(authority=True), critical=True)
            .sign(key, hashes.SHA256())
        )
        self._save(_AUTHORITY_KEY_FILE, _private_pem(key))
        self._save(AUTHORITY_FILE, _pem(certificate))
        return certificate, key

    def _make_leaf(self, authority: x509.Certificate, authority_key: ec.EllipticCurvePrivateKey) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(oid.NameOID.COMMON_NAME, "mailtier intake")])
        serial = x509.random_serial_number()
        identifier = authority.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        certificate = (
            self._builder(name, authority.subject, key.public_key(), serial, _LEAF_LIFETIME)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(authority=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([oid.ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False)
            .add_extension(x509.SubjectAlternativeName([_general_name(name) for name in self._names]), critical=False)
            .sign(authority_key, hashes.SHA256())
        )
        # Between the two writes the pair does not match; a start at that moment makes both anew.
        self._save(KEY_FILE, _private_pem(key))
        self._save(CERTIFICATE_FILE, _pem(certificate))

    def _builder(
        self,
        subject: x509.Name,
        issuer: x509.Name,
        key: ec.EllipticCurvePublicKey,
        serial: int,
        lifetime: dt.timedelta,
    ) -> x509.CertificateBuilder:
        now = self._now()
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(key)
            .serial_number(serial)
            .not_valid_before(now - _CLOCK_SKEW)
            .not_valid_after(now + lifetime)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        )

    def _load(self, certificate_file: str, key_file: str) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey] | None:
        """Return a certificate and its key, or None where they are missing, broken or not a pair."""
        try:
            certificate = x509.load_pem_x509_certificate((self._folder / certificate_file).read_bytes())
            key = serialization.load_pem_private_key((self._folder / key_file).read_bytes(), password=None)
        except (FileNotFoundError, ValueError):
            return None
        if not isinstance(key, ec.EllipticCurvePrivateKey) or certificate.public_key() != key.public_key():
            return None
        return certificate, key

    def _save(self, name: str, content: bytes) -> None:
        write_atomically(self._folder / name, content)


def write_atomically(path: pathlib.Path, content: bytes, *, mode: int = 0o600) -> None:
    """Replace a file as a whole: whoever reads it meets the old content or the new one, also after a power cut."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        pathlib.Path(temporary).replace(path)
    except BaseException:
        pathlib.Path(temporary).unlink(missing_ok=True)
        raise


def _context(certificate: pathlib.Path, key: pathlib.Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_ciphers(handshakes.CIPHERS)
    # In TLS 1.3 a client chooses the group, and with ffdhe8192 costs us a tenth of a second. This one every client has
    # to have (RFC 8446 section 9.1); Python has no way to name several.
    context.set_ecdh_curve("prime256v1")
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise CertificateError(f"{certificate} and {key.name} cannot be used: {error}") from error
    return context


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
