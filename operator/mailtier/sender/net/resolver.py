"""Names to addresses that may be connected to (R6): resolved once, checked, and handed on as addresses.

The system's resolver runs in a thread pool, where a handful of names whose servers do not answer stall every other
lookup; c-ares asks for all of them at the same time. It reads /etc/hosts and /etc/resolv.conf like the system's, but
for the search list: every name is absolute. A pod's list has `ndots:5`, so that `relay.corp.example` would first be
asked for as `relay.corp.example.svc.cluster.local`, which belongs to whoever owns the namespace `example`.
"""

import asyncio
import contextlib
import dataclasses
import ipaddress
import pathlib
import socket
from collections.abc import Sequence
from typing import Final, Self

import aiodns
import pycares

from mailtier.mail import classify
from mailtier.sender.net import faults, shares
from mailtier.settings import effective, networks

_LOOKUP_SECONDS: Final = 5.0
_QUERY_SECONDS: Final = 2.0
_TRIES: Final = 2
_CONCURRENT: Final = 200
_CONCURRENT_PER_NAMESPACE: Final = 20
"""As many as it may have openings and requests for tokens, which are what lookups are made for."""

_MAXIMUM_ADDRESSES: Final = 16
"""A name with more is answered in part; no relay needs them, and each may cost a connection attempt."""

_MAXIMUM_SEARCHED: Final = 6
"""Domains of the search list that are asked to tell why a name was not found; glibc had no more for decades."""

_SEARCH_SECONDS: Final = 2.0
"""For that, once it is known that the name is not there: whether they answer changes nothing in that."""

CONFIGURATION: Final = pathlib.Path("/etc/resolv.conf")
_NOT_THERE: Final = frozenset({pycares.errno.ARES_ENOTFOUND, pycares.errno.ARES_ENODATA})
"""The answers that a name does not exist, and that it has no address; anything else is a fault of name servers."""

_UNANSWERED: Final = (
    "The SMTP server's name could not be looked up: its name servers failed, or did not answer in time."
)

_SHORTEST_TTL_SECONDS: Final = 5
_LONGEST_TTL_SECONDS: Final = 300


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """An address that was checked.

    Attributes:
        family: AF_INET or AF_INET6.
        literal: In its text form, never a name.
    """

    family: socket.AddressFamily
    literal: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedName:
    """The addresses of a name that the rules permit.

    Attributes:
        addresses: At least one, in the order of preference.
        ttl_seconds: How long they may be used.
    """

    addresses: tuple[Address, ...]
    ttl_seconds: int


class _NotFoundError(Exception):
    """There is no such name, or it has no address: the word of those who must know."""


class Resolver:
    """Asks the cluster's DNS, with limits and a time-out of its own.

    Args:
        nameservers: `address` or `address:port` instead of the machine's.
        configuration: The machine's resolv.conf, whose search list is only told of.
    """

    def __init__(
        self, *, nameservers: tuple[str, ...] | None = None, configuration: pathlib.Path = CONFIGURATION
    ) -> None:
        self._dns = aiodns.DNSResolver(
            nameservers=nameservers,
            timeout=_QUERY_SECONDS,
            tries=_TRIES,
            # No option that is text: pycares 5 hands c-ares a pointer to text that is already freed, and with such a
            # path of resolv.conf now and then 127.0.0.1 was asked, for as long as the process lived.
            flags=pycares.ARES_FLAG_NOSEARCH | pycares.ARES_FLAG_NOALIASES,
        )
        self._configuration = configuration
        self._shares = shares.Shares("lookups", total=_CONCURRENT, each=_CONCURRENT_PER_NAMESPACE)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Give up what is under way."""
        await self._dns.close()

    async def resolve(self, name: str, rules: effective.AddressRules, *, payer: str | None) -> ResolvedName:
        """Return the permitted addresses of a name; an IP address stands for itself.

        Args:
            name: An absolute name, with or without its final dot.
            rules: Which addresses it may have.
            payer: The namespace whose share it takes (R15); None for the host.

        Raises:
            faults.DeliveryError: It has none (NameNotResolved; NameNotAbsolute where a search list would find it), or
                none that is permitted (AddressDenied).
        """
        found = _literal(name)
        if not found:
            # Waiting for a slot is not the name servers' time.
            with await self._shares.take(payer):
                found = await self._find(name.rstrip("."))
        permitted = [address for address, _ in found if networks.permitted(address.literal, rules)]
        if not permitted:
            raise faults.of(classify.Phase.CONNECT, classify.Fault.ADDRESS_DENIED)
        ttl = min(ttl for _, ttl in found)
        return ResolvedName(
            addresses=tuple(dict.fromkeys(permitted))[:_MAXIMUM_ADDRESSES],
            ttl_seconds=max(_SHORTEST_TTL_SECONDS, min(ttl, _LONGEST_TTL_SECONDS)),
        )

    async def _find(self, name: str) -> list[tuple[Address, int]]:
        """Return all addresses of a name.

        Raises:
            faults.DeliveryError: It has none.
        """
        fault, text, whole = classify.Fault.NAME_NOT_RESOLVED, None, None
        try:
            async with asyncio.timeout(_LOOKUP_SECONDS):
                return await self._look_up(name)
        except _NotFoundError:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_SEARCH_SECONDS):
                    whole = await self._search(name)
        except (aiodns.error.DNSError, TimeoutError):
            text = _UNANSWERED
        if whole is not None:
            fault = classify.Fault.NAME_NOT_ABSOLUTE
            text = f"{name} is no whole name, and is looked up as it stands; write {whole}, if that is what is meant."
        raise faults.of(classify.Phase.CONNECT, fault, text=text)

    async def _look_up(self, name: str) -> list[tuple[Address, int]]:
        """Return all addresses of a name.

        Raises:
            _NotFoundError: There are none.
            aiodns.error.DNSError: Nobody knows.
        """
        try:
            answer = await self._dns.getaddrinfo(name, family=socket.AF_UNSPEC, type=socket.SOCK_STREAM)
        except aiodns.error.DNSError as error:
            if error.args[0] in _NOT_THERE:
                raise _NotFoundError from None
            raise
        found = [
            (Address(family=socket.AddressFamily(node.family), literal=node.addr[0].decode("ascii")), node.ttl)
            for node in answer.nodes
            if node.family in {socket.AF_INET, socket.AF_INET6}
        ]
        if not found:
            raise _NotFoundError
        return found

    async def _search(self, name: str) -> str | None:
        """Return the whole name that a search list would have made of a name that is not there; it is only told."""
        for domain in search_list(self._read_configuration())[:_MAXIMUM_SEARCHED]:
            whole = f"{name}.{domain}"
            try:
                await self._look_up(whole)
            except (_NotFoundError, aiodns.error.DNSError):
                continue
            return whole
        return None

    def _read_configuration(self) -> str:
        try:
            return self._configuration.read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""


def _literal(name: str) -> list[tuple[Address, int]]:
    """Return the address that a name is, which no lookup may fail for: the host's server is known by it (R3)."""
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return []
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6  # noqa: PLR2004 - IPv4.
    return [(Address(family=family, literal=name), _LONGEST_TTL_SECONDS)]


def search_list(configuration: str) -> Sequence[str]:
    """Return the domains of a resolv.conf's search list; of several lines the last counts, as resolv.conf(5) says."""
    domains: Sequence[str] = ()
    for line in configuration.splitlines():
        match line.split():
            case ["search" | "domain", *named]:
                domains = [domain.strip(".") for domain in named if domain.strip(".")]
    return domains
