"""The rules: a sentence, two forms, and an object of the corpus that breaks each."""

import collections.abc
import re
import typing

import pytest

from kit import corpus
from kit.corpus import bounds, largest
from mailtier.api import crds, kinds, problems, settings, structural


def _validations(node: typing.Any) -> collections.abc.Iterator[dict[str, str]]:
    if isinstance(node, dict):
        yield from node.get("x-kubernetes-validations", ())
        for child in node.values():
            yield from _validations(child)
    elif isinstance(node, list):
        for child in node:
            yield from _validations(child)


def _chosen(message: str) -> str:
    """Return the expression that chooses among a rule's sentences; "" where there is but one."""
    found = (rule for resource in crds.ALL for rule in _validations(crds.definition(resource)))
    return next((rule["messageExpression"] for rule in found if rule["message"] == message and len(rule) > 2), "")


def _all() -> dict[str, str]:
    """Return the rule of every message that any kind's schema holds."""
    return {rule["message"]: rule["rule"] for resource in crds.ALL for rule in _validations(crds.definition(resource))}


@pytest.mark.parametrize("message", _all())
def test_message_is_a_sentence_without_its_full_stop(message: str) -> None:
    """The apiserver puts several messages on one line, so that a full stop would stand in the middle of it."""
    assert message.endswith(".") == message.endswith("...")
    assert re.fullmatch(r"\S.*\S", message)
    assert len(message) < 250


def test_every_rule_is_broken_by_an_object_of_the_corpus() -> None:
    """The contract tests try every rule; the one that compares two versions of an object has a test of its own."""
    said = {
        # Offline, the place of a refused character stands behind the sentence.
        problem.message.partition("; U+")[0]
        for case in [*corpus.refused(), *largest.refused()]
        for problem in problems.found(kinds.ALL[case.kind], case.document)
    }
    unsaid = {message for message, rule in _all().items() if message not in said and "oldSelf" not in rule}
    # Of a rule that says what is at fault, each of its sentences is one.
    unsaid = {message for message in unsaid if not any(sentence in _chosen(message) for sentence in said)}
    assert unsaid == {rule.message for rule in settings.OrgSpec.RULES if rule.alone in said}


@pytest.mark.parametrize("case", [*corpus.accepted(), *largest.accepted()], ids=str)
def test_models_take_what_the_apiserver_takes(case: corpus.Case) -> None:
    """An object that is accepted in a cluster is valid offline."""
    assert problems.found(kinds.ALL[case.kind], case.document) == ()


@pytest.mark.parametrize("case", [*corpus.refused(), *largest.refused()], ids=str)
def test_models_refuse_what_the_apiserver_refuses(case: corpus.Case) -> None:
    """An object that is refused in a cluster is refused offline with the same sentence."""
    found = "; ".join(map(str, problems.found(kinds.ALL[case.kind], case.document)))
    assert case.offline in found
    assert found


@pytest.mark.parametrize("case", largest.accepted(), ids=str)
def test_models_refuse_one_beyond_each_bound(case: corpus.Case) -> None:
    """Each string, list, map and number is refused offline when it exceeds its bound by one."""
    spec = structural.schema_of(kinds.ALL[case.kind])["properties"]["spec"]
    for bound, keys in bounds.reached(spec, case.document["spec"]).items():
        document = bounds.beyond(case.document, bound, ("spec", *keys))
        assert problems.found(kinds.ALL[case.kind], document), bound


def test_corpus_is_large_enough() -> None:
    """There are at least 40 wrong objects and 30 right ones, each with a name of its own."""
    refused, accepted = corpus.refused(), corpus.accepted()
    assert len(refused) >= 40
    assert len(accepted) >= 30
    assert len({str(case) for case in refused + accepted}) == len(refused + accepted)
