"""From what was observed to effective settings, in two steps: plan, read what the plan needs, conclude.

What has to be read is known only once the tiers are joined, and nothing is read while it is decided.
"""

import dataclasses
import datetime as dt
import enum
from typing import Final

from mailtier.api import reasons, settings, vocabulary
from mailtier.settings import binding, effective, fallbacks, host_server, observed, policy, references, tiers
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
_UNREAD: Final = observed.Reads()


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
        org: The organization's; None for the host's own, and where they do not fit the schema. Both as they are
            written, whichever server the plan is for.
        by_address: What holds if the sender finds the endpoint to be the host's server.
        fallback: The same with the fallback in place of the first server; its findings are among this plan's. None
            without one.
        has_own_auth: Of a fallback, whether it names credentials of its own.
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
    fallback: "Plan | None" = None
    has_own_auth: bool = True

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

    @property
    def needs(self) -> frozenset[observed.SecretNeed | observed.CaNeed]:
        """All that is to be read, for the fallback too."""
        own = {need for need in (self.secret, self.certificate, self.ca) if need is not None}
        return frozenset(own) if self.fallback is None else self.fallback.needs | own

    def wanted(self, need: observed.SecretNeed) -> tuple[binding.BoundServer, ...]:
        """Return every server to which what is in a Secret is sent, or comes in the form of a token.

        Of both servers, where they use it alike: whoever agrees to one of them alone has not agreed.
        """
        found: tuple[binding.BoundServer, ...] = ()
        endpoint, auth = self.values.endpoint, self.values.auth
        if endpoint is not None and auth is not None and need in {self.secret, self.certificate}:
            found = binding.certificate_servers(endpoint) if need.is_certificate else binding.servers(endpoint, auth)
        beside = () if self.fallback is None else self.fallback.wanted(need)
        return tuple(dict.fromkeys((*found, *beside)))


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
    planned = Plan(
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
    return planned if closed else _with_fallback(planned, case, seen.operator_namespace)


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
    planned = Plan(
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
    return planned if closed else _with_fallback(planned, case, operator_namespace)


def _with_fallback(planned: Plan, case: cases.Case, operator_namespace: str) -> Plan:
    """Return a plan with what its fallback comes to, to which all that holds for the first server is applied."""
    swapped = fallbacks.swap(case.host, case.org)
    if swapped is None:
        return planned
    values = tiers.join(
        swapped.host, swapped.org, organization=case.organization, operator_namespace=operator_namespace
    )
    there = dataclasses.replace(case, host=swapped.host, org=swapped.org, values=values, is_fallback=True)
    rules = policy.FALLBACK if case.viewer == _ORG else policy.HOST_FALLBACK
    by_address = _by_address(there)
    found, told, barred = (
        tuple(fallbacks.moved(finding, has_own_auth=swapped.has_own_auth) for finding in several)
        for several in (*policy.judge(rules, there), by_address.findings)
    )
    fallback = dataclasses.replace(
        planned,
        values=values,
        findings=found,
        audited=told,
        by_address=dataclasses.replace(by_address, findings=barred),
        has_own_auth=swapped.has_own_auth,
    )
    return dataclasses.replace(
        planned,
        findings=tuple(dict.fromkeys(planned.findings + found)),
        audited=tuple(dict.fromkeys(planned.audited + told)),
        fallback=fallback,
    )


def conclude(planned: Plan, reads: observed.Reads) -> Resolution:
    """Return the effective settings.

    Args:
        planned: The plan.
        reads: What its `secret`, `certificate` and `ca` were found to be.
    """
    values = planned.values
    findings = planned.findings
    first = _refer(planned, planned, reads)
    unfit, provenance, fallback = first.unfit, values.provenance, None
    if planned.fallback is not None:
        there, has_own_auth = planned.fallback, planned.fallback.has_own_auth
        referred = _refer(planned, there, reads.fallback or _UNREAD)
        unfit += tuple(fallbacks.moved(finding, has_own_auth=has_own_auth) for finding in referred.unfit)
        provenance = {**provenance, **fallbacks.provenance(there.values.provenance, has_own_auth=has_own_auth)}
        if referred.endpoint is not None and referred.auth is not None:
            fallback = effective.FallbackServer(
                endpoint=referred.endpoint,
                auth=referred.auth,
                delivery=there.values.delivery,
                by_address=there.by_address,
            )
    # Of several things that the host refers to, an organization is told the same.
    unfit = tuple(dict.fromkeys(unfit))
    return Resolution(
        viewer=planned.viewer,
        references=_how_far(planned),
        read_every=reads.every,
        certificate_expires_at=first.expires_at,
        host=planned.host,
        org=planned.org,
        effective=effective.Effective(
            organization=planned.organization,
            namespace_uid=planned.namespace_uid,
            state=_state(values, findings, unfit),
            findings=findings + unfit,
            audited=planned.audited,
            source=values.source,
            endpoint=first.endpoint,
            auth=first.auth,
            from_=values.from_,
            delivery=values.delivery,
            notifications=values.notifications,
            quota=values.quota,
            recipients=values.recipients,
            provenance=provenance,
            by_address=planned.by_address,
            fallback=fallback,
        ),
    )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Referred:
    """A server with what was read for it.

    Attributes:
        unfit: What is wrong with that.
        expires_at: When the client certificate ends; None without one that can be used.
    """

    endpoint: effective.Endpoint | None
    auth: effective.Auth | None
    unfit: tuple[effective.Finding, ...]
    expires_at: dt.datetime | None


def _refer(whole: Plan, planned: Plan, reads: observed.Reads) -> _Referred:
    """Return what a plan's server comes to with what was read for it.

    Args:
        whole: The plan that it belongs to, or is.
        planned: The plan.
        reads: What its `secret`, `certificate` and `ca` were found to be.
    """
    endpoint, auth = planned.values.endpoint, planned.values.auth
    unfit: tuple[effective.Finding, ...] = ()
    expires_at: dt.datetime | None = None
    if planned.ca is not None and endpoint is not None:
        ca = references.Ca(need=planned.ca, read=reads.ca or _UNREAD_CA)
        found = references.find(references.CA_CHECKS, ca)
        if not found:
            tls = dataclasses.replace(endpoint.tls, ca=ca.read.digest)
            endpoint = dataclasses.replace(endpoint, tls=tls)
        unfit += _for_viewer(found, planned.viewer, endpoint.origin)
    # To agree to the use of what is secret would not help where the server must not be used.
    advise = not any(finding.reason in _REFUSES_SERVER for finding in whole.findings)

    def judge(need: observed.SecretNeed, read: observed.SecretRead | None) -> references.Secret:
        return references.Secret(need=need, read=read or _UNREAD_SECRET, wanted=whole.wanted(need), advise=advise)

    if planned.certificate is not None and endpoint is not None and auth is not None:
        assert auth.certificate is not None
        shown = judge(planned.certificate, reads.certificate)
        found = references.find(references.SECRET_CHECKS, shown)
        if not found:
            expires_at = shown.read.expires_at
            certificate = dataclasses.replace(auth.certificate, version=shown.read.version)
            auth = dataclasses.replace(auth, certificate=certificate)
        unfit = _for_viewer(found, planned.viewer, endpoint.origin) + unfit
    if planned.secret is not None and endpoint is not None and auth is not None:
        assert auth.secret is not None
        secret = judge(planned.secret, reads.secret)
        found = references.find(references.SECRET_CHECKS, secret)
        if not found:
            version = secret.read.version
            auth = dataclasses.replace(auth, secret=dataclasses.replace(auth.secret, version=version))
        unfit = _for_viewer(found, planned.viewer, auth.origin) + unfit
    return _Referred(endpoint=endpoint, auth=auth, unfit=unfit, expires_at=expires_at)


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
    is_any = bool(planned.needs)
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
