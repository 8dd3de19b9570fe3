"""Issues are what the API, the policy, the references and the lints say, each once and at its place."""

import datetime as dt
import json
import pathlib

import pytest

from kit import certs, offline, tutorial
from mailtier.cli.offline import judging, linting
from mailtier.cli.offline.files import issues, sources, world
from mailtier.settings.lints import catalogue, terms

_NOW = dt.datetime(2026, 1, 2, tzinfo=dt.UTC)


def _find(*documents: offline.Json, strict: bool = False) -> list[issues.Issue]:
    return linting.find(offline.judge(*documents, strict=strict), now=_NOW)


def _rules(found: list[issues.Issue], severity: terms.LintSeverity = terms.LintSeverity.ERROR) -> list[str]:
    return [issue.rule.identifier for issue in found if issue.severity == severity]


def test_fault_of_an_object_is_told_at_its_field() -> None:
    """What would be blocked names object, field and line."""
    found = _find(offline.host(), offline.org("acme", **{"from": {"address": "ceo@example.com"}}))
    (issue,) = [issue for issue in found if issue.severity == terms.LintSeverity.ERROR]
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


def test_a_recipient_that_cannot_be_converted_is_told_at_its_entry() -> None:
    """A domain that is no name is found by its index, at its own place."""
    recipients = ["ok@example.com", "a@\U0001f600.example"]
    found = _find(offline.host(), offline.org("acme", notifications={"jobAlert": {"recipients": recipients}}))
    (issue,) = [issue for issue in found if issue.rule.identifier == "Invalid"]
    assert issue.field == "spec.notifications.jobAlert.recipients[1]"
    assert issue.message.startswith("the domain is not a valid name, and cannot be converted to ASCII")
    lines = offline.text(
        offline.host(), offline.org("acme", notifications={"jobAlert": {"recipients": recipients}})
    ).splitlines()
    assert lines[issue.place.line - 2].strip() == "- ok@example.com"


def test_two_objects_at_one_place_are_told_both() -> None:
    """What cannot be located hides nothing: the same words about another object are another issue."""
    items = [offline.org(name, suspend="yes") for name in ("a", "b")]
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": items}, separators=(", ", "\n: "))
    found = linting.find(
        judging.Judge(world.build(sources.parse("f", text)), operator_namespace="mailtier", now=_NOW), now=_NOW
    )
    assert {str(issue.place) for issue in found} == {"f:1:1"}
    assert [issue.subject for issue in found] == ["OrgEmailSettings a/default", "OrgEmailSettings b/default"]


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
    assert "FieldLocked" in _rules(found, terms.LintSeverity.WARNING)
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


_OWN: offline.Json = {
    "smtp": {"host": "smtp.acme.example", "tls": {"caRef": {"kind": "ConfigMap", "name": "ca"}}},
    "auth": {"username": "a", "passwordSecretRef": {"name": "s"}},
    "from": {"address": "a@acme.example"},
}


def _bundle(text: str) -> offline.Json:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "ca", "namespace": "acme"},
        "data": {"ca.crt": text},
    }


@pytest.mark.parametrize("turn", [1, -1])
def test_secret_that_stands_twice_is_told_and_judged_by_each(turn: int) -> None:
    """A Secret that is right does not hide the one that is wrong, whichever of them is last."""
    right = offline.secret("acme", "s", endpoint="smtp.acme.example:587", password="x")
    wrong = offline.secret("acme", "s", endpoint="smtp.other.example:587", password="x")
    found = _find(offline.host(), offline.org("acme", **_OWN), *[right, wrong][::turn])
    assert sorted(_rules(found)) == ["DuplicateObject", "SecretNotBound"]
    (twice,) = [issue for issue in found if issue.rule == issues.DUPLICATE_OBJECT]
    assert twice.subject == "Secret acme/s"
    assert "stands at input.yaml:" in twice.message


@pytest.mark.parametrize("turn", [1, -1])
def test_bundle_that_stands_twice_is_told_and_judged_by_each(turn: int, tmp_path: pathlib.Path) -> None:
    """A CA bundle that is mended in another file is still broken in this one."""
    bundles = [_bundle(certs.Authority(tmp_path).ca_pem), _bundle("no certificate")][::turn]
    found = _find(offline.host(), offline.org("acme", **_OWN), *bundles)
    assert sorted(_rules(found)) == ["CaInvalid", "DuplicateObject"]


@pytest.mark.parametrize("turn", [1, -1])
def test_namespace_that_stands_twice_is_told_and_judged_by_each(turn: int) -> None:
    """Labels that one of two Namespaces lacks may be the ones that the cluster ends with."""
    host = offline.host(policy={"organizations": {"mode": "Selector", "selector": {"matchLabels": {"mail": "on"}}}})
    spaces = [offline.namespace("acme", mail="on"), offline.namespace("acme")][::turn]
    found = _find(host, offline.org("acme"), *spaces)
    assert sorted(_rules(found)) == ["DuplicateObject", "NamespaceNotAllowed"]
    assert "Namespace acme" in [issue.subject for issue in found]


def test_what_no_settings_refer_to_may_stand_twice() -> None:
    """Other applications' Secrets, ConfigMaps and Namespaces are not Mailtier's to judge."""
    other = {**_bundle("x"), "metadata": {"name": "other", "namespace": "acme"}}
    secret = offline.secret("acme", "other", password="x")
    space = offline.namespace("elsewhere")
    assert _rules(_find(offline.host(), offline.org("acme"), other, other, secret, secret, space, space)) == []


def test_each_of_two_organizations_with_one_name_is_judged() -> None:
    """The object that is applied last does not hide what is wrong with the one before it."""
    blocked = offline.org("acme", **{"from": {"address": "ceo@example.com"}})
    found = _find(offline.host(), blocked, offline.org("acme"))
    assert sorted(_rules(found)) == ["DuplicateObject", "FromNotAllowed"]


def test_finding_about_no_field_begins_as_in_a_status() -> None:
    """What `kubectl describe` says and what lint says is one sentence."""
    host = offline.host(policy={"organizations": {"mode": "Selector", "selector": {"matchLabels": {"mail": "on"}}}})
    found = _find(host, offline.org("acme"), offline.namespace("acme"))
    (issue,) = [issue for issue in found if issue.rule.identifier == "NamespaceNotAllowed"]
    assert issue.message.startswith("Organizations are allowed only in namespaces labelled mail=on")


def test_broken_examples_of_the_tutorial_are_found_beside_a_solution() -> None:
    """A solution that is linted together with its example does not turn the example green."""
    folder = tutorial.folder()
    judge = judging.Judge(world.build(sources.read([str(folder)])), operator_namespace="mailtier-system", now=_NOW)
    found = linting.find(judge, now=_NOW)
    by_file = {pathlib.Path(issue.place.file).name for issue in found if issue.severity == terms.LintSeverity.ERROR}
    assert "10-certificate.yaml" in by_file
    assert {"CaInvalid", "DuplicateObject"} <= set(_rules(found))
