"""Signatures of tokens (RFC 7515), and the public keys that a cluster publishes for them (RFC 7517)."""

import base64
import binascii
import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from cryptography import exceptions
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils

# What a kube-apiserver signs with (pkg/serviceaccount/jwt.go), and whoever signs in its place
# (kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin, "External ServiceAccount token signing").
_RSA: Final[Mapping[str, hashes.HashAlgorithm]] = {"RS256": hashes.SHA256()}
_EC: Final[Mapping[str, tuple[type[ec.EllipticCurve], hashes.HashAlgorithm]]] = {
    "ES256": (ec.SECP256R1, hashes.SHA256()),
    "ES384": (ec.SECP384R1, hashes.SHA384()),
    "ES512": (ec.SECP521R1, hashes.SHA512()),
}
_CURVES: Final[Mapping[str, ec.EllipticCurve]] = {
    "P-256": ec.SECP256R1(),
    "P-384": ec.SECP384R1(),
    "P-521": ec.SECP521R1(),
}
# A check takes 50 µs with RSA of 2,048 bits and with P-256, and 1 ms with RSA of 16,384.
_LARGEST_RSA_BITS: Final = 8_192
_MOST_KEYS: Final = 64

PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """A token in its parts.

    Attributes:
        key_id: Which key signed it, by its own word.
        content: What is signed.
    """

    algorithm: str
    key_id: str
    content: bytes
    signature: bytes = dataclasses.field(repr=False)


def read(token: str) -> Signed | None:
    """Return a token's parts; None where they cannot be those of a cluster's token, such as without a key's id."""
    head, _, signature = token.rpartition(".")
    try:
        header = json.loads(_decoded(head.partition(".")[0]))
        found = _decoded(signature)
    except (binascii.Error, ValueError, RecursionError):
        return None
    if not isinstance(header, dict):
        return None
    algorithm, key_id = header.get("alg"), header.get("kid")
    if not isinstance(algorithm, str) or not isinstance(key_id, str) or not (algorithm in _RSA or algorithm in _EC):
        return None
    return Signed(algorithm=algorithm, key_id=key_id, content=head.encode(), signature=found)


def is_good(signed: Signed, key: PublicKey) -> bool:
    """Return whether a key made the signature; the algorithm has to be one of the key's kind."""
    try:
        if isinstance(key, rsa.RSAPublicKey):
            if signed.algorithm not in _RSA:
                return False
            key.verify(signed.signature, signed.content, padding.PKCS1v15(), _RSA[signed.algorithm])
        else:
            curve, algorithm = _EC.get(signed.algorithm, (None, None))
            size = (key.curve.key_size + 7) // 8
            if curve is None or algorithm is None or not isinstance(key.curve, curve):
                return False
            if len(signed.signature) != 2 * size:
                return False
            # RFC 7518 section 3.4: two numbers of the curve's size, where X.509 has a sequence in DER.
            r, s = (int.from_bytes(half) for half in (signed.signature[:size], signed.signature[size:]))
            key.verify(utils.encode_dss_signature(r, s), signed.content, ec.ECDSA(algorithm))
    except exceptions.InvalidSignature:
        return False
    return True


def keys(document: Any) -> dict[str, PublicKey]:
    """Return the keys of a set by their ids; what cannot be used is left out.

    Args:
        document: A JSON Web Key Set, as `/openid/v1/jwks` answers.
    """
    listed = document.get("keys") if isinstance(document, dict) else None
    found: dict[str, PublicKey] = {}
    for entry in listed[:_MOST_KEYS] if isinstance(listed, Sequence) else ():
        if not isinstance(entry, dict) or entry.get("use", "sig") != "sig" or not isinstance(entry.get("kid"), str):
            continue
        try:
            key = _key(entry)
        except (binascii.Error, ValueError, KeyError, TypeError, exceptions.UnsupportedAlgorithm):
            continue
        if key is not None:
            found[entry["kid"]] = key
    return found


def _key(entry: Mapping[str, Any]) -> PublicKey | None:
    match entry.get("kty"):
        case "RSA":
            key = rsa.RSAPublicNumbers(e=_number(entry["e"]), n=_number(entry["n"])).public_key()
            return key if key.key_size <= _LARGEST_RSA_BITS else None
        case "EC":
            curve = _CURVES[entry["crv"]]
            return ec.EllipticCurvePublicNumbers(x=_number(entry["x"]), y=_number(entry["y"]), curve=curve).public_key()
        case _:
            return None


def _number(text: str) -> int:
    return int.from_bytes(_decoded(text))


def _decoded(part: str) -> bytes:
    return base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)
