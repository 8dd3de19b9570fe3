"""What the host's policy and the schema forbid: every rule in its order.

Each rule gets the whole case, returns a Finding or None, and says itself whether mode Audit only tells it. Messages
name what is so, what is allowed, and what to do; what is the host's is told to an organization without details (R7).
"""

from collections.abc import Mapping, Sequence
from typing import Final

from mailtier.api import policies, vocabulary
from mailtier.settings import effective
from mailtier.settings.rules import cases, objects, recipients, senders, servers

GATES: Final[tuple[cases.PolicyRule, ...]] = (
    objects.object_invalid,
    objects.host_invalid,
    objects.namespace_not_allowed,
)
"""Where one of these finds something, nothing else is looked at, and no Secret is read."""

ACCEPTANCE: Final[tuple[cases.PolicyRule, ...]] = (
    objects.field_locked,
    objects.host_missing,
    servers.endpoint_missing,
    servers.endpoint_denied,
    servers.endpoint_not_allowed,
    servers.token_server_not_allowed,
    servers.credentials_required,
    servers.anonymous_not_allowed,
    servers.plaintext_refused,
    servers.host_account_not_allowed,
    senders.from_missing,
    senders.from_unusable,
    senders.from_address_not_allowed,
    senders.reply_to_not_allowed,
    senders.envelope_not_allowed,
    recipients.recipient_unusable,
    recipients.recipient_not_allowed,
)

HOST_ACCEPTANCE: Final[tuple[cases.PolicyRule, ...]] = (
    servers.endpoint_not_allowed,
    senders.from_unusable,
    recipients.recipient_unusable,
)
"""For the host's own settings, which may leave server and sender to the organizations."""

FALLBACK: Final[tuple[cases.PolicyRule, ...]] = (
    servers.endpoint_denied,
    servers.endpoint_not_allowed,
    servers.token_server_not_allowed,
    servers.anonymous_not_allowed,
    servers.plaintext_refused,
    servers.host_account_not_allowed,
    senders.from_address_not_allowed,
    senders.reply_to_not_allowed,
    senders.envelope_not_allowed,
)
"""What of `ACCEPTANCE` and `HOST_ACCEPTANCE` depends on the server, and so is asked of the fallback again."""

HOST_FALLBACK: Final[tuple[cases.PolicyRule, ...]] = (servers.endpoint_not_allowed,)
"""The same for the host's own settings."""

HOST_GATES: Final[tuple[cases.PolicyRule, ...]] = (objects.object_invalid,)
"""For the host's own settings: an object that does not fit says nothing more."""

AT_HOST_S_SERVER: Final[tuple[cases.PolicyRule, ...]] = (
    senders.from_address_not_allowed,
    senders.reply_to_not_allowed,
    senders.envelope_not_allowed,
    servers.host_account_not_allowed,
)
"""What holds on the host's server alone, and so also where only an address tells that it is that."""


def judge(
    rules: Sequence[cases.PolicyRule], case: cases.Case
) -> tuple[tuple[effective.Finding, ...], tuple[effective.Finding, ...]]:
    """Return what the rules find, in their order: what blocks, and what would if the host's policy were enforced."""
    is_audit = case.viewer != cases.HOST and case.policy is not None and case.policy.mode == vocabulary.PolicyMode.AUDIT
    blocking: list[effective.Finding] = []
    audited: list[effective.Finding] = []
    for rule in rules:
        finding = rule(case)
        if finding is not None:
            (audited if is_audit and rule.is_audited(case) else blocking).append(finding)
    return tuple(blocking), tuple(audited)


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
            return objects.is_selected(policy.organizations, labels)
        case vocabulary.Organizations.ALL:
            return True
