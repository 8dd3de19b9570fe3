"""Cutting what looks like a credential out of log lines (R1): a second net, for what should never get there."""

import re
from collections.abc import Mapping
from typing import Any, Final

from mailtier.api import secret

HIDDEN: Final = "(hidden)"
_DEPTH: Final = 6

# The last part of a key's name that says its value is a credential: password, smtp_password, id-token.
_KEY: Final = re.compile(
    r"(?i)(?:^|[_.\- ])(?:password|passwd|passphrase|secret|token|authorization|cookie|credential)s?$"
)
_PATTERNS: Final = (
    # SMTP AUTH with its initial response (RFC 4954); the shortest PLAIN payload has eight characters of base64.
    (
        re.compile(r"(?i)\bAUTH\s+(PLAIN|LOGIN|XOAUTH2|OAUTHBEARER|CRAM-MD5|NTLM)[ \t]+[A-Za-z0-9+/=]{8,}"),
        r"AUTH \1 (hidden)",
    ),
    # The payload of XOAUTH2 by itself, as a challenge is answered: `user=` in base64.
    (re.compile(r"\bdXNlcj[A-Za-z0-9+/]{20,}={0,2}"), HIDDEN),
    # HTTP credentials (RFC 9110 section 11.6.2, RFC 6750, RFC 7617), in a header and by themselves.
    (re.compile(r"(?i)\b(Authorization[\"']?\s*[:=]\s*[\"']?)(?!\(hidden\))(?:[A-Za-z]+ +)?[^\s\"',]+"), r"\1(hidden)"),
    (re.compile(r"(?i)\b(Bearer|Basic)\s+[A-Za-z0-9._~+/=-]{16,}"), r"\1 (hidden)"),
    # A JSON Web Token (RFC 7519): its header and claims are JSON objects, which begin so in base64.
    (re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)?"), HIDDEN),
    # `password=...`, `"token": "..."` in a text, and the fields of OAuth2 (RFC 6749, RFC 7521).
    (
        re.compile(
            r"""(?i)\b(password|passwd|passphrase|(?:access_|refresh_)?token|client_secret|client_assertion)(["']?\s*[=:]\s*)(?!\(hidden\))("[^"]*"|'[^']*'|[^\s,;&}]+)"""
        ),
        r"\1\2(hidden)",
    ),
    # Credentials in a URL (RFC 3986 section 3.2.1).
    (re.compile(r"(?i)\b([a-z][a-z0-9+.-]{0,20}://[^\s/:@]*):[^\s/@]+@"), r"\1:(hidden)@"),
    # A PEM private key.
    (
        re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)", re.DOTALL),
        HIDDEN,
    ),
)


def text(value: str) -> str:
    """Return a text without what looks like a credential in it."""
    for pattern, replacement in _PATTERNS:
        value = pattern.sub(replacement, value)
    return value


def fields(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a log line without credentials, by name and by looks; also inside lists and maps."""
    return _fields(values, _DEPTH)


def _fields(values: Mapping[Any, Any], depth: int) -> dict[str, Any]:
    return {
        str(key): HIDDEN if isinstance(value, str | bytes) and _KEY.search(str(key)) else _value(value, depth)
        for key, value in values.items()
    }


def _value(value: Any, depth: int) -> Any:
    match value:
        case str():
            return text(value)
        case None | bool() | int() | float():
            return value
        case secret.Hidden():
            return HIDDEN
        case Mapping() | list() | tuple() | set() | frozenset() if not depth:
            return "..."
        case Mapping():
            return _fields(value, depth - 1)
        case list() | tuple() | set() | frozenset():
            return [_value(item, depth - 1) for item in value]
        case _:
            # Objects are turned into text here, where it can still be looked at.
            return text(str(value))
