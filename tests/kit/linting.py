"""Subjects of lints, made from two tiers as YAML would hold them."""

import datetime as dt
from typing import Any, Final

from kit import specs, tiers
from mailtier.api import settings, vocabulary
from mailtier.settings import effective
from mailtier.settings.lints import catalogue, terms

Json = dict[str, Any]

NOW: Final = specs.NOW
DAY: Final = dt.timedelta(days=1)


def of_host(
    host: Json, *, days: float | None = None, client_days: float | None = None, now: dt.datetime = NOW
) -> terms.Subject:
    """Return what the host sees of its own settings.

    Args:
        host: Its spec.
        days: Until the server's certificate ends, negative once it has; None where no probe saw one.
        client_days: Until the client certificate ends; None without one.
        now: The time.
    """
    return terms.Subject(
        viewer=vocabulary.Origin.HOST,
        organization=effective.HOST,
        effective=tiers.conclude_host(host).effective,
        host=settings.HostSpec.model_validate(host),
        org=None,
        certificate_expires_at=None if days is None else now + days * DAY,
        client_certificate_expires_at=None if client_days is None else now + client_days * DAY,
        now=now,
    )


def of_org(
    host: Json | None, org: Json, *, days: float | None = None, now: dt.datetime = NOW, has_object: bool = True
) -> terms.Subject:
    """Return what the organization team-a/default sees; of one without an object `org` is {}."""
    return terms.Subject(
        viewer=vocabulary.Origin.ORG,
        organization=effective.OrganizationKey(namespace="team-a", name="default"),
        effective=tiers.settle(host, org),
        host=None if host is None else settings.HostSpec.model_validate(host),
        org=settings.OrgSpec.model_validate(org) if has_object else None,
        certificate_expires_at=None if days is None else now + days * DAY,
        now=now,
    )


def found(subject: terms.Subject) -> list[tuple[str, str]]:
    """Return identifier and field of every finding."""
    return [(finding.lint.identifier, finding.field) for finding in catalogue.run(subject)]
