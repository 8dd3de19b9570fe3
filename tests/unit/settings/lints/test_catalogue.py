"""What holds for every lint: its form, its order, and that it never stands in the way."""

import dataclasses
import datetime as dt
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit import linting, specs, tiers
from kit.corpus import lints
from kit.corpus.lints import parts
from mailtier.api import patience, settings, types, vocabulary
from mailtier.settings import effective, observed, resolve
from mailtier.settings.lints import catalogue, terms
from mailtier.settings.providers import catalogue as providers
from mailtier.settings.providers import facts as provider_model

Case = tuple[observed.Observed, observed.Reads]

_DAYS = st.none() | st.sampled_from((-400, -1, 0, 1, 20, 21, 22, 90))
_SERVERS = st.none() | st.sampled_from([provider.sample.host for provider in providers.ALL])
"""Hosts of providers, which the lints about them need; None leaves the host as it was drawn."""
_PROVIDERS = providers.ALL
_SECRET = "zq7hidden"  # A word that stands nowhere else in settings, lints and providers.
_USERNAMES = st.sampled_from((_SECRET, f"{_SECRET}@{_SECRET}.example", f"{_SECRET}\\{_SECRET}", f" {_SECRET} "))


@pytest.mark.parametrize("lint", catalogue.ALL, ids=lambda lint: lint.identifier)
def test_a_lint_says_what_is_wrong_why_and_what_to_do(lint: terms.Lint) -> None:
    """Each has an identifier that can be an anchor, a title, and sentences."""
    assert re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", lint.identifier)
    assert lint.title
    assert not lint.title.endswith(".")
    assert lint.explanation.endswith(".")
    assert lint.remedy.endswith(".")


def test_no_two_lints_have_one_identifier() -> None:
    """An identifier finds its lint."""
    assert len({lint.identifier for lint in catalogue.ALL}) == len(catalogue.ALL)


def _host(spec: settings.HostSpec, reads: observed.Reads, days: int | None) -> terms.Subject:
    planned = resolve.plan_host(spec, operator_namespace=specs.OPERATOR_NAMESPACE)
    return terms.Subject(
        viewer=vocabulary.Origin.HOST,
        organization=effective.HOST,
        effective=resolve.conclude(planned, reads).effective,
        host=spec,
        org=None,
        certificate_expires_at=None if days is None else specs.NOW + days * linting.DAY,
        now=specs.NOW,
    )


def _org(case: Case, days: int | None) -> terms.Subject:
    situation, reads = case
    host, org = situation.host, situation.org
    return terms.Subject(
        viewer=vocabulary.Origin.ORG,
        organization=situation.organization,
        effective=resolve.conclude(resolve.plan(situation), reads).effective,
        host=None if isinstance(host, observed.Invalid) else host,
        org=None if isinstance(org, observed.Invalid) else org,
        certificate_expires_at=None if days is None else specs.NOW + days * linting.DAY,
        now=specs.NOW,
    )


def _at(subject: terms.Subject, server: str | None) -> terms.Subject:
    """Return the same with another host to send through, where there is one at all."""
    endpoint = subject.effective.endpoint
    if endpoint is None or server is None:
        return subject
    moved = dataclasses.replace(endpoint, host=server)
    return dataclasses.replace(subject, effective=dataclasses.replace(subject.effective, endpoint=moved))


def _are_well_formed(subject: terms.Subject) -> bool:
    """Return whether findings are the same each time, the worst first, each with a field and no final full stop."""
    found = catalogue.run(subject)
    order = [(finding.severity.rank, finding.lint.identifier, finding.field, finding.message) for finding in found]
    named = all(finding.field.startswith("spec.") and finding.message for finding in found)
    return (
        found == catalogue.run(subject)
        and order == sorted(order)
        and named
        and not any(finding.message.endswith(".") for finding in found)
        and all(finding.severity.rank >= finding.lint.severity.rank for finding in found)
    )


