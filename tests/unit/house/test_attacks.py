"""The attacks on the product: enough of them, each on a rule that there is, each told by a test."""

import importlib
import re

from kit import attacks, repository
from mailtier.api import settings

_LEAST = 60
_GROUPS = tuple(f"{field} " for field in settings.OrgSpec.model_fields)
_RULES = [f"R{number}" for number in range(1, 16)]


def test_there_are_enough_attacks_and_each_has_its_name() -> None:
    """There are at least sixty, and none has another's name."""
    names = [attack.name for attack in attacks.everything()]
    assert len(names) >= _LEAST
    assert len(set(names)) == len(names)


def test_each_attack_says_what_it_is() -> None:
    """Its rules exist, its story is one sentence, and what stops it can stand in a table, with a capital before it."""
    for attack in attacks.everything():
        assert attack.rules, attack
        assert set(attack.rules) <= set(_RULES), attack
        assert attack.story.endswith("."), attack
        assert attack.story[0].isupper(), attack
        # A field's name is no beginning of a sentence: in a capital it would be another name.
        assert re.match(r"(?:[a-z]+|[A-Z]\w*)(?:[ ,:]|'s )", attack.stopped_by), attack
        assert not attack.stopped_by.startswith(_GROUPS), attack
        assert not attack.stopped_by.endswith("."), attack
        assert "\n" not in attack.story + attack.stopped_by, attack


def test_every_rule_is_held_against_an_attack_or_by_a_test() -> None:
    """A rule that no attack goes against has a test on the page of the threat model."""
    page = repository.read("docs/explanation/threat-model.md")
    attacked = {rule for attack in attacks.everything() for rule in attack.rules}
    tested = {rule for rule, _ in repository.rows(page, "The tests")}
    assert [rule for rule in _RULES if rule not in attacked | tested] == []


def test_each_story_is_told_by_the_test_that_it_names() -> None:
    """The test is in the same module, and cites the rules of the attack."""
    tests = {test.id: test for test in repository.tests()}
    for path in repository.python():
        if path.parent.as_posix() == "tests/tenant" and path.name.startswith("test_"):
            module = importlib.import_module(f"tenant.{path.stem}")
            for attack in getattr(module, "ATTACKS", ()):
                if isinstance(attack, attacks.Story):
                    assert f"{path}::{attack.test}" in tests, attack
                    assert set(attack.rules) <= tests[f"{path}::{attack.test}"].rules, attack
