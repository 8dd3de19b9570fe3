"""What is wrong with an object as a whole, before its values are looked at."""

from collections.abc import Mapping
from typing import Any

from mailtier.api import policies, reasons, vocabulary
from mailtier.settings import effective
from mailtier.settings.rules import cases


@cases.rule(audited=cases.never)
def object_invalid(case: cases.Case) -> effective.Finding | None:
    """The object does not fit the schema."""
    if case.invalid is None:
        return None
    remedy = "" if case.invalid.has_remedy else "; correct the field"
    return effective.Finding(
        reason=reasons.INVALID, field=case.invalid.field, message=f"{case.invalid.message}{remedy}"
    )


@cases.rule(audited=cases.never)
def host_invalid(case: cases.Case) -> effective.Finding | None:
    """The host's policy is not known, so that nothing is allowed under it."""
    if not case.host_invalid:
        return None
    message = f"HostEmailSettings default does not fit the schema, so that its policy is not known; {cases.ASK}"
    return effective.Finding(reason=reasons.HOST_INVALID, field="", message=message)


@cases.rule(audited=cases.always)
def namespace_not_allowed(case: cases.Case) -> effective.Finding | None:
    """The namespace lacks the labels that organizations need."""
    organizations = case.policy.organizations if case.policy else None
    if organizations is None or organizations.mode != vocabulary.Organizations.SELECTOR:
        return None
    if is_selected(organizations, case.namespace_labels):
        return None
    assert organizations.selector is not None
    labels = [f"{key}={value}" for key, value in sorted(organizations.selector.match_labels.items())]
    command = f"kubectl label namespace {case.organization.namespace} {' '.join(labels)} --overwrite"
    return effective.Finding(
        reason=reasons.NAMESPACE_NOT_ALLOWED,
        field="",
        message=f"organizations are allowed only in namespaces labelled {','.join(labels)}; have the platform team run"
        f" `{command}`, or delete this object",
    )


@cases.rule(audited=cases.never)
def host_missing(case: cases.Case) -> effective.Finding | None:
    """Something is inherited, and there is nothing to inherit it from."""
    if case.host is not None:
        return None
    has_server, has_sender = case.values.endpoint is not None, case.values.from_ is not None
    found = (("spec.smtp", has_server), ("spec.auth", has_server or case.org.auth), ("spec.from.address", has_sender))
    absent = ", ".join(path for path, is_there in found if not is_there)
    if not absent:
        return None
    return effective.Finding(
        reason=reasons.HOST_MISSING,
        field="",
        message=f"there is no HostEmailSettings named default to inherit {absent} from; have the platform team apply"
        f" one, or set {absent} here",
    )


@cases.rule(audited=cases.always)
def field_locked(case: cases.Case) -> effective.Finding | None:
    """The organization sets what the host keeps for itself."""
    locked = (case.policy.locked if case.policy else None) or ()
    if not locked:
        return None
    document = case.org.model_dump(by_alias=True, exclude_none=True)
    found = [path.value for path in vocabulary.Lockable if path in locked and _sets(document, path)]
    if not found:
        return None
    others = f"; the same holds for {', '.join(f'spec.{path}' for path in found[1:])}" if found[1:] else ""
    return effective.Finding(
        reason=reasons.FIELD_LOCKED,
        field=f"spec.{found[0]}",
        message=f"is locked by the host's policy.locked; remove it to inherit the host's value{others}",
    )


def is_selected(organizations: policies.OrganizationsPolicy, labels: Mapping[str, str]) -> bool:
    """Return whether a namespace with these labels is one that mode Selector selects."""
    selector = organizations.selector
    return selector is not None and all(labels.get(key) == value for key, value in selector.match_labels.items())


def _sets(document: Any, path: vocabulary.Lockable) -> bool:
    """Return whether an organization sets a field, or anything of a group.

    Args:
        document: Its spec as in YAML, without what is absent.
        path: The field.
    """
    for name in path.value.split("."):
        if name not in document:
            return False
        document = document[name]
    return True
