"""Sentences of the program in pages of Markdown."""

import re
import typing

_CODE: typing.Final = re.compile(r"(`[^`]+`)")


def prose(text: str) -> str:
    """Return text of which no sign means anything to Markdown but what it has between backticks, which is code.

    In a table a bar ends the cell, also within code.
    """
    parts = _CODE.split(text)
    # What the pattern captured is every second part.
    parts[::2] = ["".join(f"\\{char}" if char in "\\*_<|`" else char for char in part) for part in parts[::2]]
    parts[1::2] = [part.replace("|", "\\|") for part in parts[1::2]]
    return "".join(parts)
