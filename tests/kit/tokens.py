"""Tokens that no cluster has issued."""

import base64
import hashlib
import json
import pathlib
import typing

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa, utils


def unsigned(claims: typing.Any, header: typing.Any = None) -> str:
    """Return a token with these claims and a signature that nobody made."""
    parts = [json.dumps(part).encode() for part in (header if header is not None else {"alg": "RS256"}, claims)]
    return ".".join(map(encoded, [*parts, b"signature"]))


def new_key() -> ec.EllipticCurvePrivateKey:
    """Return a key that no cluster knows."""
    return ec.generate_private_key(ec.SECP256R1())


def read_key(path: pathlib.Path) -> ec.EllipticCurvePrivateKey:
    """Return the key with which a cluster of the kit signs its tokens."""
    key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return key


def key_id(key: ec.EllipticCurvePrivateKey) -> str:
    """Return the id that a kube-apiserver gives a key: a digest of its public part (`keyIDFromPublicKey`)."""
    public = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return encoded(hashlib.sha256(public).digest())


def signed(
    claims: typing.Any, key: ec.EllipticCurvePrivateKey, *, algorithm: str = "ES256", named: str | None = None
) -> str:
    """Return a token with these claims and a good signature of this key (RFC 7518 section 3.4).

    Args:
        claims: What it says.
        key: On the curve of the algorithm.
        algorithm: ES256, ES384 or ES512.
        named: The id of the key that it says it was signed with; this key's by default.
    """
    head = content({"alg": algorithm, "kid": key_id(key) if named is None else named}, claims)
    digest = {"ES256": hashes.SHA256(), "ES384": hashes.SHA384(), "ES512": hashes.SHA512()}[algorithm]
    size = (key.curve.key_size + 7) // 8
    r, s = utils.decode_dss_signature(key.sign(head.encode(), ec.ECDSA(digest)))
    return f"{head}.{encoded(r.to_bytes(size, 'big') + s.to_bytes(size, 'big'))}"


def published(key: ec.EllipticCurvePrivateKey, *, named: str | None = None, algorithm: str = "ES256") -> dict[str, str]:
    """Return a key as a cluster publishes it (RFC 7518 section 6.2)."""
    numbers, size = key.public_key().public_numbers(), (key.curve.key_size + 7) // 8
    return {
        "use": "sig",
        "kty": "EC",
        "kid": key_id(key) if named is None else named,
        "crv": {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521"}[algorithm],
        "alg": algorithm,
        "x": encoded(numbers.x.to_bytes(size, "big")),
        "y": encoded(numbers.y.to_bytes(size, "big")),
    }


def published_rsa(key: rsa.RSAPrivateKey, *, named: str) -> dict[str, str]:
    """Return an RSA key as a cluster publishes it (RFC 7518 section 6.3)."""
    numbers = key.public_key().public_numbers()
    n, e = (encoded(number.to_bytes((number.bit_length() + 7) // 8, "big")) for number in (numbers.n, numbers.e))
    return {"use": "sig", "kty": "RSA", "kid": named, "alg": "RS256", "n": n, "e": e}


def content(header: typing.Any, claims: typing.Any) -> str:
    """Return what is signed of a token."""
    return ".".join(encoded(json.dumps(part).encode()) for part in (header, claims))


def encoded(part: bytes) -> str:
    """Return bytes as they stand in a token."""
    return base64.urlsafe_b64encode(part).decode("ascii").rstrip("=")
