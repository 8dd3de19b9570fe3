"""How the bytes of a value were written: what editors and shells make of a text that was meant to be UTF-8."""

import codecs
from typing import Final

_UTF_16: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_UTF_32: Final = (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)
_LEAST: Final = 4
"""Fewer bytes say nothing about their encoding."""


def problem(value: bytes) -> str:
    """Return why bytes are not plain UTF-8 text, without a final full stop; "" where they are. Nothing is quoted."""
    if value.startswith(_UTF_32):
        return "the value is UTF-32 text, and has to be UTF-8"
    if value.startswith(_UTF_16) or _has_every_other_zero(value):
        return "the value is UTF-16 text, as PowerShell's `>` writes it, and has to be UTF-8"
    if value.startswith(codecs.BOM_UTF8):
        return (
            "the value begins with a byte order mark, as editors on Windows write it, and has to be UTF-8 without one"
        )
    try:
        value.decode()
    except UnicodeDecodeError as error:
        # The cause is not chained: its text and its `object` attribute hold the value.
        place = error.start + 1
    else:
        return ""
    return f"the value is not UTF-8 text: byte {place} cannot be read"


def _has_every_other_zero(value: bytes) -> bool:
    """Return whether it looks like UTF-16 without a mark: ASCII has a zero in each second byte then."""
    if len(value) < _LEAST or len(value) % 2:
        return False
    low, high = value[::2], value[1::2]
    return (not any(high) and all(low)) or (not any(low) and all(high))
