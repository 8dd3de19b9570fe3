"""Colours where somebody sees them: on a terminal, unless NO_COLOR says otherwise."""

import datetime as dt
import enum
import os
import re
import shutil
import sys
from collections.abc import Mapping
from typing import TextIO

_RESET = "\x1b[0m"
_COLUMNS = 80
_UNBROKEN = 1_000_000
"""Wider than any row."""
_LINES = 24
_SGR = re.compile(r"\x1b\[[0-9;]*m")


class Colour(enum.Enum):
    """What a colour says; the value is its SGR sequence (ECMA-48 section 8.3.117)."""

    GOOD = "\x1b[32m"
    BAD = "\x1b[31m"
    WAITING = "\x1b[33m"
    DIM = "\x1b[2m"
    BOLD = "\x1b[1m"


class Painter:
    """Colours text, or leaves it as it is.

    Args:
        on: Whether to colour.
    """

    def __init__(self, *, on: bool) -> None:
        self._on = on

    def paint(self, text: str, colour: Colour | None) -> str:
        """Return the text in a colour."""
        return f"{colour.value}{text}{_RESET}" if self._on and colour is not None and text else text


def painter(stream: TextIO, environment: Mapping[str, str] = os.environ) -> Painter:
    """Return a painter for a stream; https://no-color.org: any value of NO_COLOR but the empty one says no."""
    wanted = not environment.get("NO_COLOR") and environment.get("TERM") != "dumb"
    return Painter(on=wanted and stream.isatty())


def width(stream: TextIO) -> int:
    """Return how many characters a line has: as COLUMNS says, or the terminal; elsewhere a row is never broken."""
    columns = shutil.get_terminal_size().columns
    # `get_terminal_size` asks the process's own stdout, whatever stands in its place.
    return columns if stream.isatty() or os.environ.get("COLUMNS") else _UNBROKEN


def line_width(stream: TextIO) -> int | None:
    """Return how many characters a line of text has; None in a pipe, where a line stays one for whoever searches it."""
    return width(stream) if stream.isatty() or os.environ.get("COLUMNS") else None


def screen(stream: TextIO) -> os.terminal_size:
    """Return the size of a terminal itself, whatever COLUMNS says that text is wrapped at; 80 by 24 if it has none."""
    size = os.get_terminal_size(stream.fileno())
    return size if size.columns and size.lines else os.terminal_size((_COLUMNS, _LINES))


def length(line: str) -> int:
    """Return how many characters of a line are seen: colours are none."""
    return len(_SGR.sub("", line))


def plain(text: str) -> str:
    """Return text from a cluster with nothing in it that a terminal would obey (R5): one line, no controls."""
    return "".join(character if character.isprintable() else " " for character in " ".join(text.split()))


def now() -> dt.datetime:
    """Return the time, aware and in UTC."""
    return dt.datetime.now(dt.UTC)  # noqa: TID251  # Here the program is wired up.


def stamp(at: dt.datetime) -> str:
    """Return a time as RFC 3339 has it, in UTC."""
    return at.astimezone(dt.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def note_wait(why: str, seconds: float) -> None:
    """Say on stderr, in one line, why nothing happens, and until when."""
    until = stamp(now() + dt.timedelta(seconds=seconds))
    print(f"mailtier: {plain(why)}; waiting until {until}", file=sys.stderr, flush=True)


def age(seconds: float) -> str:
    """Return a time in its largest unit, as kubectl does."""
    seconds = max(int(seconds), 0)
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "m")):
        if seconds >= size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"
