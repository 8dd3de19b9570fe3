"""What is wrong with who mail is from."""

from collections.abc import Sequence

from mailtier.api import addresses, reasons
from mailtier.settings import effective
from mailtier.settings.rules import cases


def from_missing(case: cases.Case) -> effective.Finding | None:
    """Neither tier names a From address."""
    if case.values.from_ is not None or case.host is None:
        return None
    return cases.missing(reasons.FROM_MISSING, "spec.from.address", "a From address")


def from_unusable(case: cases.Case) -> effective.Finding | None:
    """An address that the apiserver took by its shape and that no message can carry, such as an invalid A-label."""
    if case.values.from_ is None:
        return None
    for name, value in _senders(case.values.from_):
        try:
            addresses.parse(value)
        except addresses.AddressError as error:
            foreign = case.viewer == cases.ORG and case.values.provenance[f"from.{name}"] == cases.HOST
            message = f"the host's address cannot be used; {cases.ASK}" if foreign else f"{error}; correct the address"
            return effective.Finding(reason=reasons.INVALID, field=f"spec.from.{name}", message=message)
    return None


def from_address_not_allowed(case: cases.Case) -> effective.Finding | None:
    """On the host's server, a From address that is neither the host's nor listed."""
    return _sender_not_allowed(case, "address", own=("address",))


def reply_to_not_allowed(case: cases.Case) -> effective.Finding | None:
    """On the host's server, a Reply-To address that is neither the host's nor listed."""
    return _sender_not_allowed(case, "replyTo", own=("reply_to", "address"))


def envelope_not_allowed(case: cases.Case) -> effective.Finding | None:
    """On the host's server, an envelope address that is neither the host's nor listed."""
    return _sender_not_allowed(case, "envelope", own=("envelope", "address"))


def _senders(from_: effective.From) -> tuple[tuple[str, str], ...]:
    named = (("address", from_.address), ("replyTo", from_.reply_to), ("envelope", from_.envelope))
    return tuple((name, value) for name, value in named if value is not None)


def _sender_not_allowed(case: cases.Case, name: str, *, own: Sequence[str]) -> effective.Finding | None:
    """Return the finding for one sender address.

    Only the host's server is bound by the host's policy: what is sent through an organization's own is between that
    server and its account, and SPF, DKIM and DMARC of the domain judge it. R3 is not touched by it: no credentials
    and no reputation of the host's are used there.

    An endpoint that an organization names itself counts as the host's where normalized host and port are the host's,
    whoever authenticates: that server may trust our address. The same server under another name or on another port
    is not seen, because nothing is resolved here; such an alias without credentials needs policy.endpoints.anonymous.

    Args:
        case: The cases.
        name: Of the field under spec.from.
        own: Which of the host's addresses, as Python names them, may stand in the field.
    """
    from_ = case.values.from_
    endpoint = case.values.endpoint
    if from_ is None or endpoint is None or not endpoint.is_host_s:
        return None
    # What is inherited is the host's; an envelope that follows the From address is judged with that.
    if case.values.provenance[f"from.{name}"] != cases.ORG:
        return None
    value = dict(_senders(from_))[name]
    hosts = case.host.from_ if case.host else None
    allowed = [address for field in own if (address := getattr(hosts, field, None)) is not None]
    if case.policy is not None and case.policy.from_ is not None:
        namespace = case.organization.namespace
        allowed += (entry.replace("{namespace}", namespace) for entry in case.policy.from_.allow)
    # Both sides are ASCII by the schema, where a mailbox's key is its lower cases.
    key = value.lower()
    domain = key[key.index("@") :]
    if any(entry.lower() in (key, domain) for entry in allowed):
        return None
    return effective.Finding(
        reason=reasons.FROM_NOT_ALLOWED,
        field=f"spec.from.{name}",
        message=f"{value} may not be used on the host's server; allowed are {cases.listed(allowed)}; use one of these,"
        " or have the platform team extend policy.from.allow",
    )
