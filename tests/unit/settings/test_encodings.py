"""What bytes that were meant to be UTF-8 are instead, and what to do; nothing of them is told (R1)."""

import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailtier.settings import encodings


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (codecs.BOM_UTF8 + b"hunter2", "begins with a byte order mark"),
        ("hunter2".encode("utf-16"), "is UTF-16 text"),
        (codecs.BOM_UTF16_BE + "hunter2".encode("utf-16-be"), "is UTF-16 text"),
        ("hunter2".encode("utf-16-le"), "is UTF-16 text"),
        ("hunter2".encode("utf-16-be"), "is UTF-16 text"),
        ("hunter2".encode("utf-32"), "is UTF-32 text"),
        (codecs.BOM_UTF32_BE + "hunter2".encode("utf-32-be"), "is UTF-32 text"),
        ("huntér2".encode("latin-1"), "is not UTF-8 text: byte 5 cannot be read"),
        (b"\xff", "is not UTF-8 text: byte 1 cannot be read"),
    ],
)
def test_another_encoding_is_named(value: bytes, told: str) -> None:
    """Whoever wrote the value with an editor or a shell reads which encoding it has, or where it is none."""
    found = encodings.problem(value)
    assert found.startswith(f"the value {told}")
    assert "hunt" not in found


@given(st.text(st.characters(exclude_characters="\0\ufeff", exclude_categories=["Cs"])))
def test_text_is_no_fault(text: str) -> None:
    """Whatever letters a value has, as UTF-8 it is as it should be."""
    assert encodings.problem(text.encode()) == ""
