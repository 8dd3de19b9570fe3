"""Client certificates: what a Secret of type kubernetes.io/tls holds, checked before a server is shown any of it."""

import dataclasses
import datetime as dt
import hashlib
import warnings
from typing import Final

from cryptography import utils, x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from mailtier.api import names, secret
from mailtier.settings import encodings, passwords, pem

MAXIMUM_BYTES: Final = 64 * 1024
"""Of tls.crt: what a peer takes for a whole handshake (`sender.net.handshakes`)."""
MAXIMUM_CERTIFICATES: Final = 10

_CURVES: Final = (ec.SECP256R1, ec.SECP384R1)

_CERTIFICATE: Final = "CERTIFICATE"
_ENCODING: Final = serialization.Encoding

# As `bundles` has it: certificates that are not to the letter of RFC 5280 are read all the same.
warnings.filterwarnings(
    "ignore", category=utils.CryptographyDeprecationWarning, module=r"mailtier\.settings\.client_certificates"
)


class ClientCertificateError(ValueError):
    """It cannot be used; the sentence says why and shows nothing of it (R1).

    Attributes:
        key: The key of the Secret that is at fault.
    """

    def __init__(self, key: str, text: str) -> None:
        super().__init__(text)
        self.key = key


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ClientCertificate:
    """A certificate with its private key.

    Attributes:
        chain: PEM: the certificate, and those that lead from it to an authority.
        private_key: PEM, PKCS #8, without a passphrase.
        digest: Hexadecimal SHA-256 of both. Not of the chain alone, which every server sees: nobody gets what was made
            of another's key because theirs, by whatever flaw, was taken to belong to the same certificate.
        expires_at: Aware UTC time.
    """

    chain: str
    private_key: secret.Hidden
    digest: str
    expires_at: dt.datetime


def parse(certificate: bytes | None, private_key: bytes | None, *, kind: str, now: dt.datetime) -> ClientCertificate:
    """Return the client certificate that a Secret holds.

    Args:
        certificate: Decoded bytes of tls.crt; None where the Secret has no such key.
        private_key: Of tls.key, in the same way.
        kind: The Secret's type.
        now: Aware UTC time.

    Raises:
        ClientCertificateError: The type is another one, a part is absent or cannot be read, the two do not belong
            together, or the certificate is not valid now.

    Source:
        https://kubernetes.io/docs/concepts/configuration/secret/#tls-secrets
    """
    if kind != names.TLS_SECRET_TYPE:
        # Whoever made the Secret meant it for TLS; a password that happens to lie under tls.key is none of this.
        raise ClientCertificateError(names.CERTIFICATE_KEY, f"the Secret is not of type {names.TLS_SECRET_TYPE}")
    chain = _parse_chain(certificate)
    try:
        key = passwords.parse_private_key(private_key, curves=_CURVES)
    except passwords.PasswordError as error:
        raise ClientCertificateError(names.CERTIFICATE_KEY_KEY, str(error)) from None
    leaf = chain[0]
    if _public(key.public_key()) != _public(leaf.public_key()):
        raise ClientCertificateError(
            names.CERTIFICATE_KEY_KEY, "the private key is not that of the first certificate in tls.crt"
        )
    if leaf.not_valid_after_utc <= now:
        raise ClientCertificateError(
            names.CERTIFICATE_KEY, f"the certificate ended on {leaf.not_valid_after_utc:%Y-%m-%d}"
        )
    if leaf.not_valid_before_utc > now:
        raise ClientCertificateError(
            names.CERTIFICATE_KEY, f"the certificate is not valid before {leaf.not_valid_before_utc:%Y-%m-%d}"
        )
    joined = "".join(each.public_bytes(_ENCODING.PEM).decode("ascii") for each in chain)
    # Written anew, and so never encrypted: OpenSSL would ask a terminal for the passphrase.
    encoded = key.private_bytes(_ENCODING.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return ClientCertificate(
        chain=joined,
        private_key=secret.Hidden(encoded.decode("ascii")),
        digest=hashlib.sha256(joined.encode() + encoded).hexdigest(),
        expires_at=leaf.not_valid_after_utc,
    )


def _parse_chain(value: bytes | None) -> list[x509.Certificate]:
    if value is None:
        raise ClientCertificateError(names.CERTIFICATE_KEY, passwords.ABSENT)
    if len(value) > MAXIMUM_BYTES:
        raise ClientCertificateError(names.CERTIFICATE_KEY, f"the value is longer than {MAXIMUM_BYTES} bytes")
    text = value.decode("latin-1")
    blocks = list(pem.blocks(text))
    if not blocks or pem.begins(text) != len(blocks) or any(block.label != _CERTIFICATE for block in blocks):
        why = encodings.problem(value)
        raise ClientCertificateError(
            names.CERTIFICATE_KEY, why or "the value is not certificates alone in PEM (-----BEGIN CERTIFICATE-----)"
        )
    if len(blocks) > MAXIMUM_CERTIFICATES:
        raise ClientCertificateError(
            names.CERTIFICATE_KEY,
            f"the value holds {len(blocks)} certificates; at most {MAXIMUM_CERTIFICATES} are sent",
        )
    return [_load(position, block) for position, block in enumerate(blocks, start=1)]


def _load(position: int, block: pem.Block) -> x509.Certificate:
    try:
        return x509.load_der_x509_certificate(pem.content(block))
    except ValueError:
        # PemError is one. The cause is not chained: what it says may come from the value.
        raise ClientCertificateError(names.CERTIFICATE_KEY, f"certificate {position} cannot be read") from None


def _public(key: object) -> bytes:
    """Return a public key as bytes that are the same for the same key; none for what is no key of ours."""
    if not isinstance(key, ec.EllipticCurvePublicKey | rsa.RSAPublicKey):
        return b""
    return key.public_bytes(_ENCODING.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
