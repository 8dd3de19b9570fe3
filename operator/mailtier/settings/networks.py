"""Which addresses may be connected to (R6): a table of our own, after unwrapping IPv4 inside IPv6.

`ipaddress.is_global` and its relatives are not relied on: what they answer differs between Python versions, on
3.11 they do not look into IPv4-mapped addresses, on none into NAT64, and they know nothing of metadata services.
"""

import dataclasses
import enum
import functools
import ipaddress
from collections.abc import Callable
from typing import Final

from mailtier.settings import effective

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class AddressUse(enum.StrEnum):
    """What an address is for."""

    PUBLIC = "public"
    PRIVATE = "private"
    SHARED = "shared with the provider"
    BENCHMARK = "benchmarking"
    LOOPBACK = "loopback"
    LINK_LOCAL = "link-local"
    METADATA = "cloud metadata"
    UNSPECIFIED = "unspecified"
    MULTICAST = "multicast"
    DOCUMENTATION = "documentation"
    RESERVED = "reserved"


INTERNAL: Final = frozenset({AddressUse.PRIVATE, AddressUse.SHARED, AddressUse.BENCHMARK})
"""Networks that a platform's own servers stand in; labs and service meshes use the benchmarking one."""


@dataclasses.dataclass(frozen=True, slots=True)
class Range:
    """A range of addresses with one purpose.

    Attributes:
        source: RFC, registry or manual that says so.
    """

    network: _Network
    kind: AddressUse
    source: str


def _ranges(*rows: tuple[str, AddressUse, str]) -> tuple[Range, ...]:
    ranges = (Range(ipaddress.ip_network(network), kind, source) for network, kind, source in rows)
    return tuple(sorted(ranges, key=lambda entry: -entry.network.prefixlen))


# Most specific first; the first that holds an address decides.
RANGES_V4: Final = _ranges(
    ("0.0.0.0/0", AddressUse.PUBLIC, "IANA IPv4 Address Space Registry"),
    ("0.0.0.0/8", AddressUse.UNSPECIFIED, "RFC 1122 section 3.2.1.3; Linux connects 0.0.0.0 to loopback"),
    ("10.0.0.0/8", AddressUse.PRIVATE, "RFC 1918"),
    ("100.64.0.0/10", AddressUse.SHARED, "RFC 6598"),
    ("100.100.100.200/32", AddressUse.METADATA, "Alibaba Cloud instance metadata"),
    ("127.0.0.0/8", AddressUse.LOOPBACK, "RFC 1122 section 3.2.1.3"),
    ("168.63.129.16/32", AddressUse.METADATA, "Azure platform address (WireServer)"),
    ("169.254.0.0/16", AddressUse.LINK_LOCAL, "RFC 3927"),
    ("169.254.169.254/32", AddressUse.METADATA, "AWS, Azure, Google Cloud, OpenStack and others"),
    ("169.254.170.2/32", AddressUse.METADATA, "Amazon ECS task credentials"),
    ("169.254.170.23/32", AddressUse.METADATA, "Amazon EKS Pod Identity credentials"),
    ("172.16.0.0/12", AddressUse.PRIVATE, "RFC 1918"),
    ("192.0.0.0/24", AddressUse.RESERVED, "RFC 6890 section 2.1"),
    ("192.0.0.192/32", AddressUse.METADATA, "Oracle Cloud instance metadata"),
    ("192.0.2.0/24", AddressUse.DOCUMENTATION, "RFC 5737"),
    ("192.88.99.0/24", AddressUse.RESERVED, "RFC 7526 (6to4 relays, deprecated)"),
    ("192.168.0.0/16", AddressUse.PRIVATE, "RFC 1918"),
    ("198.18.0.0/15", AddressUse.BENCHMARK, "RFC 2544"),
    ("198.51.100.0/24", AddressUse.DOCUMENTATION, "RFC 5737"),
    ("203.0.113.0/24", AddressUse.DOCUMENTATION, "RFC 5737"),
    ("224.0.0.0/4", AddressUse.MULTICAST, "RFC 5771"),
    ("240.0.0.0/4", AddressUse.RESERVED, "RFC 1112 section 4; 255.255.255.255: RFC 919"),
)
RANGES_V6: Final = _ranges(
    # Only 2000::/3 is given out as global unicast; whatever no row names is not ours to connect to.
    ("::/0", AddressUse.RESERVED, "RFC 4291 section 2.4"),
    ("2000::/3", AddressUse.PUBLIC, "IANA IPv6 Global Unicast Address Assignments"),
    ("::/128", AddressUse.UNSPECIFIED, "RFC 4291 section 2.5.2; Linux connects it to loopback"),
    ("::1/128", AddressUse.LOOPBACK, "RFC 4291 section 2.5.3"),
    ("100::/64", AddressUse.RESERVED, "RFC 6666 (discard)"),
    ("2001::/23", AddressUse.RESERVED, "RFC 2928 (protocol assignments, with Teredo: RFC 4380, and ORCHID: RFC 7343)"),
    ("2001:2::/48", AddressUse.BENCHMARK, "RFC 5180"),
    ("2001:db8::/32", AddressUse.DOCUMENTATION, "RFC 3849"),
    ("3fff::/20", AddressUse.DOCUMENTATION, "RFC 9637"),
    ("5f00::/16", AddressUse.RESERVED, "RFC 9602 (segment routing)"),
    ("fc00::/7", AddressUse.PRIVATE, "RFC 4193"),
    ("fd00:ec2::23/128", AddressUse.METADATA, "Amazon EKS Pod Identity credentials"),
    ("fd00:ec2::254/128", AddressUse.METADATA, "AWS instance metadata"),
    ("fd20:ce::254/128", AddressUse.METADATA, "Google Cloud instance metadata"),
    ("fe80::/10", AddressUse.LINK_LOCAL, "RFC 4291 section 2.5.6"),
    ("fe80::a9fe:a9fe/128", AddressUse.METADATA, "OpenStack instance metadata"),
    ("fec0::/10", AddressUse.PRIVATE, "RFC 3879 (site-local, deprecated)"),
    ("ff00::/8", AddressUse.MULTICAST, "RFC 4291 section 2.7"),
)


