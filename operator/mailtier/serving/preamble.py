"""What a trusted proxy says before TLS about whom it speaks for: the PROXY protocol, version 2.

Source:
    haproxy.org/download/2.9/doc/proxy-protocol.txt, section 2.2.
"""

import ipaddress
from collections.abc import Awaitable, Callable
from typing import Final

_SIGNATURE: Final = b"\r\n\r\n\x00\r\nQUIT\n"
_HEAD_BYTES: Final = 16
# Addresses take at most 36 bytes; the rest are extensions, of which proxies send some hundred bytes.
_REST_BYTES: Final = 2_048
_LOCAL: Final = 0x20
_PROXY: Final = 0x21
_TCP_OVER_IPV4: Final = 0x11
_TCP_OVER_IPV6: Final = 0x21
_ADDRESS_BYTES: Final = {_TCP_OVER_IPV4: 4, _TCP_OVER_IPV6: 16}
# Two addresses and two ports of two bytes.
_PORTS_BYTES: Final = 4
_SUBSCRIBER_BITS: Final = 64


class PreambleError(Exception):
    """A trusted proxy did not say whom it speaks for, or in a way that is not understood."""


def rest_bytes(head: bytes) -> int:
    """Return how many bytes follow the first sixteen.

    Raises:
        PreambleError: They are not the beginning of such a header, or announce too much.
    """
    if len(head) != _HEAD_BYTES or not head.startswith(_SIGNATURE):
        raise PreambleError("the connection does not begin with a header of PROXY protocol version 2")
    if head[12] not in {_LOCAL, _PROXY}:
        raise PreambleError("the PROXY header has another version or command")
    length = int.from_bytes(head[14:16])
    if length > _REST_BYTES:
        raise PreambleError(f"the PROXY header announces more than {_REST_BYTES} bytes")
    return length


def address(head: bytes, rest: bytes) -> str | None:
    """Return the address of the client that a proxy speaks for; None where it speaks for itself.

    Args:
        head: The first sixteen bytes.
        rest: As many as `rest_bytes` said.

    Raises:
        PreambleError: The family is not TCP over IPv4 or IPv6, or the addresses are cut.
    """
    if head[12] == _LOCAL:
        return None
    size = _ADDRESS_BYTES.get(head[13])
    if size is None:
        raise PreambleError("the PROXY header names no client with an IP address over TCP")
    if len(rest) < 2 * size + _PORTS_BYTES:
        raise PreambleError("the PROXY header is cut")
    return normal(str(ipaddress.ip_address(rest[:size])))


def normal(found: str) -> str:
    """Return an address as it is counted: without a zone, and an IPv4 address that came over IPv6 as the former."""
    parsed = ipaddress.ip_address(found.partition("%")[0])
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    return str(mapped or parsed)


def subscriber(client: str) -> str:
    """Return what the client of a proxy is counted as: an IPv6 address as its network of 64 bits, which has one owner.

    Not for those that connect themselves: within a cluster, such a network is a node's or all nodes', with the pods of
    many tenants, each of which is reached at one address only.

    Args:
        client: As `normal` returns it.

    Source:
        RFC 4291 section 2.5.4 (a host's part has 64 bits); --node-cidr-mask-size-ipv6 of kube-controller-manager.
    """
    if ipaddress.ip_address(client).version == 4:  # noqa: PLR2004
        return client
    return str(ipaddress.ip_network((client, _SUBSCRIBER_BITS), strict=False))


async def read(receive: Callable[[int], Awaitable[bytes]]) -> str | None:
    """Return what `address` does, and read not one byte of what follows.

    Args:
        receive: Returns that many bytes or fewer, and none at the end.

    Raises:
        PreambleError: What came is no header that is understood.
    """
    head = await _exactly(receive, _HEAD_BYTES)
    return address(head, await _exactly(receive, rest_bytes(head)))


async def _exactly(receive: Callable[[int], Awaitable[bytes]], count: int) -> bytes:
    found = b""
    while len(found) < count:
        more = await receive(count - len(found))
        if not more:
            raise PreambleError("the connection ended within the PROXY header")
        found += more
    return found
