"""What the host's policy and the schema forbid: an ordered list of functions, each named after the violation it finds.

Each function gets the whole case and returns a Finding or None. Messages name what is so, what is allowed, and what
to do; what is the host's is told to an organization without details (R7).
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from mailtier.api import addresses, policies, reasons, settings, vocabulary
from mailtier.settings import effective, endpoints, networks, observed, tiers

_HOST, _ORG = vocabulary.Origin.HOST, vocabulary.Origin.ORG
_ASK: Final = "the platform team finds the cause in the status of HostEmailSettings default"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Everything that a policy looks at.

    Attributes:
        viewer: Whose status the findings are for: Org, or Host for the host's own settings.
        host: The host's settings; None where there are none, or none that fit the schema.
        invalid: Why the viewer's own object does not fit the schema.
        host_invalid: Whether the host's does not.
    """

    viewer: vocabulary.Origin
    organization: effective.OrganizationKey
    namespace_labels: Mapping[str, str]
    host: settings.HostSpec | None
    invalid: observed.Invalid | None
    host_invalid: bool
    values: tiers.Values

    @property
    def policy(self) -> policies.Policy | None:
        """The host's policy; None for its defaults."""
        return self.host.policy if self.host else None


Check = Callable[[Case], effective.Finding | None]


def find(checks: Sequence[Check], case: Case) -> tuple[effective.Finding, ...]:
    """Return what the checks find, in their order."""
    return tuple(finding for check in checks if (finding := check(case)) is not None)


def implicit_organization(policy: policies.Policy | None, labels: Mapping[str, str], *, has_object: bool) -> bool:
    """Return whether a namespace holds an organization named `default` that no object stands for.

    Args:
        policy: The host's; None for its defaults, and where there is no HostEmailSettings that fits.
        labels: The namespace's.
        has_object: Whether the namespace holds any OrgEmailSettings.
    """
    if has_object or policy is None or policy.organizations is None:
        return False
    match policy.organizations.mode:
        case vocabulary.Organizations.LISTED:
            return False
        case vocabulary.Organizations.SELECTOR:
            return _is_selected(policy.organizations, labels)
        case vocabulary.Organizations.ALL:
            return True


def object_invalid(case: Case) -> effective.Finding | None:
    """The object does not fit the schema."""
    if case.invalid is None:
        return None
    message = f"{case.invalid.message}; correct the field"
    return effective.Finding(reason=reasons.INVALID, field=case.invalid.field, message=message)


def host_invalid(case: Case) -> effective.Finding | None:
    """The host's policy is not known, so that nothing is allowed under it."""
    if not case.host_invalid:
        return None
    message = f"HostEmailSettings default does not fit the schema, so that its policy is not known; {_ASK}"
    return effective.Finding(reason=reasons.HOST_INVALID, field="", message=message)


def namespace_not_allowed(case: Case) -> effective.Finding | None:
    """The namespace lacks the labels that organizations need."""
    organizations = case.policy.organizations if case.policy else None
    if organizations is None or organizations.mode != vocabulary.Organizations.SELECTOR:
        return None
    if _is_selected(organizations, case.namespace_labels):
        return None
    assert organizations.selector is not None
    labels = ",".join(f"{key}={value}" for key, value in sorted(organizations.selector.match_labels.items()))
    return effective.Finding(
        reason=reasons.NAMESPACE_NOT_ALLOWED,
        field="",
        message=f"organizations are allowed only in namespaces labelled {labels}; have the platform team label"
        f" namespace {case.organization.namespace}, or delete this object",
    )


def endpoint_missing(case: Case) -> effective.Finding | None:
    """No tier names a server."""
    if case.values.endpoint is not None:
        return None
    return _missing(case, reasons.ENDPOINT_MISSING, "spec.smtp.host", "an SMTP server")


def endpoint_denied(case: Case) -> effective.Finding | None:
    """The host's policy closes the server, whatever else it says."""
    endpoint = case.values.endpoint
    if endpoint is None or _judge(case, endpoint) != endpoints.Verdict.DENIED:
        return None
    return effective.Finding(
        reason=reasons.ENDPOINT_DENIED,
        field="spec.smtp.host",
        message=f"{endpoint} is closed by the host's policy.endpoints.deny; name another server, or remove spec.smtp"
        " to use the host's",
    )