@dataclasses.dataclass(frozen=True, slots=True)
class _Wrapper:
    """A form of IPv6 address that leads to an IPv4 address.

    Attributes:
        embedded: The IPv4 addresses, as numbers, that it may lead to.
        least: What the form itself is, whose gravity an address of it has at least.
    """

    network: ipaddress.IPv6Network
    embedded: Callable[[int], tuple[int, ...]]
    least: AddressUse
    source: str


def _last(number: int) -> tuple[int, ...]:
    return (number & 0xFFFF_FFFF,)


def _six_to_four(number: int) -> tuple[int, ...]:
    return (number >> 80 & 0xFFFF_FFFF,)


def _teredo(number: int) -> tuple[int, ...]:
    """Return the server, and the client behind its NAT, whose bits are inverted (RFC 4380 section 4)."""
    return (number >> 64 & 0xFFFF_FFFF, ~number & 0xFFFF_FFFF)


def _local_nat64(number: int) -> tuple[int, ...]:
    """Return every reading of a local NAT64 prefix, whose length only its network knows (RFC 6052 section 2.2)."""
    after_48 = (number >> 64 & 0xFFFF) << 16 | number >> 40 & 0xFFFF
    after_56 = (number >> 64 & 0xFF) << 24 | number >> 32 & 0xFF_FFFF
    after_64 = number >> 24 & 0xFFFF_FFFF
    readings = (after_48, after_56, after_64, number & 0xFFFF_FFFF)
    # A reading of 0.0.0.x is what the zeros of a longer prefix look like; all zeros is read as it stands.
    return tuple(reading for reading in readings if reading >> 8) or (0,)


_WRAPPERS: Final = (
    _Wrapper(
        ipaddress.IPv6Network("::ffff:0:0/96"), _last, AddressUse.PUBLIC, "RFC 4291 section 2.5.5.2 (IPv4-mapped)"
    ),
    _Wrapper(ipaddress.IPv6Network("::ffff:0:0:0/96"), _last, AddressUse.RESERVED, "RFC 2765 (IPv4-translated)"),
    _Wrapper(ipaddress.IPv6Network("64:ff9b::/96"), _last, AddressUse.PUBLIC, "RFC 6052 (NAT64)"),
    _Wrapper(ipaddress.IPv6Network("64:ff9b:1::/48"), _local_nat64, AddressUse.PRIVATE, "RFC 8215 (local NAT64)"),
    _Wrapper(
        ipaddress.IPv6Network("2002::/16"), _six_to_four, AddressUse.RESERVED, "RFC 3056 (6to4, deprecated by RFC 7526)"
    ),
    _Wrapper(ipaddress.IPv6Network("2001::/32"), _teredo, AddressUse.RESERVED, "RFC 4380 (Teredo)"),
    _Wrapper(ipaddress.IPv6Network("::/96"), _last, AddressUse.RESERVED, "RFC 4291 section 2.5.5.1 (IPv4-compatible)"),
)
# What an address is as a whole when it may lead to several: the first of these that any of them is.
_GRAVITY: Final = (
    AddressUse.METADATA,
    AddressUse.LOOPBACK,
    AddressUse.LINK_LOCAL,
    AddressUse.UNSPECIFIED,
    AddressUse.MULTICAST,
    AddressUse.RESERVED,
    AddressUse.DOCUMENTATION,
    AddressUse.BENCHMARK,
    AddressUse.SHARED,
    AddressUse.PRIVATE,
    AddressUse.PUBLIC,
)


