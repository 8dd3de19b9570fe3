"""What the page on delivery says is what the code does, and each promise names the tests that hold it."""

import datetime as dt
import itertools
import pathlib
import re

from kit import faults, repository
from mailtier.api import patience

_PAGE = pathlib.PurePosixPath("docs/explanation/delivery.md")
_MATRIX = "tests/contract/sender/faults/matrix.txt"
_COLUMNS = (("4yz", "4yz+"), ("5yz", "5yz+"), ("421",), ("eof", "rst", "stall", "drip", "garbage"))


def _tables() -> dict[tuple[str, ...], list[tuple[str, ...]]]:
    """Return the rows of the page's tables by their headings; those of one heading together."""
    tables: dict[tuple[str, ...], list[tuple[str, ...]]] = {}
    for is_table, lines in itertools.groupby(repository.read(_PAGE).splitlines(), lambda line: line.startswith("|")):
        if is_table:
            heading, _, *rows = (tuple(cell.strip() for cell in line.strip("|").split("|")) for line in lines)
            tables.setdefault(heading, []).extend(rows)
    return tables


def _spoken(span: dt.timedelta) -> str:
    """Return a span of time as the page writes it."""
    seconds = int(span.total_seconds())
    if seconds > 86_400:
        return f"{seconds // 86_400} days"
    if seconds >= 3_600 and seconds % 3_600 == 0:
        return f"{seconds // 3_600} h"
    minutes = f"{seconds // 60} min" if seconds >= 60 else ""
    return f"{minutes} {seconds % 60} s".strip() if seconds % 60 else minutes


def test_waits_are_those_of_the_code() -> None:
    """Every category stands with its waits, its max age and its resends."""
    rows = _tables()["category", "shortest wait", "longest wait", "max age", "resent in doubt after"]
    assert rows == [
        (
            category.value,
            _spoken(policy.minimal_backoff),
            _spoken(policy.maximal_backoff),
            _spoken(policy.max_age),
            ", ".join(map(_spoken, policy.in_doubt_delays)) or "never",
        )
        for category, policy in patience.POLICIES.items()
    ]


def test_faults_are_those_of_the_matrix() -> None:
    """Whom a fault concerns is what the table says that a sender at work is held to."""
    cells, _ = faults.read(repository.read(_MATRIX))
    phases = dict.fromkeys(cell.phase for cell in cells)
    expected = []
    for phase in phases:
        row = [phase]
        for column in _COLUMNS:
            found = {cell.concerns for cell in cells if cell.phase == phase and cell.fault in column}
            assert len(found) <= 1, (phase, column)
            row.append(found.pop() if found else "-")
        expected.append(tuple(row))
    assert _tables()["phase", "4yz", "5yz", "421", "lost, silent, unreadable"] == expected


def test_words_for_whom_it_concerns_are_explained() -> None:
    """Each word of the matrix has its row."""
    cells, _ = faults.read(repository.read(_MATRIX))
    rows = _tables()["concerns", "what waits", "charged", "again"]
    explained = {word for row in rows for word in row[0].split(", ")}
    assert explained == {cell.concerns for cell in cells}
    for cell in cells:
        (row,) = (row for row in rows if cell.concerns in row[0].split(", "))
        # What is in doubt is charged, whoever is to blame.
        assert row[2] == cell.charged or cell.again == "doubt", cell


def test_every_promise_names_a_test_that_exists() -> None:
    """A test that is renamed or removed leaves no promise without one."""
    known = {test.id for test in repository.tests()}
    promises = _tables()["promise", "held by"]
    assert len(promises) > 40
    for promise, held_by in promises:
        named = re.findall(r"`([^`]+)`", held_by)
        assert named, promise
        assert [test for test in named if test not in known] == [], promise
    assert len({promise for promise, _ in promises}) == len(promises)


def test_every_section_that_promises_is_held() -> None:
    """Each section but those that say what is not promised ends in its tests."""
    sections = re.split(r"^## ", repository.read(_PAGE), flags=re.MULTILINE)[1:]
    without = [section.splitlines()[0] for section in sections if "| promise | held by |" not in section]
    assert without == ["What is not promised"]
