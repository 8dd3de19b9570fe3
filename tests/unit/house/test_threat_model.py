"""The threat model names tests that there are, and tests cite rules that it has."""

import pathlib
import re

from kit import repository

_PAGE = pathlib.PurePosixPath("docs/explanation/threat-model.md")
_RULES = [f"R{number}" for number in range(1, 16)]


def _rows(heading: str) -> list[tuple[str, ...]]:
    return repository.rows(repository.read(_PAGE), heading)


def _named() -> list[tuple[str, str]]:
    """Return each rule and test that the page names together."""
    return [(rule, test.strip("`")) for rule, test in _rows("The tests")]


def test_every_rule_has_a_row() -> None:
    """Each rule says what it says, where it is held, and what of it is not held yet."""
    rows = _rows("The rules")
    assert [row[0] for row in rows] == _RULES
    for rule, says, where, not_yet in rows:
        assert says.endswith("."), rule
        assert not_yet == "-" or not_yet.endswith("."), rule
        files = re.findall(r"`([^`]+)`", where)
        assert files, rule
        assert all((repository.ROOT / "operator/mailtier" / file).is_file() for file in files), rule


def test_every_rule_is_held_by_tests() -> None:
    """Each rule has a test, the rules stand in their order, and no test stands twice under one."""
    named = _named()
    assert list(dict.fromkeys(rule for rule, _ in named)) == _RULES
    assert len(set(named)) == len(named)


def test_every_named_test_exists_and_cites_its_rule() -> None:
    """A test that is renamed, removed or made to hold something else is missed here."""
    tests = {test.id: test for test in repository.tests()}
    named = _named()
    assert [test for _, test in named if test not in tests] == []
    assert [(rule, test) for rule, test in named if rule not in tests[test].rules] == []


def test_every_rule_that_is_cited_exists() -> None:
    """An identifier in the docstring of a test, of its module or of the program is one of the page."""
    cited = {(test.id, rule) for test in repository.tests() for rule in test.rules}
    for path in repository.python():
        cited |= {(str(path), rule) for rule in repository.rules(repository.docstring(path))}
    assert [(where, rule) for where, rule in sorted(cited) if rule not in _RULES] == []
