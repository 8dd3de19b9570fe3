"""Signatures of tokens, and the keys that a cluster publishes."""

import base64
import json
import typing

import hypothesis
import pytest
from cryptography.hazmat.primitives import hashes, hmac, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from hypothesis import strategies as st

from kit import tokens
from mailtier.kube import signatures

_RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
_CURVES = {"ES256": ec.SECP256R1(), "ES384": ec.SECP384R1(), "ES512": ec.SECP521R1()}


def _keys(entry: dict[str, str]) -> dict[str, signatures.PublicKey]:
    return signatures.keys({"keys": [entry]})


def _check(token: str, entry: dict[str, str]) -> bool:
    signed = signatures.read(token)
    return signed is not None and signatures.is_good(signed, _keys(entry)[signed.key_id])


def _rsa_token(claims: typing.Any, algorithm: str = "RS256") -> str:
    content = tokens.content({"alg": algorithm, "kid": "r"}, claims)
    return f"{content}.{tokens.encoded(_RSA.sign(content.encode(), padding.PKCS1v15(), hashes.SHA256()))}"


@pytest.mark.parametrize("algorithm", _CURVES)
def test_each_curve_has_its_algorithm(algorithm: str) -> None:
    """A token of each algorithm is good with the key that signed it, and with no other of the same curve."""
    key, other = (ec.generate_private_key(_CURVES[algorithm]) for _ in range(2))
    token = tokens.signed({"aud": "x"}, key, algorithm=algorithm)
    assert _check(token, tokens.published(key, algorithm=algorithm))
    assert not _check(token, tokens.published(other, named=tokens.key_id(key), algorithm=algorithm))


def test_rsa_is_checked() -> None:
    """A token that an RSA key signed is good with it, and no longer with one byte changed."""
    token = _rsa_token({"aud": "x"})
    entry = tokens.published_rsa(_RSA, named="r")
    assert _check(token, entry)
    head, claims, signature = token.split(".")
    assert not _check(f"{head}.{tokens.encoded(b'{}')}.{signature}", entry)
    assert not _check(f"{head}.{claims}.{signature[:-4]}AAAA", entry)


def test_the_key_says_which_algorithm_it_is_for() -> None:
    """A public key is no secret for an HMAC, and no key of one kind is used for another."""
    key = ec.generate_private_key(ec.SECP256R1())
    content = tokens.content({"alg": "HS256", "kid": "r"}, {"aud": "x"})
    pem = _RSA.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    mac = hmac.HMAC(pem, hashes.SHA256())
    mac.update(content.encode())
    assert signatures.read(f"{content}.{tokens.encoded(mac.finalize())}") is None
    assert not _check(_rsa_token({}, algorithm="ES256"), tokens.published_rsa(_RSA, named="r"))
    assert not _check(_rsa_token({}), tokens.published(key, named="r"))
    larger = tokens.published(ec.generate_private_key(ec.SECP384R1()), named=tokens.key_id(key), algorithm="ES384")
    assert not _check(tokens.signed({}, key), larger)


@pytest.mark.parametrize(
    "header",
    [
        {},
        {"alg": "none", "kid": "k"},
        {"alg": "RS256"},
        {"alg": "RS256", "kid": 1},
        {"alg": ["RS256"], "kid": "k"},
        {"alg": "PS256", "kid": "k"},
        [],
        "RS256",
    ],
)
def test_a_header_that_is_no_cluster_s_is_none(header: typing.Any) -> None:
    """Without an algorithm of a cluster's and the id of a key there is nothing to check."""
    assert signatures.read(tokens.unsigned({}, header)) is None


@hypothesis.given(st.text() | st.lists(st.binary(max_size=40)).map(lambda parts: ".".join(map(tokens.encoded, parts))))
def test_no_text_breaks_reading(token: str) -> None:
    """Whatever is sent is a token's parts or none."""
    found = signatures.read(token)
    assert found is None or found.key_id is not None


@pytest.mark.parametrize("size", [0, 1, 63, 65, 128])
def test_a_signature_has_its_length(size: int) -> None:
    """Another length than the curve's is not good."""
    key = ec.generate_private_key(ec.SECP256R1())
    content = tokens.content({"alg": "ES256", "kid": tokens.key_id(key)}, {})
    signed = signatures.Signed(
        algorithm="ES256", key_id=tokens.key_id(key), content=content.encode(), signature=bytes(size)
    )
    assert not signatures.is_good(signed, key.public_key())


def test_a_set_is_read_as_far_as_it_can_be() -> None:
    """What is no key for signatures, of a kind that is not known, broken or giant is left out, and the rest is used."""
    good = tokens.published(ec.generate_private_key(ec.SECP256R1()), named="good")
    giant = tokens.published_rsa(_RSA, named="giant") | {"n": base64.urlsafe_b64encode(b"\xff" * 2049).decode()}
    entries = [
        None,
        {},
        {"kty": "oct", "kid": "a", "k": "c2VjcmV0"},
        {"kty": "EC", "kid": "b", "crv": "P-256", "x": "AA", "y": "AA"},
        {"kty": "EC", "kid": "c", "crv": "secp256k1", "x": "AA", "y": "AA"},
        {"kty": "RSA", "kid": "d", "e": "AQAB"},
        {"kty": "RSA", "kid": "e", "e": "!", "n": "?"},
        good | {"kid": "f", "use": "enc"},
        good | {"kid": 7},
        giant,
        good,
    ]
    assert list(signatures.keys({"keys": entries})) == ["good"]
    assert len(signatures.keys({"keys": [good | {"kid": str(number)} for number in range(1000)]})) < 100


@pytest.mark.parametrize("document", [None, [], {}, {"keys": None}, {"keys": "abc"}, {"keys": {}}, json.loads("1")])
def test_what_is_no_set_has_no_keys(document: typing.Any) -> None:
    """An answer of another form is a set without keys."""
    assert signatures.keys(document) == {}
