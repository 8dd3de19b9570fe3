"""From what was observed to effective settings, in two steps: plan, read what the plan needs, conclude.

What has to be read is known only once the tiers are joined, and nothing is read while it is decided.
"""

import dataclasses
import datetime as dt
import enum
from typing import Final

from mailtier.api import reasons, settings, vocabulary
from mailtier.settings import binding, effective, host_server, observed, policy, references, tiers
from mailtier.settings.rules import cases

_HOST, _ORG = vocabulary.Origin.HOST, vocabulary.Origin.ORG
_NO_VALUES: Final = tiers.join(None, settings.OrgSpec(), organization=effective.HOST, operator_namespace="")
_REFUSES_SERVER: Final = frozenset(
    {
        reasons.ENDPOINT_DENIED,
        reasons.ENDPOINT_NOT_ALLOWED,
        reasons.TOKEN_SERVER_NOT_ALLOWED,
        reasons.PLAINTEXT_REFUSED,
    }
)
_UNREAD_SECRET: Final = observed.SecretRead(outcome=observed.ReadOutcome.UNAVAILABLE)
_UNREAD_CA: Final = observed.CaRead(outcome=observed.ReadOutcome.UNAVAILABLE)


class References(enum.Enum):
    """How far it is known whether what the settings refer to is fit."""

    NONE = enum.auto()
    """They refer to nothing."""
    READ = enum.auto()
    """It was read and judged."""
    NOT_READ = enum.auto()
    """The settings are not admitted at all, so that nothing is read for them."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Settings that are decided but for what they refer to.

    Attributes:
        viewer: Whose status it is for: Org, or Host for the host's own.
        findings: What forbids the settings.
        audited: What would, if the host's policy were enforced.
        admitted: Whether the object, the host and the namespace are such that anything may be read for it.
        host: The host's settings; None without any that fit the schema.
        org: The organization's; None for the host's own, and where they do not fit the schema.
        by_address: What holds if the sender finds the endpoint to be the host's server.
    """

    viewer: vocabulary.Origin
    organization: effective.OrganizationKey
    namespace_uid: str
    values: tiers.Values
    findings: tuple[effective.Finding, ...]
    audited: tuple[effective.Finding, ...]
    admitted: bool
    host: settings.HostSpec | None
    org: settings.OrgSpec | None
    by_address: effective.ByAddress = effective.NOWHERE

    @property
    def secret(self) -> observed.SecretNeed | None:
        """The Secret to read; None if there is none to be read."""
        return self.values.secret if self.admitted else None

    @property
    def certificate(self) -> observed.SecretNeed | None:
        """The Secret with the client certificate to read; None if there is none to be read."""
        return self.values.certificate if self.admitted else None

    @property
    def ca(self) -> observed.CaNeed | None:
        """The CA bundle to read; None if there is none to be read."""
        return self.values.ca if self.admitted else None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Resolution:
    """What is so: effective settings with everything that is wrong with them.

    Attributes:
        viewer: Whose status it is for: Org, or Host for the host's own.
        read_every: How often what it refers to is read again.
        certificate_expires_at: When the client certificate ends, aware UTC; None without one that can be used.
        host: The host's settings that it was made from; None without any that fit the schema.
        org: The organization's; None for the host's own, and where they do not fit the schema.
    """

    viewer: vocabulary.Origin
    effective: effective.Effective
    references: References
    read_every: dt.timedelta = observed.EVERY
    certificate_expires_at: dt.datetime | None = None
    host: settings.HostSpec | None
    org: settings.OrgSpec | None


def plan(seen: observed.Observed) -> Plan:
    """Return what an organization's settings come to, and what has to be read for them."""
    host = None if isinstance(seen.host, observed.Invalid) else seen.host
    if isinstance(seen.org, observed.Invalid):
        # What the organization means is not known: to show the host's values as its own would be a guess.
        invalid, org, values = seen.org, None, _NO_VALUES
    else:
        invalid, org = None, seen.org
        values = tiers.join(host, org, organization=seen.organization, operator_namespace=seen.operator_namespace)
    case = cases.Case(
        viewer=_ORG,
        organization=seen.organization,
        namespace_labels=seen.namespace_labels,
        host=host,
        org=org or settings.OrgSpec(),
        invalid=invalid,
        host_invalid=isinstance(seen.host, observed.Invalid),
        values=values,
    )
    closed, told = policy.judge(policy.GATES, case)
    if closed:
        findings, audited = closed, told
    else:
        findings, audited = policy.judge(policy.ACCEPTANCE, case)
        audited = told + audited
    return Plan(
        viewer=_ORG,
        organization=seen.organization,
        namespace_uid=seen.namespace_uid,
        values=values,
        findings=findings,
        audited=audited,
        admitted=not closed,
        host=host,
        org=org,
        by_address=_by_address(case),
    )


def plan_host(host: settings.HostSpec | observed.Invalid, *, operator_namespace: str) -> Plan:
    """Return what the host's own settings come to, as an organization sees them that overrides nothing.

    Args:
        host: The HostEmailSettings.
        operator_namespace: Where its references live.
    """
    invalid = host if isinstance(host, observed.Invalid) else None
    spec = None if isinstance(host, observed.Invalid) else host
    values = tiers.join(spec, settings.OrgSpec(), organization=effective.HOST, operator_namespace=operator_namespace)
    case = cases.Case(
        viewer=_HOST,
        organization=effective.HOST,
        namespace_labels={},
        host=spec,
        org=settings.OrgSpec(),
        invalid=invalid,
        host_invalid=False,
        values=values,
    )
    closed, _ = policy.judge(policy.HOST_GATES, case)
    return Plan(
        viewer=_HOST,
        organization=effective.HOST,
        namespace_uid="",
        values=values,
        findings=closed or policy.judge(policy.HOST_ACCEPTANCE, case)[0],
        audited=(),
        admitted=not closed,
        host=spec,
        org=None,
    )