def classify(address: str) -> AddressUse:
    """Return what an address is for, IPv4 inside IPv6 unwrapped.

    Args:
        address: IPv4 or IPv6 in a standard text form; a zone (`fe80::1%eth0`) does not matter.

    Raises:
        ValueError: It is no address; `127.1` and `0x7f000001` are none either.

    Source:
        RFC 6890 and the IANA special-purpose address registries; RANGES_V4 and RANGES_V6 name each range's own.
    """
    return _find(ipaddress.ip_address(address)).kind


def permitted(address: str, rules: effective.AddressRules) -> bool:
    """Return whether an address that a name resolved to may be connected to.

    What `deny` holds is closed. Otherwise a public address needs `public`, an internal one `private`, or either a
    network in `allow` that holds it. Loopback, link-local, metadata and the like are opened only by a network that
    is no wider than their own range: 0.0.0.0/0 is meant to say "any server", not "the metadata service too".

    Args:
        address: As the resolver returned it; what is no address is not permitted.
        rules: Those of the effective endpoint; they are for its one port already.
    """
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    forms = (parsed, *_unwrap(parsed))
    if any(_holds(network, form) for network in rules.deny for form in forms):
        return False
    found = _find(parsed)
    if (found.kind == AddressUse.PUBLIC and rules.public) or (found.kind in INTERNAL and rules.private):
        return True
    return any(_opens(network, forms, found) for network in rules.allow)


def holds(network: str, address: str) -> bool:
    """Return whether a network holds an address, in whichever of its forms (IPv4 inside IPv6 unwrapped).

    Raises:
        ValueError: `address` is no address.
    """
    parsed = ipaddress.ip_address(address)
    return any(_holds(network, form) for form in (parsed, *_unwrap(parsed)))


def are_same(first: str, second: str) -> bool:
    """Return whether two addresses lead to the same one, in whichever of their forms (IPv4 inside IPv6 unwrapped).

    Raises:
        ValueError: One of them is no address.
    """
    return not set(forms(first)).isdisjoint(forms(second))


def forms(address: str) -> tuple[str, ...]:
    """Return an address in its canonical form, and what it leads to where IPv4 is wrapped in it.

    Raises:
        ValueError: It is no address.
    """
    parsed = ipaddress.ip_address(address)
    return (str(parsed), *(str(inner) for inner in _unwrap(parsed)))


def _opens(network: str, forms: tuple[_Address, ...], found: Range) -> bool:
    if not any(_holds(network, form) for form in forms):
        return False
    if found.kind == AddressUse.PUBLIC or found.kind in INTERNAL:
        return True
    opened = _parse_network(network)
    return opened.version == found.network.version and opened.prefixlen >= found.network.prefixlen


def _find(address: _Address) -> Range:
    if isinstance(address, ipaddress.IPv4Address):
        return _look_up(address)
    own = _look_up(address)
    wrapper = _wrapper(address)
    # ::, ::1 and fe80::a9fe:a9fe are themselves, whatever form they also have the shape of.
    if wrapper is None or own.network.prefixlen == address.max_prefixlen:
        return own
    form = Range(wrapper.network, wrapper.least, wrapper.source)
    # The first of those that are equally grave: what is inside says more.
    return min((*(_look_up(inner) for inner in _unwrap(address)), form), key=lambda entry: _GRAVITY.index(entry.kind))


def _look_up(address: _Address) -> Range:
    ranges = RANGES_V4 if address.version == 4 else RANGES_V6  # noqa: PLR2004 - the protocol's name.
    number = int(address)
    return next(entry for entry in ranges if _contains(entry.network, number))


def _contains(network: _Network, number: int) -> bool:
    return number & int(network.netmask) == int(network.network_address)


def _wrapper(address: ipaddress.IPv6Address) -> _Wrapper | None:
    number = int(address)
    return next((wrapper for wrapper in _WRAPPERS if _contains(wrapper.network, number)), None)


def _unwrap(address: _Address) -> tuple[ipaddress.IPv4Address, ...]:
    if isinstance(address, ipaddress.IPv4Address) or (wrapper := _wrapper(address)) is None:
        return ()
    return tuple(ipaddress.IPv4Address(number) for number in wrapper.embedded(int(address)))


def _holds(network: str, address: _Address) -> bool:
    parsed = _parse_network(network)
    return parsed.version == address.version and _contains(parsed, int(address))


@functools.lru_cache(maxsize=1024)
def _parse_network(text: str) -> _Network:
    return ipaddress.ip_network(text)
