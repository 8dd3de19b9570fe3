"""A server's words, made fit to be quoted: short, printable, without secrets (R7)."""

import base64
import re
import urllib.parse
from collections.abc import Iterable
from typing import Final

MAXIMUM_QUOTE_LENGTH: Final = 200

_REMOVED: Final = "[removed]"

# The shortest piece of a known secret that is taken for one. Shorter ones would blank out ordinary words.
_FRAGMENT_LENGTH: Final = 6

# Enough to fill a quote whatever is removed from it.
_LONGEST_EXAMINED: Final = 1024

# What may be base64 or hexadecimal data: padded, or long, or of middling length with three kinds of character. What
# reads as words is none (`_is_prose`). Host names and queue ids of up to eleven characters pass. Each begins where its
# run of characters does and gives nothing of it back, so that no run is gone through once for each of its characters.
_PADDED: Final = re.compile(r"(?<![A-Za-z0-9+/_-])[A-Za-z0-9+/_-]{6,}+={1,2}(?![A-Za-z0-9])")
_LONG: Final = re.compile(r"(?<![A-Za-z0-9+/])[A-Za-z0-9+/]{24,}+")
_MIXED: Final = re.compile(
    r"(?<![A-Za-z0-9+/_-])(?=[A-Za-z+/_-]*+[0-9])(?=[A-Z0-9+/_-]*+[a-z])(?=[a-z0-9+/_-]*+[A-Z])[A-Za-z0-9+/_-]{12,}+"
)
_NAMED_SECRET: Final = re.compile(
    r"(?i)\b(?:(?:pass(?:word|wd|phrase)?|pwd|secret|token|api[_-]?key) ?[:=] ?|bearer "
    r"|auth (?:plain|login|xoauth2) )(?P<value>\S+)"
)

# A word as people and programs write them, alone or joined: Smtp, Client, AUTHENTICATION. Within random letters the
# case changes every other one, and five consonants follow one another soon.
_WORDS: Final = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_UNPRONOUNCEABLE: Final = re.compile(r"(?i)[bcdfghjklmnpqrstvwxz]{5}|[aeiouy]{4}|(.)\1\1")
_WORD_LENGTH: Final = 4.0
_MOST_DIGITS: Final = 4
_VOWELS: Final = frozenset("aeiouyAEIOUY")
_FEWEST_VOWELS: Final = 0.3
_RUN: Final = re.compile(r"[A-Za-z0-9+/=_-]+")


class KnownSecrets:
    """What a session knows and nobody may read, in all forms in which a server may echo it.

    They are found once for all replies of a session: a password may have 4,096 characters. Their pieces are not kept,
    which would take megabytes.

    Args:
        secrets: Password, token, and where the endpoint is inherited the username.
    """

    __slots__ = ("_long", "_secrets", "_short")

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets = tuple(secrets)
        self._long: list[str] | None = None
        self._short: list[str] = []

    def find(self, text: str) -> bytearray:
        """Return for each character of a printable text whether it belongs to a piece of a secret."""
        found = bytearray(len(text))
        if self._long is None:
            self._long = self._find_forms()
        folded = text.lower()
        for form in self._short:
            for match in re.finditer(f"(?={re.escape(form)})", folded):
                _hide(found, match.start(), match.start() + len(form))
        pieces = _common(self._long, folded) if self._long else set()
        if pieces:
            for start in range(len(folded) - _FRAGMENT_LENGTH + 1):
                if folded[start : start + _FRAGMENT_LENGTH] in pieces:
                    _hide(found, start, start + _FRAGMENT_LENGTH)
        return found

    def _find_forms(self) -> list[str]:
        forms = {form.lower() for secret in self._secrets for form in _forms(secret)}
        self._short = [form for form in forms if len(form) < _FRAGMENT_LENGTH]
        # The payload of AUTH holds the password: what is part of another form has no piece of its own.
        return [
            form
            for form in forms
            if len(form) >= _FRAGMENT_LENGTH and not any(form in other and form != other for other in forms)
        ]


NOTHING_SECRET: Final = KnownSecrets()


