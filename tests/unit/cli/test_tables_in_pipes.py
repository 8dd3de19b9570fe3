"""Lists are for people on a terminal, and for other programs off it."""

import io

import pytest

from mailtier.cli import tables, terminal


def test_off_a_terminal_a_row_is_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is folded or broken where a program reads, unless COLUMNS says how wide a line is."""
    monkeypatch.delenv("COLUMNS", raising=False)
    stream = io.StringIO()
    row = [(text, None) for text in ("01a21045", "x" * 60, "y" * 90)]
    head = ("ID", "ORGANIZATION", "TO")

    def listed() -> list[str]:
        width = terminal.width(stream)
        return tables.table(head, [row], terminal.Painter(on=False), width=width, folded=("ORGANIZATION", "TO"))

    assert [line.split() for line in listed()] == [list(head), [text for text, _ in row]]
    monkeypatch.setenv("COLUMNS", "80")
    assert len(listed()) > 2