def conclude(planned: Plan, reads: observed.Reads) -> Resolution:
    """Return the effective settings.

    Args:
        planned: The plan.
        reads: What its `secret`, `certificate` and `ca` were found to be.
    """
    values = planned.values
    endpoint, auth = values.endpoint, values.auth
    findings = planned.findings
    unfit: tuple[effective.Finding, ...] = ()
    if planned.ca is not None and endpoint is not None:
        ca = references.Ca(need=planned.ca, read=reads.ca or _UNREAD_CA)
        found = references.find(references.CA_CHECKS, ca)
        if not found:
            tls = dataclasses.replace(endpoint.tls, ca=ca.read.digest)
            endpoint = dataclasses.replace(endpoint, tls=tls)
        unfit += _for_viewer(found, planned.viewer, endpoint.origin)
    # To agree to the use of what is secret would not help where the server must not be used.
    advise = not any(finding.reason in _REFUSES_SERVER for finding in planned.findings)
    expires_at: dt.datetime | None = None
    if planned.certificate is not None and endpoint is not None and auth is not None:
        assert auth.certificate is not None
        shown = references.Secret(
            need=planned.certificate,
            read=reads.certificate or _UNREAD_SECRET,
            wanted=binding.certificate_servers(endpoint),
            advise=advise,
        )
        found = references.find(references.SECRET_CHECKS, shown)
        if not found:
            expires_at = shown.read.expires_at
            certificate = dataclasses.replace(auth.certificate, version=shown.read.version)
            auth = dataclasses.replace(auth, certificate=certificate)
        unfit = _for_viewer(found, planned.viewer, endpoint.origin) + unfit
    if planned.secret is not None and endpoint is not None and auth is not None:
        assert auth.secret is not None
        wanted = binding.servers(endpoint, auth)
        secret = references.Secret(
            need=planned.secret, read=reads.secret or _UNREAD_SECRET, wanted=wanted, advise=advise
        )
        found = references.find(references.SECRET_CHECKS, secret)
        if not found:
            version = secret.read.version
            auth = dataclasses.replace(auth, secret=dataclasses.replace(auth.secret, version=version))
        unfit = _for_viewer(found, planned.viewer, auth.origin) + unfit
    # Of several things that the host refers to, an organization is told the same.
    unfit = tuple(dict.fromkeys(unfit))
    return Resolution(
        viewer=planned.viewer,
        references=_how_far(planned),
        read_every=reads.every,
        certificate_expires_at=expires_at,
        host=planned.host,
        org=planned.org,
        effective=effective.Effective(
            organization=planned.organization,
            namespace_uid=planned.namespace_uid,
            state=_state(values, findings, unfit),
            findings=findings + unfit,
            audited=planned.audited,
            source=values.source,
            endpoint=endpoint,
            auth=auth,
            from_=values.from_,
            delivery=values.delivery,
            notifications=values.notifications,
            quota=values.quota,
            recipients=values.recipients,
            provenance=values.provenance,
            by_address=planned.by_address,
        ),
    )


def _by_address(case: cases.Case) -> effective.ByAddress:
    """Return what holds for an endpoint whose name is not the host's server's, and whose address may be."""
    endpoint, auth = case.values.endpoint, case.values.auth
    if case.host is None or case.host.smtp is None:
        return effective.NOWHERE
    if endpoint is None or endpoint.origin != _ORG or host_server.is_named(case.host, endpoint.host):
        return effective.NOWHERE
    is_trusted = host_server.is_trusted(case.host, auth)
    there = dataclasses.replace(case.values, endpoint=dataclasses.replace(endpoint, is_host_s=not is_trusted))
    findings, _ = policy.judge(policy.AT_HOST_S_SERVER, dataclasses.replace(case, values=there, is_at_host_s=True))
    return effective.ByAddress(findings=findings, is_trusted=is_trusted)


def _how_far(planned: Plan) -> References:
    if not planned.admitted:
        return References.NOT_READ
    is_any = any((planned.secret, planned.certificate, planned.ca))
    return References.READ if is_any else References.NONE


def _state(
    values: tiers.Values, findings: tuple[effective.Finding, ...], unfit: tuple[effective.Finding, ...]
) -> effective.State:
    if findings:
        return effective.State.BLOCKED
    if unfit or values.endpoint is None:
        return effective.State.UNRESOLVED
    return effective.State.SUSPENDED if values.suspended else effective.State.ACTIVE


def _for_viewer(
    found: tuple[effective.Finding, ...], viewer: vocabulary.Origin, owner: vocabulary.Origin
) -> tuple[effective.Finding, ...]:
    """Return findings as their viewer may read them: of the host's Secret and CA, an organization learns no names."""
    if viewer == owner:
        return found
    return tuple(
        effective.Finding(
            reason=finding.reason,
            field="",
            message="what the host's settings refer to cannot be used now; the platform team finds the cause in the"
            " status of HostEmailSettings default, and nothing is to be done here",
        )
        for finding in found
    )
