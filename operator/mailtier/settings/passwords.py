"""Passwords, what tokens are had with, and private keys: whether the bytes under a Secret's key are such a thing."""

from collections.abc import Sequence
from typing import Final

from cryptography import exceptions
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa, types

from mailtier.api import secret, text
from mailtier.settings import encodings, observed, pem

# RFC 4954 section 4: a line of AUTH has at most 12,288 octets, three quarters of which base64 leaves to
# identity, NUL and password together.
MAXIMUM_BYTES: Final = 4096

MAXIMUM_KEY_BYTES: Final = 16 * 1024
"""A key of 4096 bits has 3.2 KiB in PEM; the rest is for certificates beside it."""

# RFC 7518 section 3.3. To check a key takes time that grows faster than its length: 0.3 s at the upper bound.
_RSA_BITS: Final = range(2048, 4096 + 1)

_CURVES: Final[dict[type[ec.EllipticCurve], str]] = {ec.SECP256R1: "P-256", ec.SECP384R1: "P-384"}

# No keyboard makes them where a password begins or ends; RFC 4013 sections 2.1 and 2.2 would map them to nothing, or to
# a blank. A blank itself stays: it may be meant.
_INVISIBLE: Final = "\u00a0\u00ad\u200b\u200c\u200d\u2060\ufeff"

ABSENT: Final = "the key does not exist"
_PEM: Final = b"-----BEGIN "

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
Curve = type[ec.EllipticCurve]


class PasswordError(ValueError):
    """The value cannot be used; the sentence says why and shows nothing of it (R1)."""


def problem(value: bytes | None, purpose: observed.Purpose) -> str:
    """Return why the value of a Secret's key is not fit for its purpose; "" where it is."""
    try:
        if purpose == observed.Purpose.PRIVATE_KEY:
            parse_private_key(value)
        else:
            parse(value)
    except PasswordError as error:
        return str(error)
    return ""


def parse(value: bytes | None) -> secret.Hidden:
    """Return the password, client secret or refresh token that a Secret's key holds.

    Args:
        value: Decoded bytes of the key; None where the Secret has no such key.

    Raises:
        PasswordError: It is absent, empty, too long, no UTF-8, or has a character that AUTH cannot carry.

    Source:
        RFC 4616 section 2 (UTF-8 without NUL), RFC 4013 section 2.3 (no control characters).
    """
    if value is None:
        raise PasswordError(ABSENT)
    if not value:
        raise PasswordError("the value is empty")
    if len(value) > MAXIMUM_BYTES:
        raise PasswordError(f"the value is longer than {MAXIMUM_BYTES} bytes")
    if value.lstrip().startswith(_PEM):
        # In one line it would pass for a password: whoever writes the settings would have a private key, which its
        # owner has agreed to be used for certificates, sent to the server (R1).
        raise PasswordError("the value is a key or certificate in PEM, and no password")
    if why := encodings.problem(value):
        raise PasswordError(why)
    password = value.decode()
    if password.rstrip("\r\n") != password:
        raise PasswordError("the value ends in a line break (`echo` adds one, `printf %s` does not)")
    if password.strip(_INVISIBLE) != password:
        raise PasswordError(
            "the value begins or ends with a no-break space or an invisible character, as a copy from a web page has it"
        )
    if (found := text.find_forbidden(password)) is not None:
        raise PasswordError(f"the value holds a control character, {found}")
    return secret.Hidden(password)


def parse_private_key(value: bytes | None, *, curves: Sequence[Curve] = (ec.SECP256R1,)) -> PrivateKey:
    """Return the private key that a Secret's key holds.

    Args:
        value: PEM; certificates beside the key are left alone. None where the Secret has no such key.
        curves: Those that it may be on; that of assertions, if nothing else is said.

    Raises:
        PasswordError: It is absent, no PEM, encrypted, or of a kind that is not signed with.

    Source:
        RFC 7518 section 3.1: RS256 and ES256.
    """
    if value is None:
        raise PasswordError(ABSENT)
    if len(value) > MAXIMUM_KEY_BYTES:
        raise PasswordError(f"the value is longer than {MAXIMUM_KEY_BYTES} bytes")
    blocks = [block for block in pem.blocks(value.decode("latin-1")) if block.label.endswith("PRIVATE KEY")]
    if len(blocks) != 1:
        why = encodings.problem(value)
        raise PasswordError(why or "the value is not one private key in PEM (-----BEGIN PRIVATE KEY-----)")
    try:
        encoded = pem.rewrapped(blocks[0]).encode("latin-1")
    except pem.PemError:
        # With headers, as encrypted ones have them.
        encoded = blocks[0].text.encode("latin-1")
    # How long it is is looked at before it is checked, which takes the longer the longer it is.
    key = _load(encoded, checked=False)
    if isinstance(key, rsa.RSAPrivateKey) and key.key_size in _RSA_BITS:
        key = _load(encoded, checked=True)
        assert isinstance(key, rsa.RSAPrivateKey)
        return key
    if isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, tuple(curves)):
        return key
    named = " or ".join(_CURVES[curve] for curve in curves)
    raise PasswordError(
        f"the private key is neither RSA of {_RSA_BITS[0]} to {_RSA_BITS[-1]} bits nor on the curve {named}"
    )


def _load(encoded: bytes, *, checked: bool) -> types.PrivateKeyTypes:
    try:
        return serialization.load_pem_private_key(encoded, password=None, unsafe_skip_rsa_key_validation=not checked)
    except (ValueError, TypeError, exceptions.UnsupportedAlgorithm):
        # The cause is not chained: what it says may come from the value.
        raise PasswordError("the private key cannot be read, or is encrypted") from None
