"""Tables fit the screen, and say the same as without one."""

import re

import hypothesis
from hypothesis import strategies

from mailtier.cli import tables, terminal

_PLAIN = terminal.Painter(on=False)
_SEQUENCE = re.compile("\x1b\\[[0-9]+m")
_WORDS = strategies.text("ab/@.,: -", max_size=40)


def test_a_table_that_fits_is_as_wide_as_it_is() -> None:
    """Columns stand three apart."""
    lines = tables.table(("A", "B"), [[("one", None), ("two", None)]], _PLAIN, width=80)
    assert lines == ["A     B", "one   two"]


def test_long_cells_are_wrapped_after_punctuation() -> None:
    """A name is broken where a reader would, and its column stays a column."""
    body = [[("acme/default", None), ("relay.mail.europe.example.com:587", None), ("Active", None)]]
    lines = tables.table(("NAME", "HOST", "STATE"), body, _PLAIN, width=45)
    assert lines == [
        "NAME          HOST                     STATE",
        "acme/default  relay.mail.europe.       Active",
        "              example.com:587",
    ]


def test_a_column_in_which_nothing_stands_is_left_out() -> None:
    """It would take room from the others, and say nothing."""
    assert tables.table(("A", "B", "C"), [[("1", None), ("", None), ("3", None)]], _PLAIN, width=80) == [
        "A   C",
        "1   3",
    ]


def test_columns_that_would_be_too_narrow_become_paragraphs() -> None:
    """Each row is a title and what is said of it."""
    head = ("NAME", *(f"COLUMN{number}" for number in range(6)))
    body = [[("acme/default", None), *((f"value-{number}-of-it", None) for number in range(6))]]
    lines = tables.table(head, body, _PLAIN, width=60)
    assert lines[0] == "acme/default"
    assert lines[1].startswith("    COLUMN0 value-0-of-it; COLUMN1 ")
    assert max(map(len, lines)) <= 60


def test_a_column_is_folded_before_a_table_is_given_up() -> None:
    """As few as need be, in their order; below a row stands what it has of them."""
    head = ("NAME", "A", "B", "C", "D")
    rows = [("acme/default", "a-of-this-row", "b-of-this-row", "c-of-this-row", ""), ("birch", "a", "", "", "d")]
    body = [[(text, None) for text in row] for row in rows]
    assert tables.table(head, body, _PLAIN, width=50, folded=("C", "D", "B")) == [
        "NAME          A              B              D",
        "acme/default  a-of-this-row  b-of-this-row",
        "    C c-of-this-row",
        "birch         a                             d",
    ]
    assert "C" in tables.table(head, body, _PLAIN, width=80, folded=("C",))[0]


@hypothesis.given(
    folded=strategies.lists(strategies.sampled_from("ABCD"), unique=True),
    body=strategies.lists(strategies.lists(_WORDS, min_size=4, max_size=4), min_size=1, max_size=5),
    width=strategies.integers(20, 120),
)
def test_nothing_is_lost_and_no_line_is_longer_than_the_screen(
    body: list[list[str]], width: int, folded: list[str]
) -> None:
    """Whatever stands in the cells, each character of it is printed once, within the width."""
    cells: list[list[tables.Cell]] = [[(text, None) for text in row] for row in body]
    lines = tables.table(("A", "B", "C", "D"), cells, _PLAIN, width=width, folded=folded)
    assert max(map(len, lines)) <= width
    for letter in "ab@":
        assert sum(line.count(letter) for line in lines) == sum(text.count(letter) for row in body for text in row)


@hypothesis.given(
    parts=strategies.lists(_WORDS, min_size=1, max_size=4), width=strategies.none() | strategies.integers(20, 60)
)
def test_colours_alter_nothing_of_a_wrapped_line(parts: list[str], width: int | None) -> None:
    """In colours each line says what it says without, within the width, and nothing is lost; without one it is one."""
    cells: list[tables.Cell] = [(text, terminal.Colour.BAD if text[:1] == "a" else None) for text in parts]
    lines = tables.line(cells, _PLAIN, width=width, indent="  ", following="    ")
    painted = tables.line(cells, terminal.Painter(on=True), width=width, indent="  ", following="    ")
    assert [_SEQUENCE.sub("", line) for line in painted] == lines
    assert all(len(line) <= (width or len(line)) for line in lines)
    assert len(lines) <= 1 or width
    for letter in "ab@":
        assert sum(line.count(letter) for line in lines) == sum(text.count(letter) for text in parts)


def test_a_command_has_a_line_of_its_own() -> None:
    """It is copied as it stands: in one piece, without backticks, whatever the width."""
    command = "kubectl annotate secret -n team-a smtp 'mailtier.dev/endpoint=smtp.example.org:587' --overwrite"
    lines = tables.sentence(f"It is not bound; run `{command}`, or name `another.key`.", _PLAIN, width=40)
    assert [line.strip() for line in lines] == ["It is not bound; run", command, "or name `another.key`."]


def test_a_command_in_brackets_leaves_none_behind() -> None:
    """What stood round it would be a line that holds a bracket."""
    lines = tables.sentence("Somebody has it go on (`mailtier queue resume`). It waits.", _PLAIN, width=40)
    expected = ["Somebody has it go on", "mailtier queue resume", "It waits."]
    assert [line.strip() for line in lines] == expected
    parts = (("Somebody has ", terminal.Colour.BAD), ("it go on (`mailtier queue resume`). It waits.", None))
    assert [line.strip() for line in tables.line(parts, _PLAIN, width=40)] == expected