@given(case=specs.cases(), days=_DAYS, server=_SERVERS)
def test_an_organization_s_settings_never_break_a_lint(case: Case, days: int | None, server: str | None) -> None:
    """Whatever two tiers come to, valid or not, findings come back, the worst first, the same each time."""
    assert _are_well_formed(_at(_org(case, days), server))


@given(host=specs.hosts(), reads=specs.reads(), days=_DAYS, server=_SERVERS)
def test_the_host_s_settings_never_break_a_lint(
    host: settings.HostSpec, reads: observed.Reads, days: int | None, server: str | None
) -> None:
    """The host's own settings get findings too, however incomplete they are, in the same form."""
    assert _are_well_formed(_at(_host(host, reads, days), server))


@given(case=specs.cases(), host=specs.hosts(), reads=specs.reads())
def test_a_finding_waits_for_no_probe(case: Case, host: settings.HostSpec, reads: observed.Reads) -> None:
    """A probe that saw a sound certificate changes nothing; only the certificate's end ever does."""
    for before, after in ((_org(case, None), _org(case, 90)), (_host(host, reads, None), _host(host, reads, 90))):
        assert catalogue.run(before) == catalogue.run(after)


_OWNERS = ("spec.smtp", "spec.auth", "spec.delivery.helo", "spec.delivery.max", "spec.delivery.timeouts", "spec.policy")


@given(case=specs.cases(), days=_DAYS)
def test_of_an_inherited_endpoint_an_organization_learns_nothing(case: Case, days: int | None) -> None:
    """R7: what the host's server, credentials, CA and certificate are like makes no finding of an organization's."""
    subject = _org(case, days)
    endpoint, auth = subject.effective.endpoint, subject.effective.auth
    if endpoint is None or endpoint.origin == vocabulary.Origin.ORG:
        return
    fields = [finding.field for finding in catalogue.run(subject)]
    mine = {"spec.delivery.maxAge"}
    if auth is not None and auth.origin == vocabulary.Origin.ORG:
        mine |= {field for field in fields if field.startswith("spec.auth")}
    assert [field for field in fields if field.startswith(_OWNERS) and field not in mine] == []
    # Nothing depends on what the organization may not see.
    other = dataclasses.replace(endpoint, port=25, tls=dataclasses.replace(endpoint.tls, server_name="x", ca="00"))
    changed = dataclasses.replace(subject, effective=dataclasses.replace(subject.effective, endpoint=other))
    assert catalogue.run(changed) == catalogue.run(subject)


def _hiding(subject: terms.Subject, username: str) -> terms.Subject:
    """Return the same with a word that stands nowhere else in the username, the Secret's name and the CA's digest."""
    settled = subject.effective
    auth, endpoint = settled.auth, settled.endpoint
    if auth is not None and auth.secret is not None:
        secret = dataclasses.replace(auth.secret, name=_SECRET, key=_SECRET, version=_SECRET)
        auth = dataclasses.replace(auth, identity=username, secret=secret)
    if auth is not None and auth.certificate is not None:
        auth = dataclasses.replace(auth, certificate=dataclasses.replace(auth.certificate, name=_SECRET))
    if endpoint is not None:
        endpoint = dataclasses.replace(endpoint, tls=dataclasses.replace(endpoint.tls, ca=_SECRET))
    return dataclasses.replace(subject, effective=dataclasses.replace(settled, auth=auth, endpoint=endpoint))


@given(case=specs.cases(), days=_DAYS, server=_SERVERS, username=_USERNAMES)
def test_no_finding_names_a_username_a_secret_or_a_ca(
    case: Case, days: int | None, server: str | None, username: str
) -> None:
    """R7: findings stand in a status, where neither of these belongs."""
    subject = _at(_hiding(_org(case, days), username), server)
    assert [finding.message for finding in catalogue.run(subject) if _SECRET in finding.message] == []


@pytest.mark.parametrize("subject", [case[2] for case in lints.CASES], ids=[case[0] for case in lints.CASES])
@given(username=_USERNAMES)
def test_no_example_s_finding_names_a_username_a_secret_or_a_ca(subject: terms.Subject, username: str) -> None:
    """R7: each lint that finds something is asked, whoever reads it."""
    assert [found for found in catalogue.run(_hiding(subject, username)) if _SECRET in found.message] == []


