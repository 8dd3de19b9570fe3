"""What is probed: settings that share a probe key, and whether anything is connected to with them."""

import asyncio
import dataclasses
import datetime as dt
from collections.abc import Iterator
from typing import Final

from mailtier.api import doubling, feed, prose, reasons, vocabulary
from mailtier.mail import reasons as delivery_reasons
from mailtier.sender import ports
from mailtier.sender.probing import probe, trace
from mailtier.sender.scheduling import standing, waits
from mailtier.sender.smtp.servers import routing
from mailtier.settings import effective

AS_READ: Final = "That is what the operator read last; it reads again within 15 seconds, so ask once more after that."
"""What is said with what may be mended already."""
OF_THE_HOST: Final = (
    "The login is the host's: only the platform team may have it tried again, with `mailtier verify --host --again`."
)
GOOD_SECONDS: Final = 1800.0
_FAILING: Final = doubling.Backoff(first=dt.timedelta(minutes=1), most=dt.timedelta(minutes=10))
LONGEST_FAILING_SECONDS: Final = _FAILING.most.total_seconds()


class NotProbeableError(Exception):
    """Nothing is connected to with these settings; the text says why."""


class StartingError(Exception):
    """It is not known yet what earlier processes learned of refused credentials."""


@dataclasses.dataclass(slots=True, kw_only=True)
class Target:
    """One probe key.

    Attributes:
        users: The organizations whose settings have the key; any of them stands for all.
        seen_version: The Secret's version as the operator published it last.
        failures: How often in a row it failed.
        told: The stages of the probe under way, or of the last one.
        is_fresh: Whether somebody asked for it, so that the Secret is read anew.
        is_again: Whether somebody asked that a login which was refused be tried once more.
        is_new: Whether nobody was told yet what became of a change: of the settings, or of the Secret.
        editors: The namespaces whose own edits wait for the next probe; none where it is the host's change that does.
    """

    key: str
    users: dict[effective.OrganizationKey, None] = dataclasses.field(default_factory=dict)
    seen_version: str = ""
    last_at: float = float("-inf")
    failures: int = 0
    running: asyncio.Task[None] | None = None
    is_fresh: bool = False
    is_again: bool = False
    told: trace.Trace = dataclasses.field(default_factory=trace.Trace)
    is_new: bool = True
    editors: dict[str, None] = dataclasses.field(default_factory=dict)

    @property
    def namespace(self) -> str:
        """The namespace that alone uses the key; "" where several do, or the host itself."""
        namespaces = {user.namespace for user in self.users}
        return namespaces.pop() if len(namespaces) == 1 else ""

    @property
    def is_host_s_own(self) -> bool:
        """Whether the host's own settings have the key, for one of its servers."""
        return any(not user.namespace for user in self.users)

    def pause_after(self, result: feed.Probe | None) -> float:
        """Return for how many seconds a result stands, or its absence, and count failures in a row."""
        if result is not None and result.reason in {reasons.VERIFIED.name, *probe.REFUSED}:
            # Refused credentials stay refused: another probe would find nothing new.
            self.failures = 0
            return GOOD_SECONDS
        self.failures += 1
        pause = _FAILING.ceiling(self.failures).total_seconds()
        # While the fallback is in use, this is the trial that decides when the first server is used again.
        is_away = result is not None and result.fallback_since is not None
        return min(pause, routing.TRIAL_SECONDS) if is_away else pause


def login(settings: effective.Effective) -> tuple[object, ...] | None:
    """Return what a password or token is sent with, and where; None where nothing is sent."""
    at, auth = settings.endpoint, settings.auth
    return None if at is None or auth is None else (at.host, at.port, auth.mechanism, auth.identity, auth.oauth2)


class Targets:
    """What is probed, and for whom: organizations whose settings have the same probe key share it."""

    def __init__(self) -> None:
        self._targets: dict[str, Target] = {}
        self._keys: dict[effective.OrganizationKey, str] = {}
        self._said: dict[effective.OrganizationKey, tuple[object, ...]] = {}

    def __contains__(self, key: object) -> bool:
        return key in self._targets

    def __iter__(self) -> Iterator[Target]:
        return iter(list(self._targets.values()))

    def get(self, key: str) -> Target | None:
        """Return what has a probe key; None where nobody's settings have it."""
        return self._targets.get(key)

    def of(self, organization: effective.OrganizationKey) -> Target | None:
        """Return what is probed for an organization; None where nothing is."""
        return self._targets.get(self._keys.get(organization, ""))

    def note_own(self, organization: effective.OrganizationKey, usable: standing.Usable) -> bool:
        """Note what an organization says itself of what is probed; return whether it said something else before."""
        said = _own(usable)
        is_edit = self._said.get(organization) != said
        self._said[organization] = said
        return is_edit

    def join(self, organization: effective.OrganizationKey, key: str) -> Target:
        """Return what has a probe key, from now on for this organization too."""
        self._keys[organization] = key
        target = self._targets.setdefault(key, Target(key=key))
        target.users[organization] = None
        return target

    def leave(self, organization: effective.OrganizationKey, key: str | None) -> str | None:
        """Take an organization away from its former key where that is another one; return it if nobody has it now."""
        former = self._keys.get(organization)
        if former is None or former == key:
            return None
        del self._keys[organization]
        if key is None:
            del self._said[organization]
        target = self._targets[former]
        target.users.pop(organization, None)
        if target.users:
            if organization.namespace in target.editors and not any(
                user.namespace == organization.namespace for user in target.users
            ):
                del target.editors[organization.namespace]
            return None
        del self._targets[former]
        return former


def usable(settings: effective.Effective | None) -> standing.Usable | None:
    """Return settings that may be used; None where nothing is connected to with them."""
    if settings is None:
        return None
    judged = standing.judge(settings, ports.LaneKey.of(settings))
    return judged if isinstance(judged, standing.Usable) else None


def _own(usable: standing.Usable) -> tuple[object, ...]:
    """Return what of a probe key, and of the Secret, is an organization's own: the rest changes by the host's doing."""
    settings, org = usable.settings, vocabulary.Origin.ORG
    path = "from.envelope"
    if settings.provenance.get(path) is vocabulary.Origin.DEFAULT:
        # It is the From address then.
        path = "from.address"
    is_host_s_sender = settings.provenance.get(path) is vocabulary.Origin.HOST
    return (
        usable.endpoint if usable.endpoint.origin is org else None,
        usable.auth if usable.auth.origin is org else None,
        None if is_host_s_sender else usable.from_.envelope,
    )


def why_not(settings: effective.Effective | None) -> str:
    """Return why nothing is connected to with settings."""
    judged = standing.judge(settings, ports.LaneKey.of(settings)) if settings is not None else None
    if not isinstance(judged, waits.Wait):
        return reasons.NOT_PROBED.meaning
    is_fresh = judged.reason is not delivery_reasons.DeliveryReason.SETTINGS_UNRESOLVED
    return judged.message if is_fresh else prose.sentences(judged.message, AS_READ)
