"""Which of two servers a request for a probe speaks of."""

import dataclasses

import pytest

from kit import sending, spares
from mailtier.api import vocabulary
from mailtier.sender.intake.http import probing, problems
from mailtier.settings import effective

_FIRST = effective.Endpoint(
    host="a.example.com",
    port=587,
    tls=sending.PLAIN,
    addresses=sending.PUBLIC,
    origin=vocabulary.Origin.ORG,
    is_host_s=False,
)
_OF = spares.with_fallback(sending.settings("team-a", _FIRST), dataclasses.replace(_FIRST, host="b.example.com"))


@pytest.mark.parametrize(("query", "expected"), [({}, "a"), ({"server": "first"}, "a"), ({"server": "fallback"}, "b")])
def test_the_first_server_unless_the_fallback_is_asked_for(query: dict[str, str], expected: str) -> None:
    """Both belong to the same organization, whose right to probe was looked at already."""
    chosen = probing._chosen(query, _OF)
    assert chosen.endpoint is not None
    assert chosen.endpoint.host == f"{expected}.example.com"
    assert chosen.organization.namespace == "team-a"


@pytest.mark.parametrize(
    ("query", "of", "kind"),
    [
        ({"server": "fallback"}, sending.settings("team-a", _FIRST), problems.NOT_PROBEABLE),
        ({"server": "second"}, _OF, problems.MALFORMED),
    ],
)
def test_a_server_that_is_not_there_is_a_problem(
    query: dict[str, str], of: effective.Effective, kind: problems.ProblemKind
) -> None:
    """There is no fallback, or no such word."""
    with pytest.raises(problems.HttpProblem) as told:
        probing._chosen(query, of)
    assert told.value.kind is kind
