"""Servers whose TLS handshakes cost their clients as much as they can."""

import collections.abc
import contextlib
import dataclasses
import datetime as dt
import functools
import hashlib
import math
import pathlib
import socket
import ssl
import threading

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509 import oid

NAME = "smtp.test"
_MODULUS_BITS = 10_000
MOST = 40
"""As many certificates as fit into what a client reads of a handshake, 64 KiB."""
_VALID_FROM = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
_VALID_UNTIL = dt.datetime(2120, 1, 1, tzinfo=dt.UTC)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Certificates:
    """What a server has.

    Attributes:
        authority: What a client has to trust, in PEM.
        chain: What the server sends, in PEM.
        key: Of the first certificate, in PEM.
    """

    authority: str
    chain: bytes
    key: bytes

    def server_context(self, folder: pathlib.Path) -> ssl.SSLContext:
        """Return the context of a server; its files lie in the folder from then on."""
        (folder / "costly.pem").write_bytes(self.chain + self.key)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "costly.pem")
        return context


def finite_field_context(certificates: Certificates, folder: pathlib.Path) -> ssl.SSLContext:
    """Return the context of a server that does finite-field Diffie-Hellman alone, with a modulus of 10,000 bits.

    The modulus is no prime, which no client looks at: what counts is its length.

    Args:
        certificates: With an RSA key; there is no DHE with another.
        folder: Where its files lie from then on.
    """
    modulus = int.from_bytes(hashlib.shake_256(b"a modulus").digest(_MODULUS_BITS // 8)) | 1 << (_MODULUS_BITS - 1) | 1
    body = _der(2, b"\0" + modulus.to_bytes(_MODULUS_BITS // 8)) + _der(2, b"\x02")
    parameters = ssl.DER_cert_to_PEM_cert(_der(0x30, body)).replace("CERTIFICATE", "DH PARAMETERS")
    (folder / "dh.pem").write_text(parameters, encoding="ascii")
    context = certificates.server_context(folder)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("DHE+AESGCM:@SECLEVEL=1")
    context.load_dh_params(str(folder / "dh.pem"))
    return context


@functools.cache
def plain_chain() -> Certificates:
    """Return a certificate with an RSA key as most have, with every extension that a strict client wants."""
    authority = trustme.CA()
    leaf = authority.issue_cert(NAME, key_type=trustme.KeyType.RSA)
    return Certificates(
        authority=authority.cert_pem.bytes().decode("ascii"),
        chain=leaf.cert_chain_pems[0].bytes(),
        key=leaf.private_key_pem.bytes(),
    )


@functools.cache
def costly_chain(length: int = MOST) -> Certificates:
    """Return certificates each of which takes 5 ms to verify: RSA with a public exponent as long as the modulus."""
    root, leaf_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    between = _with_long_exponent(rsa.generate_private_key(65537, 3072))
    authority = _certificate("costly 0", root.public_key(), "costly 0", root)
    chain = [
        _certificate(f"costly {number + 1}", between.public_key(), f"costly {number}", between if number else root)
        for number in range(length)
    ]
    leaf = _certificate("leaf", leaf_key.public_key(), f"costly {length}", between, name=NAME)
    return Certificates(
        authority=_pem(authority).decode(),
        chain=_pem(leaf) + b"".join(_pem(certificate) for certificate in reversed(chain)),
        key=_key(leaf_key),
    )


def authorities(count: int) -> list[str]:
    """Return so many authorities' certificates in PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    return [
        _pem(_certificate(f"authority {number}", key.public_key(), f"authority {number}", key)).decode()
        for number in range(count)
    ]


def _with_long_exponent(key: rsa.RSAPrivateKey) -> rsa.RSAPrivateKey:
    """Return a key of the same modulus whose exponents have changed places: fast to sign with, slow to verify."""
    numbers = key.private_numbers()
    p, q, d = numbers.p, numbers.q, 65537
    e = pow(d, -1, math.lcm(p - 1, q - 1))
    public = rsa.RSAPublicNumbers(e, p * q)
    exchanged = rsa.RSAPrivateNumbers(p, q, d, d % (p - 1), d % (q - 1), rsa.rsa_crt_iqmp(p, q), public)
    return exchanged.private_key(unsafe_skip_rsa_key_validation=True)


def _certificate(
    subject: str,
    key: rsa.RSAPublicKey | ec.EllipticCurvePublicKey,
    issuer: str,
    issuer_key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey,
    *,
    name: str = "",
) -> x509.Certificate:
    subject_name, issuer_name = (
        x509.Name([x509.NameAttribute(oid.NameOID.COMMON_NAME, text)]) for text in (subject, issuer)
    )
    builder = (
        x509.CertificateBuilder(subject_name=subject_name, issuer_name=issuer_name, public_key=key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(_VALID_FROM)
        .not_valid_after(_VALID_UNTIL)
        .add_extension(x509.BasicConstraints(ca=not name, path_length=None), critical=True)
    )
    if name:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
    return builder.sign(issuer_key, hashes.SHA256())


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _der(tag: int, content: bytes) -> bytes:
    length = len(content)
    size = (length.bit_length() + 7) // 8
    head = bytes([length]) if length < 0x80 else bytes([0x80 | size]) + length.to_bytes(size)
    return bytes([tag]) + head + content


@contextlib.contextmanager
def refusing(context: ssl.SSLContext, *, starttls: bool = False) -> collections.abc.Iterator[int]:
    """Give the port of a server that makes handshakes and nothing else, and says by an alert why one failed.

    asyncio's servers, which the others are, drop the connection without a word.

    Args:
        context: For the handshakes.
        starttls: Whether it greets in clear and waits for STARTTLS before.
    """

    def make(accepted: socket.socket) -> None:
        if starttls:
            for words in (b"220 smtp.test\r\n", b"250-smtp.test\r\n250 STARTTLS\r\n", b"220 go on\r\n"):
                accepted.sendall(words)
                if not words.startswith(b"220 go"):
                    accepted.recv(1024)
        with context.wrap_socket(accepted, server_side=True):
            pass

    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            while True:
                try:
                    accepted, _ = listening.accept()
                except OSError:
                    return
                with contextlib.suppress(OSError), accepted:
                    make(accepted)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join(10)
