"""Which characters never reach a header (R5)."""

import unicodedata

import pytest
from hypothesis import given
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
