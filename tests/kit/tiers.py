"""Short ways to put two tiers together, from specs as they stand in YAML, for the organization team-a/default."""

import dataclasses
import datetime as dt
from typing import Any, Final

from kit import specs
from mailtier.settings import binding, effective, observed, resolve

Json = dict[str, Any]

RELAY: Final[Json] = {
    "smtp": {"host": "relay.example.com"},
    "auth": {"username": "relay", "passwordSecretRef": {"name": "relay"}},
    "from": {"address": "no-reply@example.com"},
}
"""A host's complete spec."""

OWN: Final[Json] = {
    "smtp": {"host": "smtp.example.org"},
    "auth": {"username": "team", "passwordSecretRef": {"name": "smtp"}},
    "from": {"address": "team@example.org"},
}
"""The spec of an organization that inherits nothing that has to be there."""

OAUTH2: Final[Json] = {
    "smtp": {"host": "smtp.example.org"},
    "auth": {
        "username": "team@example.org",
        "oauth2": {
            "tokenURL": "https://Login.example.org/oauth2/token",
            "clientID": "mailtier",
            "scopes": ["smtp.send"],
            "secretRef": {"name": "oauth"},
        },
    },
    "from": {"address": "team@example.org"},
}
"""The spec of an organization of that kind that has access tokens instead of a password."""

EXPIRES_AT: Final = specs.NOW + dt.timedelta(days=365)
"""Of every client certificate."""

CA: Final = observed.CaRead(outcome=observed.ReadOutcome.FOUND, digest="ab" * 32)


def plan(
    host: Json | None, org: Json, *, labels: dict[str, str] | None = None, namespace: str = "team-a"
) -> resolve.Plan:
    """Return the plan; a spec that does not fit the schema stands for an invalid object."""
    return resolve.plan(
        observed.Observed(
            organization=effective.OrganizationKey(namespace=namespace, name="default"),
            namespace_uid="uid",
            namespace_labels=labels or {},
            operator_namespace=specs.OPERATOR_NAMESPACE,
            host=None if host is None else observed.parse_host(host),
            org=observed.parse_org(org),
        )
    )


def conclude(
    host: Json | None,
    org: Json,
    *,
    secret: observed.SecretRead | None = None,
    certificate: observed.SecretRead | None = None,
    ca: observed.CaRead = CA,
    labels: dict[str, str] | None = None,
) -> resolve.Resolution:
    """Return the resolution; the Secrets are found and bound unless they are given otherwise."""
    planned = plan(host, org, labels=labels)
    return resolve.conclude(planned, _reads(planned, secret, certificate, ca))


def settle(host: Json | None, org: Json) -> effective.Effective:
    """Return the effective settings, with everything that is referred to as it should be."""
    return conclude(host, org).effective


def findings(host: Json | None, org: Json, *, labels: dict[str, str] | None = None) -> list[tuple[str, str]]:
    """Return reason and field of every finding."""
    found = conclude(host, org, labels=labels).effective.findings
    return [(finding.reason.name, finding.field) for finding in found]


def conclude_host(
    host: Json,
    *,
    secret: observed.SecretRead | None = None,
    certificate: observed.SecretRead | None = None,
    ca: observed.CaRead = CA,
) -> resolve.Resolution:
    """Return the resolution of the host's own settings."""
    planned = resolve.plan_host(observed.parse_host(host), operator_namespace=specs.OPERATOR_NAMESPACE)
    return resolve.conclude(planned, _reads(planned, secret, certificate, ca))


def _reads(
    planned: resolve.Plan,
    secret: observed.SecretRead | None,
    certificate: observed.SecretRead | None,
    ca: observed.CaRead,
) -> observed.Reads:
    usual = dataclasses.replace(_bound(planned), version="uid/2", expires_at=EXPIRES_AT)
    there = planned.fallback
    return observed.Reads(
        secret=secret or _bound(planned),
        certificate=certificate or usual,
        ca=ca,
        # Of one Secret there is one read.
        fallback=None
        if there is None
        else _reads(there, _bound(planned) if planned.secret == there.secret else None, None, ca),
    )


def _bound(planned: resolve.Plan) -> observed.SecretRead:
    endpoint, auth = planned.values.endpoint, planned.values.auth
    annotation = None
    if endpoint is not None and auth is not None:
        wanted = planned.wanted(planned.secret) if planned.secret is not None else ()
        annotation = ",".join(map(str, dict.fromkeys((*binding.servers(endpoint, auth), *wanted))))
    return observed.SecretRead(outcome=observed.ReadOutcome.FOUND, version="uid/1", annotation=annotation)