def _unverified(fact: object) -> object:
    return dataclasses.replace(fact, verified=False) if isinstance(fact, provider_model.Fact) else fact


def _doubted(provider: provider_model.Provider) -> provider_model.Provider:
    """Return a provider of which nothing but its servers could be verified."""
    fields = {field.name: _unverified(getattr(provider, field.name)) for field in dataclasses.fields(provider)}
    limits = {
        field.name: _unverified(getattr(provider.limits, field.name)) for field in dataclasses.fields(provider.limits)
    }
    changed = {**fields, "hosts": provider.hosts, "limits": provider_model.ProviderLimits(**limits)}  # type: ignore[arg-type]
    return dataclasses.replace(provider, **changed)  # type: ignore[arg-type]


@pytest.mark.parametrize("subject", [case[2] for case in lints.CASES], ids=[case[0] for case in lints.CASES])
def test_what_is_not_verified_makes_no_error(subject: terms.Subject, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is found only because of what is known of a provider is a Warning at most where that is in doubt."""
    monkeypatch.setattr(providers, "ALL", ())
    providers.find.cache_clear()
    anyway = {(finding.lint.identifier, finding.field) for finding in catalogue.run(subject)}
    monkeypatch.setattr(providers, "ALL", tuple(map(_doubted, _PROVIDERS)))
    providers.find.cache_clear()
    doubted = catalogue.run(subject)
    errors = {
        (finding.lint.identifier, finding.field) for finding in doubted if finding.severity == terms.LintSeverity.ERROR
    }
    assert errors <= anyway
    monkeypatch.setattr(providers, "ALL", _PROVIDERS)
    providers.find.cache_clear()
    assert {(found.lint, found.field) for found in doubted} == {
        (found.lint, found.field) for found in catalogue.run(subject)
    }


@pytest.mark.parametrize(
    ("smtp", "auth", "severity"),
    [
        (parts.smtp("example-com.mail.protection.outlook.com", 25), parts.auth(), terms.LintSeverity.ERROR),
        (parts.MICROSOFT, parts.auth(), terms.LintSeverity.WARNING),
        (parts.SES, parts.auth(), terms.LintSeverity.ERROR),
        (parts.GMAIL, parts.auth("no-reply"), terms.LintSeverity.WARNING),
        (parts.smtp("smtp.mailgun.org"), parts.auth("postmaster"), terms.LintSeverity.WARNING),
    ],
)
def test_a_finding_is_as_certain_as_its_fact(
    smtp: linting.Json, auth: linting.Json, severity: terms.LintSeverity
) -> None:
    """Where the provider's own page says it, mail will not leave; where others say so, it may not."""
    identifiers = {"mechanism-not-offered", "username-form-of-provider"}
    found = [
        finding for finding in catalogue.run(parts.of(smtp=smtp, auth=auth)) if finding.lint.identifier in identifiers
    ]
    assert [finding.severity for finding in found] == [severity]
    assert found[0].lint.severity == terms.LintSeverity.ERROR


_SHORTEST_MAX_AGE = dt.timedelta(minutes=1)
"""That settings may have; no lint can speak of a category that is tried as often."""


@pytest.mark.parametrize(("category", "policy"), patience.POLICIES.items())
def test_a_max_age_is_compared_with_the_schedule_that_the_sender_keeps(
    category: vocabulary.Category, policy: patience.RetryPolicy
) -> None:
    """A max age below the longest pause of a category is told with its name, and one that is as long is not."""

    def named(max_age: dt.timedelta) -> bool:
        delivery = {"maxAge": types.format_duration(max_age)}
        found = catalogue.run(linting.of_host({**tiers.RELAY, "delivery": delivery}))
        return any(
            category in finding.message
            for finding in found
            if finding.lint.identifier == "max-age-shorter-than-retries"
        )

    if policy.maximal_backoff > _SHORTEST_MAX_AGE:
        assert named(policy.maximal_backoff - dt.timedelta(seconds=1))
    assert not named(policy.maximal_backoff)