def quotable(text: str, secrets: KnownSecrets = NOTHING_SECRET) -> str:
    """Return a server's text as it may be shown: printable ASCII, at most 200 characters, nothing secret.

    Args:
        text: Untrusted text.
        secrets: What the session knows and nobody may read. Any six consecutive characters of one, plain or
            encoded, are removed together with the run of letters and digits around them.

    Source:
        Rule R7 of the threat model.
    """
    examined = text[:_LONGEST_EXAMINED]
    if not (examined.isascii() and examined.isprintable()):
        examined = "".join(char if "!" <= char <= "~" else " " for char in examined)
    printable = " ".join(examined.split())
    hidden = bytearray(len(printable))
    for pattern in (_LONG, _MIXED):
        for match in pattern.finditer(printable):
            if not _is_prose(match[0]):
                _hide(hidden, *match.span())
    for pattern, group in ((_PADDED, 0), (_NAMED_SECRET, "value")):
        for match in pattern.finditer(printable):
            _hide(hidden, *match.span(group))
    _hide_pieces(hidden, printable, secrets.find(printable))
    quoted = printable
    if any(hidden):
        # One mark stands for each run; NUL cannot occur in printable text.
        marked = "".join("\0" if hide else char for char, hide in zip(printable, hidden, strict=True))
        quoted = re.sub("\0+", _REMOVED, marked)
    if len(quoted) > MAXIMUM_QUOTE_LENGTH:
        quoted = quoted[: MAXIMUM_QUOTE_LENGTH - 3].rstrip() + "..."
    return quoted


def _is_prose(run: str) -> bool:
    """Return whether a run of letters and digits reads as words, so that it is no data however long it is."""
    letters = "".join(char for char in run if char.isalpha())
    digits = sum(char.isdigit() for char in run)
    words = _WORDS.findall(run)
    if not letters or digits > _MOST_DIGITS or len(letters) / len(words) < _WORD_LENGTH:
        return False
    vowels = sum(char in _VOWELS for char in letters)
    return vowels / len(letters) >= _FEWEST_VOWELS and not any(map(_UNPRONOUNCEABLE.search, words))


def _hide(hidden: bytearray, start: int, end: int) -> None:
    hidden[start:end] = b"\1" * (end - start)


def _hide_pieces(hidden: bytearray, text: str, found: bytearray) -> None:
    if not any(found):
        return
    hidden[:] = bytes(a | b for a, b in zip(hidden, found, strict=True))
    # What surrounds a piece in an encoded payload depends on it, down to single bits.
    for run in _RUN.finditer(text):
        if any(found[run.start() : run.end()]):
            _hide(hidden, *run.span())


def _common(forms: Iterable[str], text: str) -> set[str]:
    """Return the pieces of six characters that a text has in common with forms of at least six.

    Every third place of a form is looked at: among three that follow one another, one begins four characters that a
    piece of six holds whole.
    """
    grams = {text[start : start + 4] for start in range(len(text) - 3)}
    pieces = {text[start : start + _FRAGMENT_LENGTH] for start in range(len(text) - _FRAGMENT_LENGTH + 1)}
    return {
        piece
        for form in forms
        for at in range(0, len(form) - 3, 3)
        if form[at : at + 4] in grams
        for start in range(max(at - 2, 0), at + 1)
        if (piece := form[start : start + _FRAGMENT_LENGTH]) in pieces
    }


def _forms(secret: str) -> Iterable[str]:
    """Return the ways in which a server may echo a secret, none empty and none shorter than three characters."""
    raw = secret.encode("utf-8", "surrogatepass")
    candidates = [secret, urllib.parse.quote(raw), raw.hex()]
    for shift in range(3):
        # Within a longer payload the secret starts at any of three places in a group of four characters;
        # the first and the last group also depend on its neighbours and are left out.
        encoded = base64.b64encode(b"\0" * shift + raw).decode("ascii").rstrip("=")
        candidates.append(encoded if shift == 0 else encoded[4:])
    return (candidate for candidate in candidates if len(candidate) >= 3)  # noqa: PLR2004 - shorter is noise.
