"""What deliveries were told against settings where no probe gets to, so that Verified does not praise them; pure.

A probe stops at MAIL, and some servers say at RCPT or at the dot that they take nothing from this client or sender.
"""

import collections
import dataclasses
import datetime as dt
from collections.abc import Iterable
from typing import Final

from mailtier.api import feed, vocabulary
from mailtier.mail import classify
from mailtier.sender.probing import probe
from mailtier.sender.scheduling import standing

LASTING_SECONDS: Final = 3600.0
"""A held lane is tried every 15 minutes: after four trials that did not come, nobody knows any more."""

_NAMESPACES: Final = 2
"""What is said of the host's server concerns all who inherit it, and one tenant chooses his recipients (R15)."""

LARGEST_SHARE: Final = 256
"""Accusations that one namespace may have begun at a time: each change of a From makes another key (R15)."""


@dataclasses.dataclass(slots=True, kw_only=True)
class Accusation:
    """What deliveries with one probe key were told.

    Attributes:
        payer: The namespace that was told so first, in whose share it is.
        until: When it is forgotten, unless it is said again; seconds of the monotonic clock.
        namespaces: Whose deliveries were told so.
        is_told: Whether Verified says so.
    """

    failure: classify.Failure
    secret_version: str
    payer: str
    until: float = 0.0
    namespaces: set[str] = dataclasses.field(default_factory=set)
    is_told: bool = False

    def as_probe(self, key: str, usable: standing.Usable, known: feed.Probe | None, *, at: dt.datetime) -> feed.Probe:
        """Return it as Verified tells it, with what a probe found of the certificate."""
        finding = probe.ProbeResult(
            server=usable.endpoint.host,
            endpoint=str(usable.endpoint),
            secret_version=self.secret_version,
            phase=classify.Phase.MAIL,
            failure=self.failure,
            certificate_expires_at=known.certificate_expires_at if known else None,
        )
        return probe.accusation(key, finding, at=at)


class Accusations:
    """All of them, by probe key, in the order in which they are forgotten. Times are seconds of a monotonic clock."""

    def __init__(self) -> None:
        self._known: collections.OrderedDict[str, Accusation] = collections.OrderedDict()
        self._shares: collections.Counter[str] = collections.Counter()

    def __len__(self) -> int:
        return len(self._known)

    def note(
        self,
        key: str,
        usable: standing.Usable,
        failure: classify.Failure,
        *,
        secret_version: str,
        users: Iterable[str],
        now: float,
    ) -> Accusation | None:
        """Note what a delivery was told; return it where Verified is to say so from now on.

        Args:
            key: The probe key of the settings.
            usable: The settings.
            failure: What the delivery was told.
            secret_version: Of the Secret that it authenticated with; "" without one.
            users: The namespaces that use the key, the host's own settings as "".
            now: Seconds of the monotonic clock.
        """
        self._sweep(now)
        namespace = usable.settings.organization.namespace
        known = self._known.get(key)
        if known is None or known.failure.reason is not failure.reason or known.secret_version != secret_version:
            self._forget(key)
            if self._shares[namespace] >= LARGEST_SHARE:
                return None
            known = Accusation(failure=failure, secret_version=secret_version, payer=namespace)
            self._known[key] = known
            self._shares[namespace] += 1
        known.until = now + LASTING_SECONDS
        self._known.move_to_end(key)
        known.namespaces.add(namespace)
        is_shared = usable.endpoint.origin is not vocabulary.Origin.ORG
        others = set(users) - known.namespaces - {""}
        if known.is_told or (is_shared and others and len(known.namespaces) < _NAMESPACES):
            return None
        known.is_told = True
        return known

    def standing(self, key: str, *, secret_version: str, now: float) -> Accusation | None:
        """Return what Verified goes on to say though a probe found nothing; None where there is nothing."""
        known = self._known.get(key)
        if known is None:
            return None
        if known.until <= now or known.secret_version != secret_version:
            self._forget(key)
            return None
        return known if known.is_told else None

    def end(self, key: str) -> bool:
        """Forget what was said, as a server took a message or nobody uses the key; return whether Verified said so."""
        known = self._forget(key)
        return known is not None and known.is_told

    def _sweep(self, now: float) -> None:
        while self._known:
            key, oldest = next(iter(self._known.items()))
            if oldest.until > now:
                return
            self._forget(key)

    def _forget(self, key: str) -> Accusation | None:
        known = self._known.pop(key, None)
        if known is not None:
            self._shares[known.payer] -= 1
            if not self._shares[known.payer]:
                del self._shares[known.payer]
        return known
