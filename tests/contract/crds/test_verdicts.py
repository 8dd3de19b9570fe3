"""The apiserver takes and refuses what the models take and refuse, and says why in words that help."""

import pytest

from kit import corpus
from kit import rest as rest_kit
from kit.corpus import bounds, largest
from mailtier.api import crds, kinds, structural

# What the apiserver says of a bound that is exceeded.
_SAYS = {
    "maxLength": "Too long: may not be more than",
    "maxItems": "must have at most",
    "maxProperties": "must have at most",
    "maximum": "should be less than or equal to",
}


@pytest.mark.parametrize("case", [*corpus.accepted(), *largest.accepted()], ids=str)
def test_object_is_accepted(rest: rest_kit.Rest, case: corpus.Case) -> None:
    """An object that makes sense is taken, up to every bound at once: no rule costs too much at run time."""
    assert rest.try_out(case.document) == (201, "")


@pytest.mark.parametrize("case", [*corpus.refused(), *largest.refused()], ids=str)
def test_object_is_refused_with_the_sentence_that_helps(rest: rest_kit.Rest, case: corpus.Case) -> None:
    """An object that makes no sense is refused, and the answer says what is allowed (R5)."""
    status, message = rest.try_out(case.document)
    assert status in {400, 422}
    assert case.says in message


@pytest.mark.parametrize("resource", crds.ALL, ids=lambda resource: resource.kind)
def test_one_beyond_each_bound_is_refused(rest: rest_kit.Rest, resource: crds.Resource) -> None:
    """Each string, list, map and number is refused when it exceeds its bound by one."""
    spec = structural.schema_of(kinds.ALL[resource.kind])["properties"]["spec"]
    tried = set()
    for case in largest.accepted():
        if case.kind != resource.kind:
            continue
        for bound, keys in bounds.reached(spec, case.document["spec"]).items():
            status, message = rest.try_out(bounds.beyond(case.document, bound, ("spec", *keys)))
            assert (bound, status) == (bound, 422)
            assert _SAYS[bound.keyword] in message
            tried.add(bound)
    assert tried == bounds.of(spec)


@pytest.mark.parametrize("size", [100_000, 1_000_000])
def test_a_huge_name_is_refused_with_a_sentence(rest: rest_kit.Rest, size: int) -> None:
    """The keys of a map have no bound of their own, and a rule on them still answers when one is huge."""
    data = corpus.document("Notification", {"category": "JobAlert", "data": {"k" * size: ""}})
    assert "every name must be one that templates can use" in rest.try_out(data)[1]
    labels = {"mode": "Selector", "selector": {"matchLabels": {"k" * size: ""}}}
    host = corpus.document("HostEmailSettings", {"policy": {"organizations": labels}})
    assert "every key must be a label's" in rest.try_out(host)[1]
