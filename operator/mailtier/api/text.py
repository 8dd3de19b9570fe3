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

# What nobody sees in a name or a subject: soft hyphen, zero-width space, word joiner and invisible operators, the
# byte order mark, fillers of Hangul and Mongolian, and tags. They make one name of two that look the same, and hide
# words from filters.
_UNSEEN: Final = "\u00ad\u034f\u115f\u1160\u180e\u200b\u2060-\u2065\u3164\ufeff\uffa0\U000e0000-\U000e007f"
_CEL_UNSEEN: Final = (
    r"[\\x{ad}\\x{34f}\\x{115f}\\x{1160}\\x{180e}\\x{200b}\\x{2060}-\\x{2065}\\x{3164}\\x{feff}\\x{ffa0}"
    r"\\x{e0000}-\\x{e007f}]"
)
# Joiners are spelling in Persian and the scripts of India, and glue in emoji: there they stand between two characters
# beyond ASCII. Beside ASCII, at an end, or beside each other they join nothing.
_JOINERS: Final = "\u200c\u200d"
_IDLE_JOINER: Final = f"(?:^|[\x00-\x7f{_JOINERS}])[{_JOINERS}]|[{_JOINERS}](?:[\x00-\x7f]|$)"
_CEL_IDLE_JOINER: Final = (
    r"(^|[\\x{00}-\\x{7f}\\x{200c}\\x{200d}])[\\x{200c}\\x{200d}]|[\\x{200c}\\x{200d}]([\\x{00}-\\x{7f}]|$)"
)

CEL_FORBIDDEN: Final = r"[\\x{00}-\\x{1f}" + _CEL_TAIL
CEL_UNSEEN: Final = f"{_CEL_UNSEEN}|{_CEL_IDLE_JOINER}"
CEL_FORBIDDEN_MULTILINE: Final = r"[\\x{00}-\\x{08}\\x{0b}\\x{0c}\\x{0e}-\\x{1f}" + _CEL_TAIL

CONTROLS: Final = f"[\x00-\x1f{_TAIL}]"
"""Finds what `CEL_FORBIDDEN` finds, in the syntax that RE2 and Python share."""
UNSEEN: Final = f"[{_UNSEEN}]|{_IDLE_JOINER}"
"""Finds what `CEL_UNSEEN` finds."""
BLANKS: Final = "\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000"
"""Blanks beyond ASCII, as Unicode counts them (category Zs)."""
CEL_BLANKS: Final = r"\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{202f}\\x{205f}\\x{3000}"

_FORBIDDEN: Final = re.compile(f"[\x00-\x1f{_TAIL}{_SURROGATES}]")
_MULTILINE: Final = re.compile(f"[\x00-\x08\x0b\x0c\x0e-\x1f{_TAIL}{_SURROGATES}]")

_HIDDEN: Final = re.compile(UNSEEN)

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
    if text.isascii() and _without_breaks(text, multiline=multiline).isprintable():
        # What most texts are, seen in a quarter of the time: of ASCII, controls alone are not printable.
        return None
    match = (_MULTILINE if multiline else _FORBIDDEN).search(text)
    return None if match is None else _named(match[0])


def _without_breaks(text: str, *, multiline: bool) -> str:
    return text.replace("\n", "").replace("\r", "").replace("\t", "") if multiline else text


def find_unseen(text: str) -> str | None:
    """Return the first character of a line that nobody sees and nobody needs, as a person can read it, or None."""
    # None of them is ASCII, nor a joiner: to see that takes a hundredth of the search.
    match = None if text.isascii() else _HIDDEN.search(text)
    return None if match is None else _named(_first_unseen(match))


def without_unseen(text: str) -> str:
    """Return a text without characters that nobody sees and nobody needs."""
    # A joiner may have none but another to join. Of a row of them each pass takes half at least.
    while _HIDDEN.search(text) is not None:
        text = _HIDDEN.sub(_neighbour, text)
    return text


def locate(text: str, *, multiline: bool = False) -> str:
    """Return which character of a text may not stand in it, and where; empty if there is none.

    Args:
        text: As above.
        multiline: Whether it is a body; if not, what nobody sees is looked for too.

    Returns:
        For example `U+001B (escape) is character 6 of line 2`. The character itself is never part of it.
    """
    match = (_MULTILINE if multiline else _FORBIDDEN).search(text)
    if match is not None:
        char, at = match[0], match.start()
    else:
        hidden = None if multiline else _HIDDEN.search(text)
        if hidden is None:
            return ""
        char = _first_unseen(hidden)
        at = text.index(char, hidden.start())
    before = text[:at]
    line, column = before.count("\n") + 1, at - (before.rfind("\n") + 1) + 1
    return f"{_named(char)} is character {column}" + (f" of line {line}" if multiline else "")


def _neighbour(match: re.Match[str]) -> str:
    """Return what stays of a match: the ASCII beside a joiner."""
    return "".join(char for char in match[0] if char.isascii())


def _first_unseen(match: re.Match[str]) -> str:
    """Return the character that is meant: a joiner is found with its neighbour."""
    return next((char for char in match[0] if char in _JOINERS), match[0])


def _named(char: str) -> str:
    name = _CONTROL_NAMES.get(char) or unicodedata.name(char, "").lower()
    if not name:
        name = "lone surrogate" if unicodedata.category(char) == "Cs" else "control"
    return f"U+{ord(char):04X} ({name})"
