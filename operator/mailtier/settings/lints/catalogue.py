"""All lints, and what they find."""

from typing import Final

from mailtier.settings.lints import (
    categories,
    certificates,
    credentials,
    delivery,
    overrides,
    policy,
    sender,
    terms,
    transport,
)
from mailtier.settings.providers import catalogue as providers

GROUPS: Final[tuple[tuple[str, tuple[terms.Lint, ...]], ...]] = (
    ("Server and connection", transport.LINTS),
    ("Certificate", certificates.LINTS),
    ("Credentials", credentials.LINTS),
    ("Sender", sender.LINTS),
    ("Categories and recipients", categories.LINTS),
    ("Delivery and provider limits", delivery.LINTS),
    ("The host's policy", policy.LINTS),
    ("Overrides", overrides.LINTS),
)
"""Lints by their subject, as the page has them."""

ALL: Final[tuple[terms.Lint, ...]] = tuple(lint for _, lints in GROUPS for lint in lints)


def run(subject: terms.Subject) -> tuple[terms.LintFinding, ...]:
    """Return what all lints find, the worst first, then by identifier and field; the same subject gives the same."""
    found = (
        terms.LintFinding(lint=lint, severity=_severity(lint, place, subject), field=place.field, message=place.message)
        for lint in ALL
        for place in lint.check(subject)
    )
    return tuple(sorted(found, key=lambda each: (each.severity.rank, each.lint.identifier, each.field, each.message)))


def _severity(lint: terms.Lint, place: terms.Notice, subject: terms.Subject) -> terms.LintSeverity:
    """Return how much a finding matters: nothing that could not be verified makes an Error."""
    provider, endpoint = subject.provider, subject.effective.endpoint
    if place.fact is None or provider is None or endpoint is None:
        return lint.severity
    # That the server is the provider's at all is a fact too.
    named = providers.naming(provider, endpoint.host)
    if place.fact.verified and named is not None and named.verified:
        return lint.severity
    return max(lint.severity, terms.LintSeverity.WARNING, key=lambda severity: severity.rank)
