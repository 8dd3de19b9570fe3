"""What a rule looks at, and what it says in words that several rules use."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from mailtier.api import policies, reasons, settings, vocabulary
from mailtier.settings import effective, observed, tiers

HOST, ORG = vocabulary.Origin.HOST, vocabulary.Origin.ORG
ASK: Final = "the platform team finds the cause in the status of HostEmailSettings default"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Everything that a policy looks at.

    Attributes:
        viewer: Whose status the findings are for: Org, or Host for the host's own settings.
        host: The host's settings; None where there are none, or none that fit the schema.
        org: The organization's settings; nothing of its own where they do not fit the schema.
        invalid: Why the viewer's own object does not fit the schema.
        host_invalid: Whether the host's does not.
        is_at_host_s: Whether the endpoint is taken to be the host's server, whatever its name.
        is_fallback: Whether the fallback stands in place of the first server (`api.alternates`).
    """

    viewer: vocabulary.Origin
    organization: effective.OrganizationKey
    namespace_labels: Mapping[str, str]
    host: settings.HostSpec | None
    org: settings.OrgSpec
    invalid: observed.Invalid | None
    host_invalid: bool
    values: tiers.Values
    is_at_host_s: bool = False
    is_fallback: bool = False

    @property
    def policy(self) -> policies.Policy | None:
        """The host's policy; None for its defaults."""
        return self.host.policy if self.host else None


Check = Callable[[Case], effective.Finding | None]
"""What a rule finds, or None."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PolicyRule:
    """A rule, which says itself whether mode Audit suspends it.

    Attributes:
        check: What it finds.
        is_audited: Whether a finding of it is only told in mode Audit: so it is with what the host's policy forbids,
            and not with what would endanger a password or an address inside.
    """

    check: Check
    is_audited: Callable[[Case], bool]

    def __call__(self, case: Case) -> effective.Finding | None:
        """Return what it finds, or None."""
        return self.check(case)


def always(_case: Case) -> bool:
    """Return that mode Audit suspends a rule."""
    return True


def never(_case: Case) -> bool:
    """Return that a rule holds in every mode."""
    return False


def rule(*, audited: Callable[[Case], bool]) -> Callable[[Check], PolicyRule]:
    """Make a function a rule.

    Args:
        audited: Whether mode Audit suspends it.
    """
    return lambda check: PolicyRule(check=check, is_audited=audited)


def missing(reason: reasons.Reason, field: str, what: str) -> effective.Finding:
    """Return the finding that neither tier gives a value."""
    message = f"neither this object nor the host names {what}; set it here, or have the platform team set it"
    return effective.Finding(reason=reason, field=field, message=message)


def listed(entries: Sequence[str]) -> str:
    """Return the first ten entries for a message, and how many there are beside them."""
    if not entries:
        return "no addresses"
    distinct = list(dict.fromkeys(entries))
    shown, hidden = distinct[:10], len(distinct) - 10
    return ", ".join(shown) + (f" and {hidden} more" if hidden > 0 else "")
