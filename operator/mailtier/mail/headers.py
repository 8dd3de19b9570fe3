"""Header fields: text made ASCII with encoded words (RFC 2047), folded at 76 characters, safe from injection."""

import binascii
import datetime as dt
import functools
import re
from typing import Final

from mailtier.api import addresses
from mailtier.api import text as texts

# RFC 2047 section 2: an encoded word has at most 75 characters, a line that holds one at most 76.
_MAXIMUM_WORD: Final = 75
_MAXIMUM_LINE: Final = 76
_BASE64_OPENING: Final = "=?utf-8?b?"
_Q_OPENING: Final = "=?utf-8?q?"
_CLOSING: Final = "?="

# Words with single blanks between them: what folding, which may only happen at a blank, gives back unchanged.
_PLAIN: Final = re.compile(r"[!-~]+(?: [!-~]+)*")
_ATOMS: Final = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?: [A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")

# RFC 2047 section 5 (3): the characters that need no encoding within a phrase; a subject may hold more, but one
# set for both is enough.
_Q_LITERAL: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!*+-/"


class _QEncoding(dict[int, str]):
    """A table for `str.translate`. Other characters are not kept: the table would grow with what it is fed."""

    def __missing__(self, point: int) -> str:
        return "".join(f"={byte:02X}" for byte in chr(point).encode())


_Q_ENCODING: Final = _QEncoding({ord(char): char for char in _Q_LITERAL} | {ord(" "): "_"})

_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class MessageError(ValueError):
    """The message cannot be built; the sentence names the field, and holds nothing of its value."""


def unstructured(name: str, value: str) -> str:
    """Return a header field of free text, such as Subject, without its final CRLF.

    Raises:
        MessageError: The value holds a character that may not reach a header (R5).
    """
    _check(name, value)
    opening = f"{name}: "
    if _PLAIN.fullmatch(value) and "=?" not in value:
        if len(opening) + len(value) <= _MAXIMUM_LINE:
            return opening + value
        words = value.split(" ")
        if len(opening) + len(words[0]) <= _MAXIMUM_LINE and len(max(words, key=len)) < _MAXIMUM_LINE:
            return _folded(opening, words)
    return _folded(opening, _encoded_words(value, len(opening))) if value else opening.rstrip()


@functools.lru_cache(maxsize=4096)
def address(name: str, mailbox: addresses.Mailbox, display_name: str = "") -> str:
    """Return a header field of one address, such as From, without its final CRLF.

    The same few senders come back with each message, so results are kept.

    Raises:
        MessageError: The display name holds a character that may not reach a header (R5).
    """
    opening = f"{name}: "
    addr_spec = mailbox.wire
    _check(name, addr_spec)
    if not display_name:
        return opening + addr_spec
    _check(name, display_name)
    phrase = _phrase(opening, display_name)
    separator = " " if len(phrase) + len(addr_spec) + 3 <= _MAXIMUM_LINE else "\r\n "
    return f"{phrase}{separator}<{addr_spec}>"


def date(value: dt.datetime) -> str:
    """Return a date and time in UTC (RFC 5322 section 3.3), in English whatever the process's locale is.

    Raises:
        ValueError: The time has no zone.
    """
    if value.tzinfo is None:
        raise ValueError("a message's date is an aware time")
    utc = value.astimezone(dt.UTC)
    return (
        f"{_DAYS[utc.weekday()]}, {utc.day} {_MONTHS[utc.month - 1]} {utc.year:04} "
        f"{utc.hour:02}:{utc.minute:02}:{utc.second:02} +0000"
    )


def _check(name: str, value: str) -> None:
    forbidden = texts.find_forbidden(value)
    if forbidden is not None:
        raise MessageError(f"{name} holds {forbidden}, which may not stand in a header")


def _phrase(opening: str, display_name: str) -> str:
    # An atom that reads as an encoded word would be decoded; such a name is encoded whole.
    if _PLAIN.fullmatch(display_name) and "=?" not in display_name:
        if _ATOMS.fullmatch(display_name) and len(opening) + len(display_name) <= _MAXIMUM_LINE:
            return opening + display_name
        escaped = display_name.replace("\\", "\\\\").replace('"', '\\"')
        if len(opening) + len(escaped) + 2 <= _MAXIMUM_LINE:
            return f'{opening}"{escaped}"'
    return _folded(opening, _encoded_words(display_name, len(opening)))


def _folded(opening: str, words: list[str]) -> str:
    lines = []
    line = opening + words[0]
    for word in words[1:]:
        if len(line) + 1 + len(word) <= _MAXIMUM_LINE:
            line = f"{line} {word}"
        else:
            lines.append(line)
            line = f" {word}"
    lines.append(line)
    return "\r\n".join(lines)


def _encoded_words(value: str, first_offset: int) -> list[str]:
    """Return the value as encoded words, Q or B whichever is shorter, none splitting a character (section 5)."""
    raw = value.encode()
    as_q = value.translate(_Q_ENCODING)
    is_q = len(as_q) <= len(raw) * 4 / 3
    opening = _Q_OPENING if is_q else _BASE64_OPENING
    available = min(_MAXIMUM_WORD, _MAXIMUM_LINE - first_offset) - len(opening) - len(_CLOSING)
    words = []
    start = 0
    while start < len(as_q if is_q else raw):
        if is_q:
            end = _q_boundary(as_q, start + available)
            payload = as_q[start:end]
        else:
            end = _utf8_boundary(raw, start + available // 4 * 3)
            payload = binascii.b2a_base64(raw[start:end], newline=False).decode("ascii")
        words.append(f"{opening}{payload}{_CLOSING}")
        start = end
        available = _MAXIMUM_WORD - len(opening) - len(_CLOSING)
    return words


def _q_boundary(as_q: str, end: int) -> int:
    """Return the last position up to `end` that splits neither an encoded byte nor a character."""
    if end >= len(as_q):
        return len(as_q)
    while as_q[end - 1] == "=" or as_q[end - 2] == "=":
        end -= 1
    # UTF-8's continuation bytes are 80 to BF.
    while as_q[end] == "=" and as_q[end + 1] in "89AB":
        end -= 3
    return end


def _utf8_boundary(raw: bytes, end: int) -> int:
    """Return the last position up to `end` that does not split a character."""
    while end < len(raw) and raw[end] & 0xC0 == 0x80:  # noqa: PLR2004 - UTF-8's continuation bytes.
        end -= 1
    return min(end, len(raw))
