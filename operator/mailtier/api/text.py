"""Characters that may never reach a header, an envelope, a command or a person's terminal (R5)."""

import re
import unicodedata
from typing import Final

# DEL and the C1 controls, the two Unicode line separators, and everything with the Unicode property
# Bidi_Control (UAX #9). The apiserver's RE2 and Python spell the same set differently.
_TAIL: Final = "\x7f-\x9f\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
_CEL_TAIL: Final = (
    r"\\x{7f}-\\x{9f}\\x{2028}\\x{2029}\\x{061c}\\x{200e}\\x{200f}\\x{202a}-\\x{202e}\\x{2066}-\\x{2069}]"
)
# A lone surrogate cannot be encoded as UTF-8. JSON can bring one to Python; to CEL none comes.
_SURROGATES: Final = "\ud800-\udfff"

CEL_FORBIDDEN: Final = r"[\\x{00}-\\x{1f}" + _CEL_TAIL
CEL_FORBIDDEN_MULTILINE: Final = r"[\\x{00}-\\x{08}\\x{0b}\\x{0c}\\x{0e}-\\x{1f}" + _CEL_TAIL

_FORBIDDEN: Final = re.compile(f"[\x00-\x1f{_TAIL}{_SURROGATES}]")
_MULTILINE: Final = re.compile(f"[\x00-\x08\x0b\x0c\x0e-\x1f{_TAIL}{_SURROGATES}]")

# Controls have no name of their own in the Unicode database; these are met often enough to be named.
_CONTROL_NAMES: Final = {"\0": "NUL", "\t": "tab", "\n": "line feed", "\r": "carriage return", "\x1b": "escape"}


_LOWERED: Final = {ord(char): char.lower() for char in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"}

ASCII_BLANKS: Final = " \t\r\n"
"""What is stripped round a name: `str.strip` takes the blanks of every script, and separators (U+001C) too."""


def lower_ascii(text: str) -> str:
    """Return a text with A to Z in lower case, and nothing else changed.

    `str.lower` maps other letters onto ASCII: the KELVIN SIGN (U+212A) becomes a k, so that one server's name would be
    taken for another's. Names of hosts and domains are ASCII, and are compared as such (RFC 4343).
    """
    return text.translate(_LOWERED)


def find_forbidden(text: str, *, multiline: bool = False) -> str | None:
    """Return the first character that may not stand in a text, as a person can read it, or None.

    Args:
        text: A value that is to become part of a header, an envelope address, a command, or a body.
        multiline: Whether line breaks and tabs are fine, as they are in a body.

    Returns:
        For example `U+000A (line feed)`. The character itself is never part of it.

    Source:
        RFC 5322 section 2.2 (no CR, LF), RFC 5321 section 4.1.2 (no controls), UAX #9 (Bidi_Control).
    """
    match = (_MULTILINE if multiline else _FORBIDDEN).search(text)
    if match is None:
        return None
    char = match[0]
    name = _CONTROL_NAMES.get(char) or unicodedata.name(char, "").lower()
    if not name:
        name = "lone surrogate" if unicodedata.category(char) == "Cs" else "control"
    return f"U+{ord(char):04X} ({name})"
