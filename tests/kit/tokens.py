"""Tokens that no cluster has issued."""

import base64
import json
import pathlib
import typing

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils


def unsigned(claims: typing.Any, header: typing.Any = None) -> str:
    """Return a token with these claims and a signature that nobody made."""
    parts = [json.dumps(part).encode() for part in (header if header is not None else {"alg": "RS256"}, claims)]
    return ".".join(map(_encoded, [*parts, b"signature"]))


def new_key() -> ec.EllipticCurvePrivateKey:
    """Return a key that no cluster knows."""
    return ec.generate_private_key(ec.SECP256R1())


def read_key(path: pathlib.Path) -> ec.EllipticCurvePrivateKey:
    """Return the key with which a cluster of the kit signs its tokens."""
    key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return key


def signed(claims: typing.Any, key: ec.EllipticCurvePrivateKey) -> str:
    """Return a token with these claims and a good signature of this key (RFC 7518 section 3.4)."""
    head = ".".join(_encoded(json.dumps(part).encode()) for part in ({"alg": "ES256"}, claims))
    r, s = utils.decode_dss_signature(key.sign(head.encode(), ec.ECDSA(hashes.SHA256())))
    return f"{head}.{_encoded(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


def _encoded(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).decode("ascii").rstrip("=")
