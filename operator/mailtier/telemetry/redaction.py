"""Cutting what looks like a credential out of log lines (R1): a second net, for what should never get there."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from mailtier.api import secret

HIDDEN: Final = "(hidden)"
_DEPTH: Final = 6

# Where a word begins inside a name: smtpPassword, SMTPPassword.
_HUMP: Final = r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])"
# The last part of a key's name that says its value is a credential: password, smtp_password, DB_PASS, id-token.
_KEY: Final = re.compile(
    rf"(?:^|[_.\- ]|{_HUMP})(?i:(?:password|passwd|passphrase|pass|pwd|secret|token|authorization|cookie|credential"
    r"|(?:api|access|private)[_-]?key)s?)$"
)
# Names of SASL mechanisms, in any case. A name that is not among them counts in upper case, as RFC 4422 has it.
_KNOWN: Final = (
    r"(?i:PLAIN|LOGIN|XOAUTH2|OAUTHBEARER|CRAM-MD5|DIGEST-MD5|NTLM|SCRAM-[A-Z0-9-]{3,14}|GSSAPI|GSS-SPNEGO"
    r"|GS2-[A-Z0-9-]{3,16}|KERBEROS_V4|EXTERNAL|ANONYMOUS|OTP|SKEY|SECURID|SAML20|OPENID20)"
)
_MECHANISM: Final = rf"(?:\s+{_KNOWN}|[ \t]+[A-Z][A-Z0-9_-]{{2,19}})"
# A line of a SASL dialogue, with or without the challenge's code, and the command that begins it.
_RESPONSE: Final = re.compile(r"(?:334 ?)?[A-Za-z0-9+/]*={0,2}\s*")
_AUTH: Final = re.compile(rf"\b(?i:AUTH) {_KNOWN}(?![A-Za-z0-9_-])")
_QUOTED: Final = r"""(?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')"""
# The same between brackets, where one that is not closed goes on to the end: a search for each would take too long.
_ITEM: Final = r"""(?:"(?:[^"\\]|\\.)*"?|'(?:[^'\\]|\\.)*'?)"""
_PATTERNS: Final = (
    # SMTP AUTH with its initial response (RFC 4954), and the dialogue that follows: a line each, with or without the
    # challenges between and a mark of who said it.
    (
        re.compile(
            rf"\b((?i:AUTH)\s+{_KNOWN})"
            r"(?:[ \t]+(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{4})"
            r"(?![A-Za-z0-9+/=:]))?"
            r"((?:(?:\r?\n|\\r\\n|\\n)[ \t]*(?:(?:C|S|>|<|>>>|<<<|->|<-):?[ \t]*)?(?:334[ \t]*)?"
            r"[A-Za-z0-9+/]*={0,2}(?![^\r\n\\])){1,6})"
        ),
        r"\1 (hidden)",
    ),
    (
        re.compile(
            rf"\b((?i:AUTH){_MECHANISM})[ \t]+"
            rf"(?!{_KNOWN}(?![A-Za-z0-9+/=_-]))"
            r"(?:[A-Za-z0-9+/]{8,}={0,2}|[A-Za-z0-9+/]{2,}={1,2}|[A-Za-z0-9+/]{4}(?=\s*(?:$|[\r\n\"'])))"
        ),
        r"\1 (hidden)",
    ),
    # The payload of XOAUTH2 by itself, as a challenge is answered: `user=` in base64.
    (re.compile(r"\bdXNlcj[A-Za-z0-9+/]{20,}={0,2}"), HIDDEN),
    # HTTP credentials (RFC 9110 section 11.6.2, RFC 6750, RFC 7617), in a header and by themselves.
    (re.compile(r"(?i)\b(Authorization[\"']?\s*[:=]\s*[\"']?)(?!\(hidden\))(?:[A-Za-z]+ +)?[^\s\"',]+"), r"\1(hidden)"),
    (re.compile(r"(?i)\b(Bearer|Basic)\s+[A-Za-z0-9._~+/=-]{16,}"), r"\1 (hidden)"),
    # A JSON Web Token (RFC 7519): its header and claims are JSON objects, which begin so in base64.
    (re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)?"), HIDDEN),
    # `password=...`, `"token": "..."` in a text, several values in brackets, and the fields of OAuth2 (RFC 6749, RFC
    # 7521).
    (
        re.compile(
            rf"(?:(?<![A-Za-z0-9])|{_HUMP})"
            r"((?i:password|passwd|passphrase|pass|pwd|(?:access_|refresh_)?token|(?:client[_-]?)?secret"
            r"|client_assertion|(?:api|access|private)[_-]?key))"
            r"""(["']?\s*[=:]\s*)(?!\(hidden\))"""
            rf"(?:{_QUOTED}|\[(?:{_ITEM}|[^\]])*\]?|\((?:{_ITEM}|[^)])*\)?|\{{(?:{_ITEM}|[^}}])*\}}?|[^\s,;&}}]+)"
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
        str(key): _hidden(value) if _KEY.search(str(key)) else _value(value, depth) for key, value in values.items()
    }


def _hidden(value: Any) -> Any:
    """Return what stands for the value of a key that names a credential: of several, one for all."""
    return value if value is None or isinstance(value, bool | int | float) else HIDDEN


def _items(values: Sequence[Any], depth: int) -> list[Any]:
    """Return the items of a list, as of a command line: what follows `--password` or AUTH is a credential."""
    found: list[Any] = []
    is_next = in_dialogue = False
    for value in values:
        is_text = isinstance(value, str | bytes)
        said = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value) if is_text else ""
        in_dialogue = in_dialogue and _RESPONSE.fullmatch(said) is not None
        found.append(HIDDEN if is_text and (is_next or in_dialogue) else _value(value, depth))
        is_next = said.startswith("-") and "=" not in said and _KEY.search(said.lstrip("-")) is not None
        in_dialogue = in_dialogue or _AUTH.search(said) is not None
    return found


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
        case list() | tuple():
            return _items(value, depth - 1)
        case set() | frozenset():
            return [_value(item, depth - 1) for item in value]
        case _:
            # Objects are turned into text here, where it can still be looked at.
            return text(str(value))
