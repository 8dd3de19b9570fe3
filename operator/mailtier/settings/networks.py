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


class Kind(enum.StrEnum):
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


INTERNAL: Final = frozenset({Kind.PRIVATE, Kind.SHARED, Kind.BENCHMARK})
"""Networks that a platform's own servers stand in; labs and service meshes use the benchmarking one."""


@dataclasses.dataclass(frozen=True, slots=True)
class Range:
    """A range of addresses with one purpose.

    Attributes:
        source: RFC, registry or manual that says so.
    """

    network: _Network
    kind: Kind
    source: str


def _ranges(*rows: tuple[str, Kind, str]) -> tuple[Range, ...]:
    ranges = (Range(ipaddress.ip_network(network), kind, source) for network, kind, source in rows)
    return tuple(sorted(ranges, key=lambda entry: -entry.network.prefixlen))


# Most specific first; the first that holds an address decides.
RANGES_V4: Final = _ranges(
    ("0.0.0.0/0", Kind.PUBLIC, "IANA IPv4 Address Space Registry"),
    ("0.0.0.0/8", Kind.UNSPECIFIED, "RFC 1122 section 3.2.1.3; Linux connects 0.0.0.0 to loopback"),
    ("10.0.0.0/8", Kind.PRIVATE, "RFC 1918"),
    ("100.64.0.0/10", Kind.SHARED, "RFC 6598"),
    ("100.100.100.200/32", Kind.METADATA, "Alibaba Cloud instance metadata"),
    ("127.0.0.0/8", Kind.LOOPBACK, "RFC 1122 section 3.2.1.3"),
    ("168.63.129.16/32", Kind.METADATA, "Azure platform address (WireServer)"),
    ("169.254.0.0/16", Kind.LINK_LOCAL, "RFC 3927"),
    ("169.254.169.254/32", Kind.METADATA, "AWS, Azure, Google Cloud, OpenStack and others"),
    ("169.254.170.2/32", Kind.METADATA, "Amazon ECS task credentials"),
    ("169.254.170.23/32", Kind.METADATA, "Amazon EKS Pod Identity credentials"),
    ("172.16.0.0/12", Kind.PRIVATE, "RFC 1918"),
    ("192.0.0.0/24", Kind.RESERVED, "RFC 6890 section 2.1"),
    ("192.0.0.192/32", Kind.METADATA, "Oracle Cloud instance metadata"),
    ("192.0.2.0/24", Kind.DOCUMENTATION, "RFC 5737"),
    ("192.88.99.0/24", Kind.RESERVED, "RFC 7526 (6to4 relays, deprecated)"),
    ("192.168.0.0/16", Kind.PRIVATE, "RFC 1918"),
    ("198.18.0.0/15", Kind.BENCHMARK, "RFC 2544"),
    ("198.51.100.0/24", Kind.DOCUMENTATION, "RFC 5737"),
    ("203.0.113.0/24", Kind.DOCUMENTATION, "RFC 5737"),
    ("224.0.0.0/4", Kind.MULTICAST, "RFC 5771"),
    ("240.0.0.0/4", Kind.RESERVED, "RFC 1112 section 4; 255.255.255.255: RFC 919"),
)
RANGES_V6: Final = _ranges(
    # Only 2000::/3 is given out as global unicast; whatever no row names is not ours to connect to.
    ("::/0", Kind.RESERVED, "RFC 4291 section 2.4"),
    ("2000::/3", Kind.PUBLIC, "IANA IPv6 Global Unicast Address Assignments"),
    ("::/128", Kind.UNSPECIFIED, "RFC 4291 section 2.5.2; Linux connects it to loopback"),
    ("::1/128", Kind.LOOPBACK, "RFC 4291 section 2.5.3"),
    ("100::/64", Kind.RESERVED, "RFC 6666 (discard)"),
    ("2001::/23", Kind.RESERVED, "RFC 2928 (protocol assignments, with Teredo: RFC 4380, and ORCHID: RFC 7343)"),
    ("2001:2::/48", Kind.BENCHMARK, "RFC 5180"),
    ("2001:db8::/32", Kind.DOCUMENTATION, "RFC 3849"),
    ("3fff::/20", Kind.DOCUMENTATION, "RFC 9637"),
    ("5f00::/16", Kind.RESERVED, "RFC 9602 (segment routing)"),
    ("fc00::/7", Kind.PRIVATE, "RFC 4193"),
    ("fd00:ec2::23/128", Kind.METADATA, "Amazon EKS Pod Identity credentials"),
    ("fd00:ec2::254/128", Kind.METADATA, "AWS instance metadata"),
    ("fd20:ce::254/128", Kind.METADATA, "Google Cloud instance metadata"),
    ("fe80::/10", Kind.LINK_LOCAL, "RFC 4291 section 2.5.6"),
    ("fe80::a9fe:a9fe/128", Kind.METADATA, "OpenStack instance metadata"),
    ("fec0::/10", Kind.PRIVATE, "RFC 3879 (site-local, deprecated)"),
    ("ff00::/8", Kind.MULTICAST, "RFC 4291 section 2.7"),
)


