"""Text parts of a message: bodies as they go over the wire, in the shorter of two encodings (RFC 2045 section 6).

Most of an HTML body is its template. What stands there as it is sent is encoded once (`known_parts`); an encoded line
depends on no other, so that the bytes are the same with it and without.
"""

import binascii
import re
from collections.abc import Iterator, Sequence
from typing import Final, TypeAlias

KnownParts: TypeAlias = Sequence[tuple[str, bytes]]
"""Whole lines and their encoded form, in the order in which they are met."""

# RFC 2045 section 6.7 (5) and 6.8: an encoded line has at most 76 characters.
_ENCODED_LINE: Final = 76

_MARKUP: Final = re.compile(r"\{[{%#]|[}%#]\}")
_SHORTEST: Final = 64
"""Characters: what is shorter is encoded sooner than it is found."""

_MARK: Final = "\0\n"
_ENCODED_MARK: Final = b"=00\r\n"
"""A line that no body has, or it is encoded without what is known."""


def known_parts(template: str) -> KnownParts:
    """Return the lines of a template that have no markup, each run of them with its encoded form.

    Args:
        template: Its source. It holds nothing of a notification, and so does what is returned.
    """
    return tuple((run, _encode(run)) for run in _plain_runs(template) if len(run) >= _SHORTEST)


def part(subtype: bytes, body: str, known: KnownParts = ()) -> bytes:
    """Return the header and the encoded body of a text part, ending in CRLF.

    Args:
        subtype: `plain` or `html`.
        body: Any kind of line break.
        known: What need not be encoded again.

    Raises:
        UnicodeEncodeError: The body holds a lone surrogate.
    """
    unified = body.replace("\r\n", "\n").replace("\r", "\n") if "\r" in body else body
    if not unified.endswith("\n"):
        unified += "\n"
    encoded, name = _quoted_printable(unified, known), b"quoted-printable"
    if len(encoded) > _base64_length(_raw_bytes(unified)):
        encoded, name = _base64(_raw(unified)), b"base64"
    return b"Content-Type: text/%b; charset=utf-8\r\nContent-Transfer-Encoding: %b\r\n\r\n%b" % (subtype, name, encoded)


def _plain_runs(template: str) -> Iterator[str]:
    run = ""
    for line in template.splitlines(keepends=True):
        if _MARKUP.search(line) is None and line.endswith("\n") and "\r" not in line:
            run += line
            continue
        yield run
        run = ""
    yield run


def _quoted_printable(unified: str, known: KnownParts) -> bytes:
    if not known or _MARK[0] in unified:
        return _encode(unified)
    others: list[str] = []
    found: list[bytes] = []
    start = 0
    for run, encoded in known:
        at = unified.find(run, start)
        if at >= 0 and (at == 0 or unified[at - 1] == "\n"):
            others.append(unified[start:at])
            found.append(encoded)
            start = at + len(run)
    others.append(unified[start:])
    # All others at once: to encode a little takes nearly as long as to encode much.
    first, *others_encoded = _encode(_MARK.join(others)).split(_ENCODED_MARK)
    pairs = zip(found, others_encoded, strict=True)
    return first + b"".join(each for pair in pairs for each in pair)


def _encode(unified: str) -> bytes:
    # b2a_qp takes the kind of its soft line breaks from the first line break it finds; there is one.
    return binascii.b2a_qp(_raw(unified))


def _raw(unified: str) -> bytes:
    return unified.replace("\n", "\r\n").encode()


def _raw_bytes(unified: str) -> int:
    # Of the usual text nothing is encoded to be counted.
    return len(unified) + unified.count("\n") if unified.isascii() else len(_raw(unified))


def _base64_length(raw_bytes: int) -> int:
    characters = (raw_bytes + 2) // 3 * 4
    return characters + 2 * -(-characters // _ENCODED_LINE)


def _base64(raw: bytes) -> bytes:
    characters = binascii.b2a_base64(raw, newline=False)
    lines = [characters[start : start + _ENCODED_LINE] for start in range(0, len(characters), _ENCODED_LINE)]
    lines.append(b"")
    return b"\r\n".join(lines)
