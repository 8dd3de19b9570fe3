"""A screen that is drawn over and over."""

import re

import pytest

from kit import screens
from mailtier.cli import screen, terminal

_COMMAND = "kubectl annotate secret platform-smtp-credentials mailtier.dev/endpoint=relay.example.com:587 --overwrite"


def _seen(*frames: list[str], columns: int = 20, rows: int = 12) -> screens.Screen:
    """Return a screen on which lines were drawn, one set after the other."""
    seen = screens.Screen(columns, rows)
    seen.write(screen.ENTER)
    for lines in frames:
        # A terminal's driver makes two characters of the end of a line.
        seen.write(screen.frame(lines, columns=columns, rows=rows).replace("\n", "\r\n"))
    return seen


@pytest.mark.parametrize("length", [19, 20, 21, 39, 40, 41])
@pytest.mark.parametrize("on", [False, True])
def test_no_character_is_lost_whatever_a_line_is_long(length: int, *, on: bool) -> None:
    """A line as wide as the screen keeps its last letter, a longer one goes on in the next row; colours count not."""
    line = "".join(chr(ord("a") + number % 26) for number in range(length))
    painted = terminal.Painter(on=on).paint(line, terminal.Colour.DIM)
    assert _seen(["x" * 60] * 3, [painted, "next"]).text.split() == [line, "next"]


def test_what_stood_there_is_gone() -> None:
    """Lines that are shorter or fewer than those before leave nothing of them."""
    seen = _seen(["x" * 20, "y" * 50, "z" * 7], ["a", "b" * 25, ""])
    assert [row for row in seen.rows if row] == ["a", "b" * 20, "b" * 5]


def test_a_command_is_copied_as_one_line() -> None:
    """What the terminal wraps is one line to whoever copies it."""
    assert _COMMAND in _seen(["Run:", f"        {_COMMAND}"], columns=80).text


@pytest.mark.parametrize(
    ("lines", "rows", "expected"),
    [
        (["a", "b", "c"], 4, ["a", "b", "c", ""]),
        (["a", "b", "c", "d"], 4, ["a", "b", "... 2 more lines", ""]),
        (["a", "b" * 30, "c"], 4, ["a", "... 2 more lines", "", ""]),
        (["a", "b" * 60], 4, ["a", "... 1 more line", "", ""]),
        (["a" * 60, "b"], 2, ["... 2 more lines", ""]),
    ],
)
def test_what_has_no_room_is_counted(lines: list[str], rows: int, expected: list[str]) -> None:
    """Nothing scrolls away: a line is there with all its rows, or among those that are counted."""
    seen = _seen(lines, rows=rows)
    assert seen.rows == expected


def test_nothing_is_drawn_but_text_and_what_wipes() -> None:
    """No sequence turns wrapping off, on which a long command depends."""
    drawn = screen.ENTER + screen.frame(["a" * 90], columns=20, rows=24) + screen.LEAVE
    assert set(re.findall(r"\x1b\[[?0-9]*[A-Za-z]", drawn)) <= {
        "\x1b[H",
        "\x1b[K",
        "\x1b[J",
        "\x1b[?25l",
        "\x1b[?25h",
        "\x1b[?1049h",
        "\x1b[?1049l",
    }
