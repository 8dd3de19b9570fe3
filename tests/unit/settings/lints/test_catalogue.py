"""What holds for every lint: its form, its order, and that it never stands in the way."""

import dataclasses
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit import linting, specs
from mailtier.api import settings, vocabulary
from mailtier.mail import retry
from mailtier.settings import effective, observed, resolve
from mailtier.settings.lints import catalogue, delivery, model

Case = tuple[observed.Observed, observed.Reads]

_DAYS = st.none() | st.sampled_from((-400, -1, 0, 1, 20, 21, 22, 90))


@pytest.mark.parametrize("lint", catalogue.ALL, ids=lambda lint: lint.identifier)
def test_a_lint_says_what_is_wrong_why_and_what_to_do(lint: model.Lint) -> None:
    """Each has an identifier that can be an anchor, a title, and sentences."""
    assert re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", lint.identifier)
    assert lint.title
    assert not lint.title.endswith(".")
    assert lint.explanation.endswith(".")
    assert lint.remedy.endswith(".")


def test_no_two_lints_have_one_identifier() -> None:
    """An identifier finds its lint."""
    assert len(catalogue.BY_IDENTIFIER) == len(catalogue.ALL)
    assert all(catalogue.BY_IDENTIFIER[lint.identifier] is lint for lint in catalogue.ALL)


def _host(spec: settings.HostSpec, reads: observed.Reads, days: int | None) -> model.Subject:
    planned = resolve.plan_host(spec, operator_namespace=specs.OPERATOR_NAMESPACE)
    return model.Subject(
        viewer=vocabulary.Origin.HOST,
        organization=effective.HOST,
        effective=resolve.conclude(planned, reads).effective,
        host=spec,
        org=None,
        certificate_expires_at=None if days is None else specs.NOW + days * linting.DAY,
        now=specs.NOW,
    )


def _org(case: Case, days: int | None) -> model.Subject:
    situation, reads = case
    host, org = situation.host, situation.org
    return model.Subject(
        viewer=vocabulary.Origin.ORG,
        organization=situation.organization,
        effective=resolve.conclude(resolve.plan(situation), reads).effective,
        host=None if isinstance(host, observed.Invalid) else host,
        org=None if isinstance(org, observed.Invalid) else org,
        certificate_expires_at=None if days is None else specs.NOW + days * linting.DAY,
        now=specs.NOW,
    )


@given(case=specs.cases(), days=_DAYS)
def test_an_organization_s_settings_never_break_a_lint(case: Case, days: int | None) -> None:
    """Whatever two tiers come to, valid or not, findings come back, the worst first, the same each time."""
    subject = _org(case, days)
    found = catalogue.run(subject)
    assert found == catalogue.run(subject)
    order = [(finding.lint.severity.rank, finding.lint.identifier, finding.field) for finding in found]
    assert order == sorted(order)
    assert all(finding.field.startswith("spec.") and not finding.message.endswith(".") for finding in found)


@given(host=specs.hosts(), reads=specs.reads(), days=_DAYS)
def test_the_host_s_settings_never_break_a_lint(
    host: settings.HostSpec, reads: observed.Reads, days: int | None
) -> None:
    """The host's own settings get findings too, however incomplete they are."""
    subject = _host(host, reads, days)
    assert catalogue.run(subject) == catalogue.run(subject)


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


@given(case=specs.cases(), days=_DAYS)
def test_no_finding_names_a_username_a_secret_or_a_ca(case: Case, days: int | None) -> None:
    """R7: findings stand in a status, where neither of these belongs."""
    subject = _org(case, days)
    auth, from_ = subject.effective.auth, subject.effective.from_
    messages = " ".join(finding.message for finding in catalogue.run(subject))
    if auth is not None and "@" in auth.identity and from_ is not None and auth.identity != from_.address:
        assert f"{auth.identity} " not in messages.replace(from_.address, "")
    if auth is not None and auth.secret is not None:
        assert f"{auth.secret.namespace}/{auth.secret.name}" not in messages
    assert "ab" * 32 not in messages


def test_the_pauses_are_those_of_the_schedule() -> None:
    """The lint about max age knows the longest pause between two attempts of each category."""
    assert {category: policy.maximal_backoff for category, policy in retry.POLICIES.items()} == dict(
        delivery.LONGEST_PAUSES
    )
