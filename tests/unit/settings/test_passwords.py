"""Which values of a Secret are fit for their purpose, and that nothing of them is told (R1)."""

import functools

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from mailtier.settings import observed, passwords

PEM = serialization.Encoding.PEM
PKCS8 = serialization.PrivateFormat.PKCS8
CERTIFICATE = b"-----BEGIN CERTIFICATE-----\nMAo=\n-----END CERTIFICATE-----\n"


@functools.cache
def _pem(kind: str) -> bytes:
    keys = {
        "rsa": lambda: rsa.generate_private_key(public_exponent=65537, key_size=2048),
        "short": lambda: rsa.generate_private_key(public_exponent=65537, key_size=1024),  # noqa: S505 - refused.
        "p256": lambda: ec.generate_private_key(ec.SECP256R1()),
        "p384": lambda: ec.generate_private_key(ec.SECP384R1()),
        "ed25519": ed25519.Ed25519PrivateKey.generate,
    }
    return keys[kind]().private_bytes(PEM, PKCS8, serialization.NoEncryption())


@pytest.mark.parametrize("kind", ["rsa", "p256"])
@pytest.mark.parametrize("around", [(b"", b""), (CERTIFICATE, b""), (b"Bag Attributes\n", CERTIFICATE)])
def test_a_key_may_have_its_certificate_beside_it(kind: str, around: tuple[bytes, bytes]) -> None:
    """RSA of 2048 bits and P-256 sign assertions, wherever in the value the key stands."""
    value = around[0] + _pem(kind) + around[1]
    assert passwords.problem(value, observed.Purpose.PRIVATE_KEY) == ""


@pytest.mark.parametrize(
    ("value", "part"),
    [
        (None, "does not exist"),
        (b"", "not one private key"),
        (b"hunter2", "not one private key"),
        (CERTIFICATE, "not one private key"),
        (b"-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----\n", "cannot be read"),
        ("short", "neither RSA"),
        ("p384", "neither RSA"),
        ("ed25519", "neither RSA"),
        ("two", "not one private key"),
        (b"x" * (passwords.MAXIMUM_KEY_BYTES + 1), "longer than"),
        (b"-----BEGIN A-----" * 900, "not one private key"),
        (b"-----BEGIN A " * 1200, "not one private key"),
    ],
)
def test_what_is_no_usable_key(value: bytes | str | None, part: str) -> None:
    """The sentence says what is wrong and shows nothing of the value."""
    if isinstance(value, str):
        value = _pem("p256") * 2 if value == "two" else _pem(value)
    found = passwords.problem(value, observed.Purpose.PRIVATE_KEY)
    assert part in found
    assert "hunter2" not in found


def test_an_encrypted_key_is_refused() -> None:
    """There is no place for a passphrase, which would have to lie beside the key."""
    key = ec.generate_private_key(ec.SECP256R1())
    value = key.private_bytes(PEM, PKCS8, serialization.BestAvailableEncryption(b"hunter2"))
    assert "encrypted" in passwords.problem(value, observed.Purpose.PRIVATE_KEY)


@pytest.mark.parametrize(
    "purpose", [observed.Purpose.PASSWORD, observed.Purpose.CLIENT_SECRET, observed.Purpose.REFRESH_TOKEN]
)
def test_what_is_text_is_one_line(purpose: observed.Purpose) -> None:
    """Passwords, client secrets and refresh tokens are one line of UTF-8."""
    assert passwords.problem(b"hunter2", purpose) == ""
    assert "line break" in passwords.problem(b"hunter2\n", purpose)


@pytest.mark.parametrize("between", [" ", "\\n", "\r\n"])
def test_a_key_whose_line_breaks_became_something_else_is_read(between: str) -> None:
    """One line of blanks or escapes is what templates and shells make of a key."""
    flat = _pem("p256").strip().replace(b"\n", between.encode())
    assert passwords.problem(flat, observed.Purpose.PRIVATE_KEY) == ""


def test_a_key_in_another_encoding_is_told_so() -> None:
    """A file that a shell wrote as UTF-16 holds a key for people, and none for us."""
    found = passwords.problem(_pem("p256").decode().encode("utf-16"), observed.Purpose.PRIVATE_KEY)
    assert "UTF-16" in found