def endpoint_not_allowed(case: Case) -> effective.Finding | None:
    """The host's policy does not open the server, its port or its address."""
    endpoint = case.values.endpoint
    if endpoint is None or _judge(case, endpoint) != endpoints.Verdict.NOT_ALLOWED:
        return None
    if endpoint.origin == _ORG:
        message = (
            f"{endpoint} is not allowed; the host's policy.endpoints allows {_allowed_endpoints(case)}; name such a"
            " server, or have the platform team extend policy.endpoints.allow"
        )
    elif case.viewer == _HOST:
        message = (
            f"{endpoint.host} is neither a public nor an internal address; name another server, or list its network"
            " in spec.policy.endpoints.hostAllow"
        )
    else:
        message = f"the host's server may not be connected to; {_ASK}"
    return effective.Finding(reason=reasons.ENDPOINT_NOT_ALLOWED, field="spec.smtp.host", message=message)


def credentials_required(case: Case) -> effective.Finding | None:
    """An organization's own server, and no word of credentials."""
    if case.values.endpoint is None or case.values.auth is not None:
        return None
    return effective.Finding(
        reason=reasons.CREDENTIALS_REQUIRED,
        field="spec.auth",
        message=f"is absent, and the host's credentials are not sent to {case.values.endpoint}; set username and"
        " passwordSecretRef, or mechanism: Anonymous where the host's policy allows it",
    )


def anonymous_not_allowed(case: Case) -> effective.Finding | None:
    """An organization's own server without credentials, which may trust us for our address alone."""
    endpoint, auth = case.values.endpoint, case.values.auth
    if endpoint is None or auth is None or endpoint.origin != _ORG:
        return None
    if auth.mechanism != vocabulary.Mechanism.ANONYMOUS:
        return None
    if _is_host_s_server(case) and not _is_host_anonymous(case):
        return effective.Finding(
            reason=reasons.ANONYMOUS_NOT_ALLOWED,
            field="spec.auth.mechanism",
            message=f"Anonymous on {endpoint} is not allowed, because this is the host's endpoint; inherit it by"
            " removing spec.smtp, or set username and passwordSecretRef",
        )
    policy = case.policy.endpoints if case.policy else None
    if policy is not None and policy.anonymous:
        return None
    return effective.Finding(
        reason=reasons.ANONYMOUS_NOT_ALLOWED,
        field="spec.auth.mechanism",
        message=f"Anonymous on {endpoint} is not allowed; set username and passwordSecretRef, or have the platform"
        " team set policy.endpoints.anonymous: true",
    )


def plaintext_refused(case: Case) -> effective.Finding | None:
    """A password that would cross a connection without TLS; the host may accept that for its own alone."""
    endpoint, auth = case.values.endpoint, case.values.auth
    if endpoint is None or auth is None or endpoint.tls.mode != vocabulary.TlsMode.DISABLED or auth.secret is None:
        return None
    hosts = case.host.auth if case.host else None
    if auth.origin == _HOST and endpoint.origin == _HOST and hosts is not None and hosts.allow_plaintext:
        return None
    return effective.Finding(
        reason=reasons.PLAINTEXT_REFUSED,
        field="spec.auth",
        message=f"the password would be sent in clear, because smtp.tls.mode of {endpoint} is Disabled; remove"
        " spec.auth, or set spec.smtp to a server of your own with StartTLS or Implicit",
    )


def from_missing(case: Case) -> effective.Finding | None:
    """No tier names a From address."""
    if case.values.from_ is not None:
        return None
    return _missing(case, reasons.FROM_MISSING, "spec.from.address", "a From address")


def from_unusable(case: Case) -> effective.Finding | None:
    """An address that the apiserver took by its shape and that no message can carry, such as an invalid A-label."""
    if case.values.from_ is None:
        return None
    for name, value in _senders(case.values.from_):
        try:
            addresses.parse(value)
        except addresses.AddressError as error:
            foreign = case.viewer == _ORG and case.values.provenance[f"from.{name}"] == _HOST
            message = f"the host's address cannot be used; {_ASK}" if foreign else f"{error}; correct the address"
            return effective.Finding(reason=reasons.INVALID, field=f"spec.from.{name}", message=message)
    return None


def from_address_not_allowed(case: Case) -> effective.Finding | None:
    """On the host's server, a From address that is neither the host's nor listed."""
    return _sender_not_allowed(case, "address", own=("address",))


def reply_to_not_allowed(case: Case) -> effective.Finding | None:
    """On the host's server, a Reply-To address that is neither the host's nor listed."""
    return _sender_not_allowed(case, "replyTo", own=("reply_to", "address"))


def envelope_not_allowed(case: Case) -> effective.Finding | None:
    """On the host's server, an envelope address that is neither the host's nor listed."""
    return _sender_not_allowed(case, "envelope", own=("envelope", "address"))


GATES: Final[tuple[Check, ...]] = (object_invalid, host_invalid, namespace_not_allowed)
"""Where one of these finds something, nothing else is looked at, and no Secret is read."""

