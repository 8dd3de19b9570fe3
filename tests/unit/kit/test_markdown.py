"""Sentences of the program say the same in pages of Markdown."""

import pytest

from kit import markdown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("as in `smtp.example.com:587,https://a_b`", "as in `smtp.example.com:587,https://a_b`"),
        ("run `mailtier queue resume`, or `x`", "run `mailtier queue resume`, or `x`"),
        ("a_b of <x> | *c*", "a\\_b of \\<x> \\| \\*c\\*"),
        ("`a|b`", "`a\\|b`"),
        ("one ` alone", "one \\` alone"),
    ],
)
def test_code_is_shown_as_code(text: str, shown: str) -> None:
    """What stands between backticks is a command or a value; everything else is a sentence as it is written."""
    assert markdown.prose(text) == shown
