"""What is wrong with who mail is from."""

from collections.abc import Sequence
from typing import Final

from mailtier.api import addresses, reasons, text
from mailtier.settings import effective
from mailtier.settings.rules import cases

_PLACEHOLDER: Final = "{namespace}"


@cases.rule(audited=cases.never)
def from_missing(case: cases.Case) -> effective.Finding | None:
    """Neither tier names a From address."""
    if case.values.from_ is not None or case.host is None:
        return None
    return cases.missing(reasons.FROM_MISSING, "spec.from.address", "a From address")


@cases.rule(audited=cases.never)
def from_unusable(case: cases.Case) -> effective.Finding | None:
    """An address that the apiserver took by its shape and that no message can carry, such as an invalid A-label."""
    if case.values.from_ is None:
        return None
    for name, value in _senders(case.values.from_):
        error = addresses.problem(value)
        if error is not None:
            foreign = case.viewer == cases.ORG and case.values.provenance[f"from.{name}"] == cases.HOST
            if foreign:
                told = f"the host's from.{name} cannot be used; {cases.ASK}"
                return effective.Finding(reason=reasons.INVALID, field="", message=told)
            message = f"{error}; correct the address"
            return effective.Finding(reason=reasons.INVALID, field=f"spec.from.{name}", message=message)
    return None


@cases.rule(audited=cases.always)
def from_address_not_allowed(case: cases.Case) -> effective.Finding | None:
    """On the host's server, a From address that is neither the host's nor listed."""
    return _sender_not_allowed(case, "address", own=("address",))


@cases.rule(audited=cases.always)
def reply_to_not_allowed(case: cases.Case) -> effective.Finding | None:
    """On the host's server, a Reply-To address that is neither the host's nor listed."""
    return _sender_not_allowed(case, "replyTo", own=("reply_to", "address"))


@cases.rule(audited=cases.always)
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

    The host's server is known by name here, on whichever port and whoever authenticates; nothing is resolved. That
    another name leads there the sender finds, and holds to what these rules say of it (`resolve`). A login that is
    trusted there is not held to them (`host_server`).

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
    own_entries = [address for field in own if (address := getattr(hosts, field, None)) is not None]
    entries = _entries(case)
    allowed = own_entries + [entry.replace(_PLACEHOLDER, case.organization.namespace) for entry in entries]
    # Both sides are ASCII by the schema, where a mailbox's key is its lower cases.
    key = text.lower_ascii(value)
    domain = key[key.index("@") :]
    if any(text.lower_ascii(entry) in (key, domain) for entry in allowed):
        return None
    return effective.Finding(
        reason=reasons.FROM_NOT_ALLOWED,
        field=f"spec.from.{name}",
        message=f"{value} may not be used on the host's server; {_allowed(case, own_entries, entries)}; use one of"
        " these, or have the platform team extend policy.from.allow",
    )


def _entries(case: cases.Case) -> Sequence[str]:
    from_ = case.policy.from_ if case.policy is not None else None
    return (from_.allow if from_ is not None else None) or ()


def _allowed(case: cases.Case, own_entries: Sequence[str], entries: Sequence[str]) -> str:
    """Return what may be used, for a message: of the policy what is made for this namespace, and nothing of others."""
    mine = [entry.replace(_PLACEHOLDER, case.organization.namespace) for entry in entries if _PLACEHOLDER in entry]
    others = " and whatever else the host's policy.from.allow lists" if len(mine) < len(entries) else ""
    return f"allowed are {cases.listed([*own_entries, *mine])}{others}"
