"""Which characters never reach a header (R5)."""

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mailtier.api import text


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("a\r\nBcc: x@example.com", "U+000D (carriage return)"),
        ("a\nb", "U+000A (line feed)"),
        ("\0", "U+0000 (NUL)"),
        ("a\tb", "U+0009 (tab)"),
        ("\x1b[31m", "U+001B (escape)"),
        ("\x7f", "U+007F (control)"),
        ("\x85", "U+0085 (control)"),
        ("a\u2028b", "U+2028 (line separator)"),
        ("a\u2029b", "U+2029 (paragraph separator)"),
        ("invoice\u202efdp.exe", "U+202E (right-to-left override)"),
        ("\u2066", "U+2066 (left-to-right isolate)"),
        ("\u061c", "U+061C (arabic letter mark)"),
        ("\ud800", "U+D800 (lone surrogate)"),
    ],
)
def test_the_first_forbidden_character_is_named(value: str, expected: str) -> None:
    """A control, separator, bidi control or lone surrogate is named in printable ASCII."""
    assert text.find_forbidden(value) == expected


@pytest.mark.parametrize("value", ["", "Größe 大きさ 😀", "a b", "é", "\u200d", "\ufeff", "\xa0"])
def test_ordinary_text_passes(value: str) -> None:
    """Letters, marks, emoji, joiners and blanks of any script pass."""
    assert text.find_forbidden(value) is None


def test_a_body_may_have_line_breaks_and_tabs() -> None:
    """With `multiline`, line breaks and tabs pass, and nothing else does that did not before."""
    assert text.find_forbidden("a\r\nb\tc\n", multiline=True) is None
    assert text.find_forbidden("a\x0bb", multiline=True) == "U+000B (control)"


@given(st.characters())
def test_every_control_and_bidi_control_is_found(char: str) -> None:
    """A character is found exactly if Unicode calls it a control, line separator, surrogate or bidi control (R5)."""
    category = unicodedata.category(char)
    bidi = char in "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
    expected = category in {"Cc", "Zl", "Zp", "Cs"} or bidi
    assert (text.find_forbidden(char) is not None) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("Pay\u200bPal", "U+200B (zero width space)"),
        ("\ufeffSupport", "U+FEFF (zero width no-break space)"),
        ("sup\u00adport", "U+00AD (soft hyphen)"),
        ("a\u2060b", "U+2060 (word joiner)"),
        ("a\u3164", "U+3164 (hangul filler)"),
        ("\u180e", "U+180E (mongolian vowel separator)"),
        ("a\U000e0041", "U+E0041 (tag latin capital letter a)"),
        ("corp\u200d.example", "U+200D (zero width joiner)"),
        ("\u200cbank", "U+200C (zero width non-joiner)"),
        ("大\u200d", "U+200D (zero width joiner)"),
        ("大\u200d\u200d大", "U+200D (zero width joiner)"),
    ],
)
def test_what_nobody_sees_is_named(value: str, expected: str) -> None:
    """Characters without a look, and joiners that join nothing, are found in a line (R5)."""
    assert text.find_unseen(value) == expected


@pytest.mark.parametrize(
    "value",
    [
        "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
        "क\u094d\u200dष",
        "👩\u200d💻 is back",
        "❤\ufe0f",
        "👩🏽\u200d🚀",
        "Größe 大きさ",
        "",
        "a b",
    ],
)
def test_spelling_and_emoji_pass(value: str) -> None:
    """Joiners within words of Persian and Hindi and within emoji, and variation selectors, are writing."""
    assert text.find_unseen(value) is None


@pytest.mark.parametrize(
    ("value", "multiline", "expected"),
    [
        ("Job 7\nfailed: \x1b[31mred\x1b[0m", True, "U+001B (escape) is character 9 of line 2"),
        ("\x1b[31m", True, "U+001B (escape) is character 1 of line 1"),
        ("a\r\nb\u202e", True, "U+202E (right-to-left override) is character 2 of line 2"),
        ("Hello\tWorld", False, "U+0009 (tab) is character 6"),
        ("Pay\u200bPal", False, "U+200B (zero width space) is character 4"),
        ("corp\u200d.example", False, "U+200D (zero width joiner) is character 5"),
        ("fine", False, ""),
        ("zero\u200bwidth", True, ""),
    ],
)
def test_the_place_of_a_character_is_told(value: str, *, multiline: bool, expected: str) -> None:
    """Whoever is refused reads which character it was and where, and nothing of the text (R1)."""
    assert text.locate(value, multiline=multiline) == expected


@given(st.text(), st.booleans())
def test_a_place_is_told_exactly_where_something_is_found(value: str, multiline: bool) -> None:
    """The place, the sentence and the rule agree about every text."""
    found = text.find_forbidden(value, multiline=multiline) or (None if multiline else text.find_unseen(value))
    place = text.locate(value, multiline=multiline)
    assert place.partition(" is ")[0] == (found or "")


@given(st.text())
@example("x\u00ad\u200d大")
def test_what_nobody_sees_can_be_taken_out(value: str) -> None:
    """What is left has none of it, and a text without any stays as it is (R5)."""
    left = text.without_unseen(value)
    assert text.find_unseen(left) is None
    assert left == value or text.find_unseen(value) is not None
