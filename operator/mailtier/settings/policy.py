"""What the host's policy and the schema forbid: every rule in its order, and which of them mode Audit only tells.

Each rule gets the whole case and returns a Finding or None. Messages name what is so, what is allowed, and what to
do; what is the host's is told to an organization without details (R7).
"""

from collections.abc import Mapping, Sequence
from typing import Final

from mailtier.api import policies, reasons, vocabulary
from mailtier.settings import effective, endpoints
from mailtier.settings.rules import cases, objects, recipients, senders, servers

GATES: Final[tuple[cases.Check, ...]] = (objects.object_invalid, objects.host_invalid, objects.namespace_not_allowed)
"""Where one of these finds something, nothing else is looked at, and no Secret is read."""

ACCEPTANCE: Final[tuple[cases.Check, ...]] = (
    objects.field_locked,
    objects.host_missing,
    servers.endpoint_missing,
    servers.endpoint_denied,
    servers.endpoint_not_allowed,
    servers.token_server_not_allowed,
    servers.credentials_required,
    servers.anonymous_not_allowed,
    servers.plaintext_refused,
    senders.from_missing,
    senders.from_unusable,
    senders.from_address_not_allowed,
    senders.reply_to_not_allowed,
    senders.envelope_not_allowed,
    recipients.recipient_not_allowed,
)

HOST_ACCEPTANCE: Final[tuple[cases.Check, ...]] = (servers.endpoint_not_allowed, senders.from_unusable)
"""For the host's own settings, which may leave server and sender to the organizations."""

HOST_GATES: Final[tuple[cases.Check, ...]] = (objects.object_invalid,)
"""For the host's own settings: an object that does not fit says nothing more."""

AUDITED: Final = frozenset(
    {
        reasons.NAMESPACE_NOT_ALLOWED,
        reasons.FIELD_LOCKED,
        reasons.ENDPOINT_DENIED,
        reasons.ENDPOINT_NOT_ALLOWED,
        reasons.TOKEN_SERVER_NOT_ALLOWED,
        reasons.ANONYMOUS_NOT_ALLOWED,
        reasons.FROM_NOT_ALLOWED,
        reasons.RECIPIENT_NOT_ALLOWED,
    }
)
"""What mode Audit only tells: what the host's policy forbids, and not what would endanger a password."""


def blocking(
    findings: Sequence[effective.Finding], case: cases.Case
) -> tuple[tuple[effective.Finding, ...], tuple[effective.Finding, ...]]:
    """Return the findings that block, and those that would if the host's policy were enforced."""
    if case.viewer == cases.HOST or case.policy is None or case.policy.mode != vocabulary.PolicyMode.AUDIT:
        return tuple(findings), ()
    audited = [finding for finding in findings if finding.reason in AUDITED and not _is_closed(finding, case)]
    return tuple(finding for finding in findings if finding not in audited), tuple(audited)


def _is_closed(finding: effective.Finding, case: cases.Case) -> bool:
    """Return whether a server stays closed in every mode, because its address is not public (R6)."""
    endpoint, auth = case.values.endpoint, case.values.auth
    if finding.reason in {reasons.ENDPOINT_NOT_ALLOWED, reasons.ENDPOINT_DENIED}:
        return endpoint is None or not endpoints.is_open(endpoint.host, endpoint.addresses)
    if finding.reason == reasons.TOKEN_SERVER_NOT_ALLOWED:
        server = auth.oauth2.server if auth and auth.oauth2 else None
        return server is None or not endpoints.is_open(server.host, server.addresses)
    return False


def find(checks: Sequence[cases.Check], case: cases.Case) -> tuple[effective.Finding, ...]:
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
            return objects.is_selected(policy.organizations, labels)
        case vocabulary.Organizations.ALL:
            return True
