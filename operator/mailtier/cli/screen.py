"""A terminal's screen that is drawn over again and again; pure."""

from collections.abc import Sequence
from typing import Final

from mailtier.api import prose
from mailtier.cli import terminal

ENTER: Final = "\x1b[?1049h\x1b[?25l"
"""The alternate screen, without a cursor."""
LEAVE: Final = "\x1b[?25h\x1b[?1049l"
_HOME: Final = "\x1b[H"
_REST_OF_LINE: Final = "\x1b[K"
_REST_OF_SCREEN: Final = "\x1b[J"


def frame(lines: Sequence[str], *, columns: int, rows: int) -> str:
    """Return what draws lines over what is there: clearing the screen first would flicker.

    A line that is longer than the screen, as a command may be, goes on in the next row as the terminal wraps it, so
    that it is copied as one. Lines that the screen has no room for are counted in its last row but one; the last one
    is the cursor's.

    Args:
        lines: With colours or without.
        columns: Of the screen.
        rows: Of the screen.
    """
    room = rows - 1
    heights = [max(-(-terminal.length(line) // columns), 1) for line in lines]
    if sum(heights) > room:
        shown = 0
        while sum(heights[: shown + 1]) < room:
            shown += 1
        lines = [*lines[:shown], f"... {prose.counted(len(lines) - shown, 'more line')}"]
    return _HOME + "".join(f"{_drawn(line, columns)}\n" for line in lines) + _REST_OF_SCREEN


def _drawn(line: str, columns: int) -> str:
    """Return a line behind what wipes the rows that it takes.

    Wiping what is left of its last row would take the character in the last column, behind which the cursor stays.
    """
    return (_REST_OF_LINE if terminal.length(line) <= columns else _REST_OF_SCREEN) + line
