"""When the sender may begin its own next probe of a target, and whose budget that takes (R7)."""

import datetime as dt
from collections.abc import Callable
from typing import Final

from mailtier.api import vocabulary
from mailtier.sender import clock, settings_source
from mailtier.sender.probing import budget, targets
from mailtier.sender.scheduling import standing
from mailtier.settings import effective

AGAIN_SECONDS: Final = 5.0
"""Two probes of the host's endpoint with the same settings are at least so far apart, however many ask."""


class ProbeLimits:
    """Limits of probes that nobody asked for.

    Args:
        settings: Effective settings.
        left: What each namespace has left.
        owns: Whether this sender may connect to the server of settings.
    """

    def __init__(
        self,
        settings: settings_source.KnownSettings,
        left: budget.ProbeBudget,
        owns: Callable[[effective.Effective], bool],
    ) -> None:
        self._settings = settings
        self._budget = left
        self._owns = owns

    def allowed_at(self, target: targets.Target, now: float) -> float:
        """Return when the sender may begin its own next probe."""
        payer, earliest = self.payer(target, now), target.last_at + AGAIN_SECONDS
        if payer is None:
            return earliest
        allowed_at = self._budget.own_allowed_at(payer, now)
        return allowed_at if self.is_own(target) else max(allowed_at, earliest)

    def payer(self, target: targets.Target, now: float) -> str | None:
        """Return the namespace whose budget the sender's own next probe takes (R7); None where it takes none.

        At the host's endpoint that is one whose edit it follows, and may have it first; else the host has it probed.
        """
        usable = self.usable(target)
        if usable is None or target.is_host_s_own:
            return None
        if usable.endpoint.origin is vocabulary.Origin.ORG:
            return usable.settings.organization.namespace
        return min(target.editors, key=lambda each: self._budget.own_allowed_at(each, now), default=None)

    def is_own(self, target: targets.Target) -> bool:
        """Return whether an endpoint is an organization's own."""
        usable = self.usable(target)
        return usable is not None and usable.endpoint.origin is vocabulary.Origin.ORG

    def has_own_login(self, target: targets.Target) -> bool:
        """Return whether credentials are an organization's own."""
        usable = self.usable(target)
        return usable is not None and usable.auth.origin is vocabulary.Origin.ORG

    def next_at(self, target: targets.Target, time: clock.Clock) -> dt.datetime | None:
        """Return when the namespace that alone is told may have its next probe; None where at once."""
        now = time.monotonic()
        allowed_at = self._budget.allowed_at(target.namespace, now) if target.namespace else now
        return time.wall_at(allowed_at) if allowed_at > now else None

    def is_mine(self, target: targets.Target) -> bool:
        """Return whether this sender may connect to a target's server."""
        usable = self.usable(target)
        return usable is not None and self._owns(usable.settings)

    def usable(self, target: targets.Target) -> standing.Usable | None:
        """Return the settings of any user that still has the key."""
        for organization in target.users:
            return targets.usable(settings_source.find(self._settings, organization))
        return None
