"""Each lint finds what it is for, and is silent about what only looks like it."""

import datetime as dt

import pytest

from kit import linting, tiers
from kit.corpus import lints
from kit.corpus.lints import parts
from kit.reference import lints as reference_lints
from mailtier.settings.lints import catalogue, terms


@pytest.mark.parametrize(("identifier", "field", "subject"), [case[:3] for case in lints.CASES])
def test_a_lint_finds_what_it_is_for(identifier: str, field: str, subject: terms.Subject) -> None:
    """Each lint has an example in which it names the field."""
    assert (identifier, field) in linting.found(subject)


@pytest.mark.parametrize(("identifier", "subject"), [(case[0], case[3]) for case in lints.CASES])
def test_a_lint_is_silent_about_what_is_near(identifier: str, subject: terms.Subject) -> None:
    """Each lint has an example that looks alike and is right, about which it says nothing."""
    assert identifier not in [name for name, _ in linting.found(subject)]


def test_every_lint_has_examples() -> None:
    """No lint is without an example."""
    assert {case[0] for case in lints.CASES} == {lint.identifier for lint in catalogue.ALL}


def test_lints_say_whether_they_rest_on_facts() -> None:
    """A lint that may be less than an Error, because of a fact that is not verified, says so on its page."""
    by_facts = {
        lint.identifier
        for lint in catalogue.ALL
        for _, _, subject, *_ in lints.CASES
        if any(place.fact is not None for place in lint.check(subject))
    }
    assert {lint.identifier for lint in catalogue.ALL if lint.by_facts} == by_facts
    entries = reference_lints.lints_page().split("\n### ")[1:]
    softened = {entry.partition("\n")[0] for entry in entries if "\nIt is a Warning where" in entry}
    errors = {lint.identifier for lint in catalogue.ALL if lint.severity == terms.LintSeverity.ERROR}
    assert softened == by_facts & errors
    assert softened


def test_complete_settings_have_no_findings() -> None:
    """A host and an organization as the documentation recommends them, and one that inherits all, are clean."""
    host = {**tiers.RELAY, "auth": parts.auth()}
    assert linting.found(linting.of_host(host, days=60)) == []
    assert linting.found(linting.of_org(host, {})) == []
    assert linting.found(linting.of_org(host, {}, has_object=False)) == []
    assert linting.found(linting.of_org(host, tiers.OWN)) == []
    assert linting.found(linting.of_org(None, {})) == []


def test_a_host_that_enables_categories_for_all_is_clean() -> None:
    """The host enables, each organization names its people: nothing is found for the host, nor for who inherits."""
    host = {**tiers.RELAY, "auth": parts.auth(), "notifications": {"jobAlert": {"enabled": True}}}
    people = {"notifications": {"jobAlert": {"recipients": ["ops@example.org"]}}}
    assert linting.found(linting.of_host(host)) == []
    assert linting.found(linting.of_org(host, {})) == []
    assert linting.found(linting.of_org(host, {}, has_object=False)) == []
    assert linting.found(linting.of_org(host, people)) == []


@pytest.mark.parametrize(
    ("day", "said"), [(dt.date(2026, 11, 25), "will be off by default from"), (dt.date(2027, 1, 1), "are off")]
)
def test_the_end_of_passwords_is_told_by_the_day(day: dt.date, said: str) -> None:
    """Before the end of December 2026 it is going to be, after it it is."""
    now = dt.datetime.combine(day, dt.time(), tzinfo=dt.UTC)
    subject = linting.of_host(parts.host(smtp=parts.MICROSOFT, auth=parts.auth(mechanism="LOGIN")), now=now)
    messages = [
        finding.message for finding in catalogue.run(subject) if finding.lint.identifier == "microsoft-365-password"
    ]
    assert len(messages) == 1
    assert said in messages[0]


def test_the_certificate_s_message_stays_the_same_to_its_end_and_beyond() -> None:
    """A status that would change with every look would be written with every look (R8)."""
    expires_at = linting.NOW + 10 * linting.DAY
    found = [
        catalogue.run(linting.of_host(tiers.RELAY, days=(expires_at - now) / linting.DAY, now=now))
        for now in (linting.NOW, linting.NOW + dt.timedelta(hours=5), expires_at, expires_at + linting.DAY)
    ]
    assert len(found[0]) == 1
    assert all(findings == found[0] for findings in found)


def test_an_organization_is_not_told_of_the_host_s_certificate() -> None:
    """R7: when the inherited server's certificate ends is the platform team's business."""
    assert linting.found(linting.of_org({**tiers.RELAY, "auth": parts.auth()}, {}, days=-1)) == []
