"""Knows the host's server by its addresses, and keeps away from it whom the host's rules keep away (R3).

The operator knows the server's name in every spelling; that another name leads there, only DNS tells. What holds there
the operator decides as well (`effective.ByAddress`); here is seen whether it is there.
"""

import asyncio
import dataclasses
import datetime as dt
import json
from collections.abc import Sequence
from typing import Final

from mailtier.api import prose, vocabulary
from mailtier.mail import classify
from mailtier.sender import clock
from mailtier.sender.net import faults, resolver
from mailtier.sender.secrets import credentials, logins
from mailtier.settings import effective, endpoints, networks
from mailtier.telemetry import logs

_REMEMBERED: Final = dt.timedelta(days=7)
"""How long the last known addresses serve while DNS does not answer."""

_SHUFFLED: Final = dt.timedelta(hours=1)
"""Answers of the same name within that time count together: a relay may have more addresses than one answer holds."""

_AGAIN_SECONDS: Final = 30.0
"""How often DNS is asked while it does not answer; others do not wait for it meanwhile."""

_MEMORY: Final = "relays.host"
FALLBACK_MEMORY: Final = "relays.host.fallback"

_log = logs.get_logger(__name__)


class HostAddresses:
    """The addresses of the host's server: as DNS says now, or as it said last.

    Args:
        names: Resolves its name.
        time: Clocks.
        memory: Where they are kept for the next process.
        kept_as: Under which name.
    """

    def __init__(
        self, names: resolver.Resolver, time: clock.Clock, memory: logins.Memory, *, kept_as: str = _MEMORY
    ) -> None:
        self._names = names
        self._clock = time
        self._memory = memory
        self._kept_as = kept_as
        self._server: str | None = None
        self._seen: dict[str, dt.datetime] = {}
        self._ask_at = float("-inf")
        self._kept_at: dt.datetime | None = None
        self._lock = asyncio.Lock()

    async def of(self, relay: effective.Endpoint) -> frozenset[str] | None:
        """Return the addresses of the host's server; None where they are not known."""
        async with self._lock:
            if relay.host != self._server:
                await self._recall(relay.host)
            if self._clock.monotonic() >= self._ask_at:
                await self._ask(relay)
            return self._known()

    def _known(self) -> frozenset[str] | None:
        if not self._seen:
            return None
        last = max(self._seen.values())
        if self._clock.wall() - last > _REMEMBERED:
            return None
        return frozenset(address for address, at in self._seen.items() if last - at <= _SHUFFLED)

    async def _ask(self, relay: effective.Endpoint) -> None:
        try:
            found = await self._names.resolve(relay.host, relay.addresses, payer=None)
        except faults.DeliveryError as error:
            self._ask_at = self._clock.monotonic() + _AGAIN_SECONDS
            _log.warning("the host's server is compared by its last known addresses", reason=error.failure.reason)
            return
        now = self._clock.wall()
        self._ask_at = self._clock.monotonic() + found.ttl_seconds
        before = self._known()
        kept = {address: at for address, at in self._seen.items() if now - at <= _SHUFFLED}
        self._seen = kept | {address.literal: now for address in found.addresses}
        if self._known() != before or self._kept_at is None or now - self._kept_at > _SHUFFLED:
            await self._keep()

    async def _keep(self) -> None:
        self._kept_at = self._clock.wall()
        seen = {address: at.isoformat() for address, at in self._seen.items()}
        try:
            await self._memory.remember(self._kept_as, json.dumps({"host": self._server, "seen": seen}))
        except Exception as error:  # noqa: BLE001 - mail goes on without it.
            _log.warning("the addresses of the host's server could not be kept", error=type(error).__name__)

    async def _recall(self, server: str) -> None:
        self._server, self._seen, self._ask_at = server, {}, float("-inf")
        try:
            kept = json.loads(await self._memory.recall(self._kept_as) or "{}")
            if kept.get("host") == server:
                self._seen = {address: dt.datetime.fromisoformat(at) for address, at in kept["seen"].items()}
        except Exception as error:  # noqa: BLE001 - whatever it is, DNS is asked next.
            _log.warning("the addresses of the host's server could not be read", error=type(error).__name__)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Lead:
    """Where an endpoint leads.

    Attributes:
        addresses: Which of its addresses are to be used: on the host's server the host's alone, or a name that has
            another besides could hold the host's connections there.
        is_host_s: Whether it is the host's server by another name.
    """

    addresses: Sequence[resolver.Address]
    is_host_s: bool


async def find(
    endpoint: effective.Endpoint,
    addresses: Sequence[resolver.Address],
    *,
    found: credentials.Credentials,
    barred: str | None,
    host: effective.Effective | None,
    known: HostAddresses,
) -> Lead:
    """Return whether an endpoint of an organization is the host's server, by its addresses.

    Where it names that server as the host does, the operator has judged it. The port does not count: a server trusts
    addresses on all of its ports, and has its accounts there.

    Args:
        endpoint: Where a session is about to be opened.
        addresses: To what its name resolved.
        found: What the session is authenticated with.
        barred: What forbids the settings on the host's server; None for nothing.
        host: The host's own effective settings; None where there are none.
        known: The addresses of the host's server.

    Raises:
        faults.DeliveryError: It is the host's, and may not be used with these settings (HostRelay, HostServer), or it
            could not be compared and brings no credentials (HostRelayUnknown).
    """
    relay = host.endpoint if host is not None else None
    elsewhere = Lead(addresses=addresses, is_host_s=False)
    if relay is None or endpoint.origin is not vocabulary.Origin.ORG:
        return elsewhere
    if endpoints.are_same_host(endpoint.host, relay.host):
        return elsewhere
    is_anonymous = found.generation.mechanism is vocabulary.Mechanism.ANONYMOUS
    theirs = await known.of(relay)
    if theirs is None:
        if is_anonymous:
            # What is wrong with the host's server is neither this endpoint's fault nor its owner's to read (R7).
            raise faults.of(classify.Phase.CONNECT, classify.Fault.HOST_RELAY_UNKNOWN)
        return elsewhere
    shared = [one for one in addresses if any(networks.are_same(one.literal, other) for other in theirs)]
    if not shared:
        return elsewhere
    if is_anonymous:
        raise faults.of(classify.Phase.CONNECT, classify.Fault.HOST_RELAY)
    if barred is not None:
        failure = classify.classify_fault(classify.Phase.CONNECT, classify.Fault.HOST_SERVER)
        told = prose.continued(failure.text, barred)
        raise faults.DeliveryError(classify.Phase.CONNECT, dataclasses.replace(failure, text=told))
    return Lead(addresses=shared, is_host_s=True)
