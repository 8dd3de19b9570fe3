"""Whether the bytes under a Secret's key can be a password."""

from typing import Final

from mailtier.api import secret, text

# RFC 4954 section 4: a line of AUTH has at most 12,288 octets, three quarters of which base64 leaves to
# identity, NUL and password together.
MAXIMUM_BYTES: Final = 4096


class PasswordError(ValueError):
    """The value cannot be a password; the sentence says why and shows nothing of it (R1)."""


def parse(value: bytes | None) -> secret.Hidden:
    """Return the password that a Secret's key holds.

    Args:
        value: Decoded bytes of the key; None where the Secret has no such key.

    Raises:
        PasswordError: It is absent, empty, too long, no UTF-8, or has a character that AUTH cannot carry.

    Source:
        RFC 4616 section 2 (UTF-8 without NUL), RFC 4013 section 2.3 (no control characters).
    """
    if value is None:
        raise PasswordError("the key does not exist")
    if not value:
        raise PasswordError("the value is empty")
    if len(value) > MAXIMUM_BYTES:
        raise PasswordError(f"the value is longer than {MAXIMUM_BYTES} bytes")
    try:
        password = value.decode()
    except UnicodeDecodeError:
        # The cause is not chained: its text and its `object` attribute hold the value.
        raise PasswordError("the value is not UTF-8 text") from None
    if password.rstrip("\r\n") != password:
        raise PasswordError("the value ends in a line break (`echo` adds one, `printf %s` does not)")
    if text.find_forbidden(password) is not None:
        raise PasswordError("the value holds a control character")
    return secret.Hidden(password)
