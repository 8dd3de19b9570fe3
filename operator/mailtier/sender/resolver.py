"""Names to addresses that may be connected to (R6): resolved once, checked, and handed on as addresses.

The system's resolver runs in a thread pool, where a handful of names whose servers do not answer stall every other
lookup; c-ares asks for all of them at the same time. It reads /etc/hosts and /etc/resolv.conf like the system's.
"""

import asyncio
import dataclasses
import socket
from typing import Final, Self

import aiodns

from mailtier.mail import classify
from mailtier.sender import faults
from mailtier.settings import effective, networks

_LOOKUP_SECONDS: Final = 5.0
_QUERY_SECONDS: Final = 2.0
_TRIES: Final = 2
_CONCURRENT_LOOKUPS: Final = 200
_MAXIMUM_ADDRESSES: Final = 16
"""A name with more is answered in part; no relay needs them, and each may cost a connection attempt."""

_SHORTEST_TTL_SECONDS: Final = 5
_LONGEST_TTL_SECONDS: Final = 300


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """An address that was checked.

    Attributes:
        family: AF_INET or AF_INET6.
        host: In its text form, never a name.
    """

    family: socket.AddressFamily
    host: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedName:
    """The addresses of a name that the rules permit.

    Attributes:
        addresses: At least one, in the order of preference.
        ttl_seconds: How long they may be used.
    """

    addresses: tuple[Address, ...]
    ttl_seconds: int


class Resolver:
    """Asks the cluster's DNS, with limits and a time-out of its own.

    Args:
        nameservers: `address` or `address:port` instead of those in /etc/resolv.conf.
    """

    def __init__(self, *, nameservers: tuple[str, ...] | None = None) -> None:
        self._dns = aiodns.DNSResolver(nameservers=nameservers, timeout=_QUERY_SECONDS, tries=_TRIES)
        self._slots = asyncio.Semaphore(_CONCURRENT_LOOKUPS)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Give up what is under way."""
        await self._dns.close()

    async def resolve(self, host: str, rules: effective.AddressRules) -> ResolvedName:
        """Return the permitted addresses of a name; an IP address stands for itself.

        Raises:
            faults.DeliveryError: It has none (NameNotResolved), or none that is permitted (AddressDenied).
        """
        found = await self._look_up(host)
        permitted = [address for address, _ in found if networks.permitted(address.host, rules)]
        if not found:
            raise faults.of(classify.Phase.CONNECT, classify.Fault.NAME_NOT_RESOLVED)
        if not permitted:
            raise faults.of(classify.Phase.CONNECT, classify.Fault.ADDRESS_DENIED)
        ttl = min(ttl for _, ttl in found)
        return ResolvedName(
            addresses=tuple(dict.fromkeys(permitted))[:_MAXIMUM_ADDRESSES],
            ttl_seconds=max(_SHORTEST_TTL_SECONDS, min(ttl, _LONGEST_TTL_SECONDS)),
        )

    async def _look_up(self, host: str) -> list[tuple[Address, int]]:
        try:
            async with asyncio.timeout(_LOOKUP_SECONDS), self._slots:
                answer = await self._dns.getaddrinfo(host, family=socket.AF_UNSPEC, type=socket.SOCK_STREAM)
        except (aiodns.error.DNSError, TimeoutError):
            return []
        return [
            (Address(family=socket.AddressFamily(node.family), host=node.addr[0].decode("ascii")), node.ttl)
            for node in answer.nodes
            if node.family in {socket.AF_INET, socket.AF_INET6}
        ]
