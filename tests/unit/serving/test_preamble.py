"""The header of PROXY protocol version 2."""

import ipaddress
import struct

import hypothesis
import pytest
from hypothesis import strategies as st

from mailtier.serving import preamble

_SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"


def header(source: str, *, command: int = 0x21, extra: bytes = b"") -> bytes:
    """Return a header that speaks for an address."""
    address = ipaddress.ip_address(source)
    family = 0x11 if address.version == 4 else 0x21
    body = address.packed * 2 + struct.pack("!HH", 40000, 443) + extra
    return _SIGNATURE + bytes([command, family]) + struct.pack("!H", len(body)) + body


class _Stream:
    """Gives so many bytes a time."""

    def __init__(self, content: bytes, *, at_once: int = 7) -> None:
        self.left = content
        self._at_once = at_once

    async def receive(self, count: int) -> bytes:
        """Return the next bytes."""
        count = min(count, self._at_once)
        found, self.left = self.left[:count], self.left[count:]
        return found


@hypothesis.given(source=st.ip_addresses(), extra=st.binary(max_size=600))
async def test_the_client_is_whom_the_proxy_names(source: ipaddress.IPv4Address, extra: bytes) -> None:
    """The source's address is read, whatever extensions follow, and not one byte of what comes after the header."""
    stream = _Stream(header(str(source), extra=extra) + b"\x16\x03\x01")
    assert await preamble.read(stream.receive) == preamble.normal(str(source))
    assert stream.left == b"\x16\x03\x01"


async def test_a_proxy_may_speak_for_itself() -> None:
    """Its own health checks (LOCAL) name no client."""
    assert await preamble.read(_Stream(header("203.0.113.7", command=0x20)).receive) is None


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"PROXY TCP4 203.0.113.7 203.0.113.8 1 2\r\n", "does not begin"),
        (b"\x16\x03\x01" + bytes(40), "does not begin"),
        (b"", "ended"),
        (header("203.0.113.7")[:20], "ended"),
        (header("203.0.113.7", command=0x31), "version or command"),
        (header("203.0.113.7", command=0x22), "version or command"),
        (_SIGNATURE + b"\x21\x11\x00\x04abcd", "cut"),
        (_SIGNATURE + b"\x21\x12\x00\x0c" + bytes(12), "over TCP"),
        (_SIGNATURE + b"\x21\x31\x00\xd8" + bytes(216), "over TCP"),
        (_SIGNATURE + b"\x21\x00\x00\x00", "over TCP"),
        (_SIGNATURE + b"\x21\x11\xff\xff" + bytes(65535), "announces more"),
    ],
)
async def test_what_is_no_such_header_is_refused(content: bytes, says: str) -> None:
    """Version 1, TLS without a header, other families, cut and giant headers are refused."""
    with pytest.raises(preamble.PreambleError, match=says):
        await preamble.read(_Stream(content).receive)


@hypothesis.given(st.binary(max_size=80) | st.binary(max_size=80).map(lambda tail: _SIGNATURE + tail))
async def test_no_bytes_do_anything_else(content: bytes) -> None:
    """Whatever comes is an address, nobody, or refused."""
    try:
        found = await preamble.read(_Stream(content).receive)
    except preamble.PreambleError:
        return
    assert found is None or ipaddress.ip_address(found)


@pytest.mark.parametrize(
    ("written", "counted"),
    [
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("fe80::1%eth0", "fe80::1"),
        ("2001:DB8::0:1", "2001:db8::1"),
        ("203.0.113.7", "203.0.113.7"),
    ],
)
def test_one_client_is_counted_once(written: str, counted: str) -> None:
    """However a socket writes an address, it is one."""
    assert preamble.normal(written) == counted


@hypothesis.given(host=st.integers(0, 2**64 - 1))
def test_an_ipv6_network_is_one_client_of_a_proxy(host: int) -> None:
    """Whoever has a network has all of its addresses, and one share; an IPv4 address is one, however it is written."""
    network = int(ipaddress.IPv6Address("2001:db8:0:7::"))
    assert preamble.subscriber(str(ipaddress.IPv6Address(network + host))) == "2001:db8:0:7::/64"
    neighbour = str(ipaddress.IPv6Address(network + 2**64 + host))
    assert preamble.subscriber(neighbour) == "2001:db8:0:8::/64"
    assert preamble.subscriber(preamble.normal("::ffff:203.0.113.7")) == "203.0.113.7"