ACCEPTANCE: Final[tuple[Check, ...]] = (
    endpoint_missing,
    endpoint_denied,
    endpoint_not_allowed,
    credentials_required,
    anonymous_not_allowed,
    plaintext_refused,
    from_missing,
    from_unusable,
    from_address_not_allowed,
    reply_to_not_allowed,
    envelope_not_allowed,
)

HOST_ACCEPTANCE: Final[tuple[Check, ...]] = (endpoint_not_allowed, from_unusable)
"""For the host's own settings, which may leave server and sender to the organizations."""


def _is_selected(organizations: policies.OrganizationsPolicy, labels: Mapping[str, str]) -> bool:
    selector = organizations.selector
    return selector is not None and all(labels.get(key) == value for key, value in selector.match_labels.items())


def _missing(case: Case, reason: reasons.Reason, field: str, what: str) -> effective.Finding:
    if case.host is None:
        return effective.Finding(
            reason=reasons.HOST_MISSING,
            field=field,
            message="is inherited, and there is no HostEmailSettings named default; have the platform team apply it,"
            " or set spec.smtp, spec.auth and spec.from.address here",
        )
    message = f"neither this object nor the host names {what}; set it here, or have the platform team set it"
    return effective.Finding(reason=reason, field=field, message=message)


def _judge(case: Case, endpoint: effective.Endpoint) -> endpoints.Verdict:
    return endpoints.judge(case.policy.endpoints if case.policy else None, endpoint)


def _allowed_endpoints(case: Case) -> str:
    return endpoints.describe_allowed(case.policy.endpoints if case.policy else None)


def _is_host_s_server(case: Case) -> bool:
    """Return whether the effective endpoint leads to the host's server and port, inherited or named once more."""
    endpoint, hosts = case.values.endpoint, case.host.smtp if case.host else None
    if endpoint is None or endpoint.origin == _HOST or hosts is None:
        return endpoint is not None and endpoint.origin == _HOST
    host, port = tiers.server(hosts)
    if endpoint.port != port:
        return False
    if endpoints.is_address(host) and endpoints.is_address(endpoint.host):
        return networks.are_same(host, endpoint.host)
    return endpoint.host == host


def _is_host_anonymous(case: Case) -> bool:
    auth = case.host.auth if case.host else None
    return auth is None or auth.mechanism == vocabulary.Mechanism.ANONYMOUS


def _senders(from_: effective.From) -> tuple[tuple[str, str], ...]:
    named = (("address", from_.address), ("replyTo", from_.reply_to), ("envelope", from_.envelope))
    return tuple((name, value) for name, value in named if value is not None)


def _sender_not_allowed(case: Case, name: str, *, own: Sequence[str]) -> effective.Finding | None:
    """Return the finding for one sender address.

    Only the host's server is bound by the host's policy: what is sent through an organization's own is between that
    server and its account, and SPF, DKIM and DMARC of the domain judge it. R3 is not touched by it: no credentials
    and no reputation of the host's are used there.

    An endpoint that an organization names itself counts as the host's where normalized host and port are the host's,
    whoever authenticates: that server may trust our address. The same server under another name or on another port
    is not seen, because nothing is resolved here; such an alias without credentials needs policy.endpoints.anonymous.

    Args:
        case: The case.
        name: Of the field under spec.from.
        own: Which of the host's addresses, as Python names them, may stand in the field.
    """
    from_ = case.values.from_
    if from_ is None or not _is_host_s_server(case):
        return None
    # What is inherited is the host's; an envelope that follows the From address is judged with that.
    if case.values.provenance[f"from.{name}"] != _ORG:
        return None
    value = dict(_senders(from_))[name]
    hosts = case.host.from_ if case.host else None
    allowed = [address for field in own if (address := getattr(hosts, field, None)) is not None]
    if case.policy is not None and case.policy.from_ is not None:
        namespace = case.organization.namespace
        allowed += (entry.replace("{namespace}", namespace) for entry in case.policy.from_.allow)
    # Both sides are ASCII by the schema, where a mailbox's key is its lower case.
    key = value.lower()
    domain = key[key.index("@") :]
    if any(entry.lower() in (key, domain) for entry in allowed):
        return None
    return effective.Finding(
        reason=reasons.FROM_NOT_ALLOWED,
        field=f"spec.from.{name}",
        message=f"{value} may not be used on the host's server; allowed are {_list(allowed)}; use one of these, or"
        " have the platform team extend policy.from.allow",
    )


def _list(entries: Sequence[str]) -> str:
    if not entries:
        return "no addresses"
    distinct = list(dict.fromkeys(entries))
    shown, hidden = distinct[:10], len(distinct) - 10
    return ", ".join(shown) + (f" and {hidden} more" if hidden > 0 else "")
