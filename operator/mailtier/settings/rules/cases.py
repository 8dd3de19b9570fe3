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
    """

    viewer: vocabulary.Origin
    organization: effective.OrganizationKey
    namespace_labels: Mapping[str, str]
    host: settings.HostSpec | None
    org: settings.OrgSpec
    invalid: observed.Invalid | None
    host_invalid: bool
    values: tiers.Values

    @property
    def policy(self) -> policies.Policy | None:
        """The host's policy; None for its defaults."""
        return self.host.policy if self.host else None


Check = Callable[[Case], effective.Finding | None]
"""A rule: what it finds, or None."""


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
