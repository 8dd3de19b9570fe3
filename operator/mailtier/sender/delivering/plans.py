"""What holds for an organization's messages at a server: found once for a version of its settings, not for each."""

import dataclasses

from mailtier.sender import ports, settings_source
from mailtier.sender.delivering import tries
from mailtier.sender.scheduling import lanes, schedule, standing
from mailtier.sender.secrets import credentials
from mailtier.sender.smtp.servers import destination_key
from mailtier.settings import effective


@dataclasses.dataclass(slots=True, eq=False, kw_only=True)
class DeliveryPlan:
    """How an organization's messages go to a server.

    Attributes:
        usable: The settings.
        server: As a snapshot tells it.
        version: Of the Secrets that they refer to.
        kept: Its credentials, as they were found in memory last.
    """

    usable: standing.Usable
    server: str
    version: str
    kept: credentials.Kept | None = None


@dataclasses.dataclass(slots=True, eq=False, kw_only=True)
class _Found:
    """What was found last for an organization, and of what."""

    organization: effective.OrganizationKey
    settings: effective.Effective | None = None
    target: destination_key.DestinationKey | None = None
    plan: DeliveryPlan | None = None


class DeliveryPlans:
    """The plans of all organizations that have messages.

    Args:
        settings: Effective settings of every organization; new ones are another object.
        passwords: Credentials.
    """

    def __init__(self, *, settings: settings_source.KnownSettings, passwords: credentials.CredentialStore) -> None:
        self._settings = settings
        self._passwords = passwords
        self._found: dict[ports.LaneKey, _Found] = {}

    def find(self, key: ports.LaneKey, target: destination_key.DestinationKey) -> DeliveryPlan | None:
        """Return how an organization's messages go to a server; None where its present settings do not say so."""
        found = self._found.get(key)
        if found is None:
            found = self._found[key] = _Found(organization=lanes.organization_of(key))
        settings = self._settings.get(found.organization)
        if settings is None or found.settings is not settings or found.target is not target:
            found.settings, found.target, found.plan = settings, target, self._make(settings, key, target)
        return found.plan

    def peek(self, plan: DeliveryPlan) -> credentials.Credentials | None:
        """Return credentials that need not be read anew; None where they have to be."""
        usable = plan.usable
        if usable.auth.secret is None and usable.auth.certificate is None:
            return credentials.ANONYMOUS
        if plan.kept is None or not plan.kept.is_in_force:
            plan.kept = self._passwords.kept(usable.auth, usable.endpoint)
        if plan.kept is None or not self._passwords.may_use(plan.kept, plan.version):
            return None
        return plan.kept.credentials

    def prune(self, waiting: schedule.Schedule) -> None:
        """Forget organizations without messages."""
        self._found = {key: found for key, found in self._found.items() if waiting.organization(key) is not None}

    @staticmethod
    def _make(
        settings: effective.Effective | None, key: ports.LaneKey, target: destination_key.DestinationKey
    ) -> DeliveryPlan | None:
        usable = standing.judge(destination_key.at(settings, target), key)
        if not isinstance(usable, standing.Usable) or usable.endpoint != target.endpoint:
            return None
        return DeliveryPlan(usable=usable, server=tries.server(usable), version=usable.auth.version)