@dataclasses.dataclass(frozen=True, slots=True)
class _Wrapper:
    """A form of IPv6 address that leads to an IPv4 address.

    Attributes:
        embedded: The IPv4 addresses, as numbers, that it may lead to.
        least: What it is where those are public: whether the form itself is fit for connecting.
    """

    network: ipaddress.IPv6Network
    embedded: Callable[[int], tuple[int, ...]]
    least: Kind
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
    _Wrapper(ipaddress.IPv6Network("::ffff:0:0/96"), _last, Kind.PUBLIC, "RFC 4291 section 2.5.5.2 (IPv4-mapped)"),
    _Wrapper(ipaddress.IPv6Network("::ffff:0:0:0/96"), _last, Kind.RESERVED, "RFC 2765 (IPv4-translated)"),
    _Wrapper(ipaddress.IPv6Network("64:ff9b::/96"), _last, Kind.PUBLIC, "RFC 6052 (NAT64)"),
    _Wrapper(ipaddress.IPv6Network("64:ff9b:1::/48"), _local_nat64, Kind.PRIVATE, "RFC 8215 (local NAT64)"),
    _Wrapper(ipaddress.IPv6Network("2002::/16"), _six_to_four, Kind.PUBLIC, "RFC 3056 (6to4)"),
    _Wrapper(ipaddress.IPv6Network("2001::/32"), _teredo, Kind.RESERVED, "RFC 4380 (Teredo)"),
    _Wrapper(ipaddress.IPv6Network("::/96"), _last, Kind.RESERVED, "RFC 4291 section 2.5.5.1 (IPv4-compatible)"),
)
# What an address is as a whole when it may lead to several: the first of these that any of them is.
_GRAVITY: Final = (
    Kind.METADATA,
    Kind.LOOPBACK,
    Kind.LINK_LOCAL,
    Kind.UNSPECIFIED,
    Kind.MULTICAST,
    Kind.RESERVED,
    Kind.DOCUMENTATION,
    Kind.BENCHMARK,
    Kind.SHARED,
    Kind.PRIVATE,
    Kind.PUBLIC,
)


def classify(address: str) -> Kind:
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
    if (found.kind == Kind.PUBLIC and rules.public) or (found.kind in INTERNAL and rules.private):
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
    one, other = ipaddress.ip_address(first), ipaddress.ip_address(second)
    return not {one, *_unwrap(one)}.isdisjoint({other, *_unwrap(other)})


def _opens(network: str, forms: tuple[_Address, ...], found: Range) -> bool:
    if not any(_holds(network, form) for form in forms):
        return False
    if found.kind == Kind.PUBLIC or found.kind in INTERNAL:
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
    inner = min((_look_up(form) for form in _unwrap(address)), key=lambda entry: _GRAVITY.index(entry.kind))
    if inner.kind == Kind.PUBLIC:
        return Range(wrapper.network, wrapper.least, wrapper.source)
    return inner


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
