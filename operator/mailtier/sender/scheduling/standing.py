"""Whether an organization's messages may go now, judged from its settings alone; pure."""

import dataclasses
import datetime as dt
from typing import Final

from mailtier.api import prose, vocabulary
from mailtier.mail import classify, reasons
from mailtier.sender import ports
from mailtier.sender.scheduling import lanes, waits
from mailtier.settings import conditions, effective

_R: Final = reasons.DeliveryReason

MAXIMUM_LENGTH: Final = 1000
"""Characters of a message: the status of a Notification takes 1,024 for each recipient."""
DELETED_AFTER: Final = dt.timedelta(hours=1)
"""How long messages of an organization without settings are held: GitOps may replace the object."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Usable:
    """The settings may be used; with everything that they must have for that."""

    settings: effective.Effective
    endpoint: effective.Endpoint
    auth: effective.Auth
    from_: effective.From

    @property
    def payer(self) -> str | None:
        """The namespace whose share an opening takes (R15); None at the host's endpoint, where its own limits count."""
        is_host_s = self.endpoint.origin is vocabulary.Origin.HOST
        return None if is_host_s else self.settings.organization.namespace

    def witness(self, phase: classify.Phase) -> str | None:
        """Return whose it may be that the server fails in a phase; None where it is the host's."""
        is_host_s = phase is classify.Phase.AUTH and self.auth.origin is vocabulary.Origin.HOST
        # The host's own settings have no namespace.
        return None if is_host_s else self.settings.organization.namespace or None

    @property
    def has_own_login(self) -> bool:
        """Whether a session logs in with credentials that are not the host's."""
        is_anonymous = self.auth.mechanism is vocabulary.Mechanism.ANONYMOUS
        return not is_anonymous and self.auth.origin is not vocabulary.Origin.HOST

    @property
    def barred(self) -> str | None:
        """What forbids the settings where the endpoint is the host's server by another name; None for nothing."""
        findings = self.settings.by_address.findings
        return conditions.tell(findings[:1]) if findings else None

    def rates(self, there: effective.Effective | None = None) -> lanes.Rates:
        """Return how many messages a minute may go; the host's quota and rate are on the host's server alone.

        Args:
            there: The host's own settings, where the endpoint was found to be its server; None where it was not.
        """
        own, quota = self.settings.delivery.rate_per_minute, self.settings.quota.rate_per_minute
        most = there.delivery.rate_per_minute if there is not None else None
        return lanes.Rates(
            organization=min((rate for rate in (own, most) if rate is not None), default=None),
            namespace=quota if self.endpoint.is_host_s or there is not None else None,
        )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Released:
    """What came of letting an organization's messages be tried.

    Attributes:
        is_waiting: Whether there are any.
        held: What holds them all the same; None where nothing is known to.
        tries_login: Whether a login that was refused is tried once more.
        hastened: Recipients that were deferred until later, and are tried now.
    """

    is_waiting: bool
    held: waits.Wait | None = None
    tries_login: bool = False
    hastened: int = 0


def judge(settings: effective.Effective | None, lane: ports.LaneKey) -> Usable | waits.Wait:
    """Return whether the messages of a lane may go.

    Args:
        settings: The organization's effective settings; None where there are none.
        lane: With the uid of the namespace in which the messages were accepted.
    """
    if settings is None:
        return waits.Wait(
            reason=_R.ORGANIZATION_UNKNOWN,
            message=reasons.MEANINGS[_R.ORGANIZATION_UNKNOWN],
            ends_with=waits.WaitEnd.PERSON,
            fails_after=DELETED_AFTER,
            fails_with=_R.ORGANIZATION_DELETED,
        )
    if settings.namespace_uid != lane.namespace_uid:
        # Another namespace has the name now; what was accepted for the former one is not its business (R11).
        return waits.Wait(
            reason=_R.NAMESPACE_DELETED,
            message=reasons.MEANINGS[_R.NAMESPACE_DELETED],
            ends_with=waits.WaitEnd.TIME,
            fails_after=dt.timedelta(0),
            fails_with=_R.NAMESPACE_DELETED,
        )
    match settings.state:
        case effective.State.SUSPENDED:
            return waits.of(_R.SUSPENDED, waits.WaitEnd.PERSON)
        case effective.State.UNRESOLVED:
            return _held_by_findings(_R.SETTINGS_UNRESOLVED, settings, waits.WaitEnd.EVENT)
        case effective.State.BLOCKED:
            return _held_by_findings(_R.SETTINGS_BLOCKED, settings, waits.WaitEnd.PERSON)
        case effective.State.ACTIVE:
            if settings.endpoint is None or settings.auth is None or settings.from_ is None:
                return _held_by_findings(_R.SETTINGS_BLOCKED, settings, waits.WaitEnd.PERSON)
            return Usable(settings=settings, endpoint=settings.endpoint, auth=settings.auth, from_=settings.from_)


def _held_by_findings(
    reason: reasons.DeliveryReason, settings: effective.Effective, ends_with: waits.WaitEnd
) -> waits.Wait:
    wait = waits.of(reason, ends_with)
    if not settings.findings:
        return wait
    # The operator wrote the findings for whoever reads the organization's status: of what is the host's, they say so
    # and name nothing (R7).
    found = ", ".join(dict.fromkeys(finding.reason.name for finding in settings.findings))
    told = prose.sentences(prose.continued(wait.message, found), conditions.tell(settings.findings[:1]))
    return dataclasses.replace(wait, message=prose.shortened(told, MAXIMUM_LENGTH))
