"""Issues are what the API, the policy, the references and the lints say, each once and at its place."""

import datetime as dt

from kit import offline
from mailtier.cli.offline import issues, linting
from mailtier.settings.lints import catalogue, model

_NOW = dt.datetime(2026, 1, 2, tzinfo=dt.UTC)


def _find(*documents: offline.Json, strict: bool = False) -> list[issues.Issue]:
    return linting.find(offline.judge(*documents, strict=strict), now=_NOW)


def _rules(found: list[issues.Issue], severity: model.Severity = model.Severity.ERROR) -> list[str]:
    return [issue.rule.identifier for issue in found if issue.severity == severity]


def test_fault_of_an_object_is_told_at_its_field() -> None:
    """What would be blocked names object, field and line."""
    found = _find(offline.host(), offline.org("acme", **{"from": {"address": "ceo@example.com"}}))
    (issue,) = [issue for issue in found if issue.severity == model.Severity.ERROR]
    assert (issue.rule.identifier, issue.subject, issue.field) == (
        "FromNotAllowed",
        "OrgEmailSettings acme/default",
        "spec.from.address",
    )
    lines = offline.text(offline.host(), offline.org("acme", **{"from": {"address": "ceo@example.com"}})).splitlines()
    assert lines[issue.place.line - 1].strip() == "address: ceo@example.com"
    assert issue.rule.page.endswith("/docs/reference/reasons#fromnotallowed")


def test_what_the_schema_refuses_is_not_told_twice() -> None:
    """An object that does not fit is told field by field, and not once more as a whole."""
    found = _find(offline.host(), offline.org("acme", smtp={}, **{"from": {"address": "nobody"}}))
    assert _rules(found) == ["Invalid", "Invalid"]


def test_fault_of_the_host_is_told_once() -> None:
    """A host that cannot be used is the host's issue, however many inherit it."""
    orgs = [offline.org(f"team-{number}") for number in range(5)]
    found = _find(offline.host(), *orgs, offline.secret("mailtier", "relay", password="x"))
    assert _rules(found) == ["SecretNotBound"]
    assert found[0].subject == "HostEmailSettings default"
    broken = _find(offline.host(smtp={"host": "http://x"}), *orgs)
    assert set(_rules(broken)) == {"Invalid"}
    assert {issue.subject for issue in broken} == {"HostEmailSettings default"}


def test_organizations_without_an_object_share_an_issue() -> None:
    """What is missing in the host for all namespaces is one issue, at the namespaces or at the host."""
    host = offline.host(policy={"organizations": {"mode": "All"}})
    del host["spec"]["from"]
    del host["spec"]["smtp"]
    del host["spec"]["auth"]
    found = _find(host, *(offline.org(f"t{number}", suspend=True) for number in range(3)))
    assert sorted(_rules(found)) == ["EndpointMissing"] * 3 + ["FromMissing"] * 3
    named = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "x"}}
    implicit = _find(host, *({**named, "metadata": {"name": "x", "namespace": f"t{number}"}} for number in range(9)))
    assert sorted(_rules(implicit)) == ["EndpointMissing", "FromMissing"]


def test_without_a_host_only_what_is_certain_is_told() -> None:
    """An organization's repository seldom has the host's settings; what depends on them is not judged."""
    assert _rules(_find(offline.org("acme"))) == []
    own = offline.org("acme", smtp={"host": "10.1.2.3"})
    assert _rules(_find(own)) == ["CredentialsRequired"]
    assert "EndpointNotAllowed" in _rules(_find(offline.host(), own))


def test_audited_violations_are_warnings() -> None:
    """With policy.mode Audit nothing is blocked, and what would be is still told."""
    host = offline.host(policy={"mode": "Audit", "locked": ["from.displayName"]})
    found = _find(host, offline.org("acme", **{"from": {"displayName": "Acme"}}))
    assert _rules(found) == []
    assert "FieldLocked" in _rules(found, model.Severity.WARNING)
    assert any("audited; not blocked" in issue.message for issue in found)


def test_lints_are_issues_with_their_severity_and_page() -> None:
    """What a mail administrator would say stands beside what the API says."""
    found = _find(offline.host(smtp={"host": "relay.example.com", "port": 465}))
    lints = {lint.identifier: lint for lint in catalogue.ALL}
    advised = [issue for issue in found if issue.rule.identifier in lints]
    assert advised
    for issue in advised:
        assert issue.severity == lints[issue.rule.identifier].severity
        assert issue.rule.page.endswith(f"/docs/reference/lints#{issue.rule.identifier}")


def test_every_issue_has_its_rule_in_the_list() -> None:
    """Reports name rules by their number in this list, and no name stands twice."""
    rules = linting.rules()
    assert len({rule.identifier for rule in rules}) == len(rules)
    found = _find(offline.host(), offline.org("a", smtp={"host": "x.example"}), offline.org("a"), strict=True)
    assert {issue.rule for issue in found} <= set(rules)


def test_issues_are_in_the_order_of_their_places() -> None:
    """One reads a file from its top to its end."""
    found = _find(offline.org("a", smtp={}), offline.org("b", smtp={}), offline.org("c", smtp={}))
    assert [issue.place for issue in found] == sorted(issue.place for issue in found)
    assert len(found) == 3
