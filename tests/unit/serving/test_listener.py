"""The bounds of the listening socket."""

import asyncio
import collections.abc
import contextlib
import ipaddress
import socket
import ssl
import struct
import typing

import pytest

from kit import certs
from mailtier.sender.net import handshakes
from mailtier.serving import listener

Listen = collections.abc.Callable[..., typing.Awaitable[int]]


class _Echo(asyncio.Protocol):
    """Sends back what it gets."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._transport.write(data)


@pytest.fixture
async def listen(ca: certs.Authority) -> collections.abc.AsyncIterator[Listen]:
    """Return a coroutine function that starts a listener and returns its port."""
    context = ca.issue(file_name="listener").server_context()
    made = handshakes.Handshakes()

    async def secure(accepted: socket.socket, client: str) -> ssl.SSLContext:
        return (await made.accept(accepted, context, owner=client)).for_asyncio

    async with contextlib.AsyncExitStack() as stack:

        async def start(host: str = "127.0.0.1", *, tls: bool = True, **limits: typing.Any) -> int:
            proxies = [ipaddress.ip_network(network) for network in limits.pop("trusted", ())]
            started = listener.Listener(
                _Echo,
                secure=secure if tls else None,
                limits=listener.Limits(**{"reserve": 0, **limits}),
                port="intake",
                trusted_proxies=proxies,
            )
            stack.push_async_callback(started.close)
            return started.open(host, 0)

        yield start


async def _connect(
    ca: certs.Authority, port: int, host: str = "127.0.0.1"
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection(host, port, ssl=ca.client_context(), server_hostname="localhost")


async def _echoes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    writer.write(b"hello")
    async with asyncio.timeout(5):
        return await reader.readexactly(5) == b"hello"


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        await writer.wait_closed()


async def _ends(reader: asyncio.StreamReader) -> bool:
    async with asyncio.timeout(5):
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            return await reader.read() == b""
    return True


def _hold(port: int, source: str, count: int) -> list[socket.socket]:
    """Return connections from an address that say nothing."""
    return [socket.create_connection(("127.0.0.1", port), source_address=(source, 0)) for _ in range(count)]


async def test_silent_addresses_lock_nobody_out(ca: certs.Authority, listen: Listen) -> None:
    """Four addresses that hold all places without a word have to make room for a fifth, and for its next as well."""
    port = await listen(connections=16, per_client=4, opening_seconds=60)
    held = [one for last in range(2, 6) for one in _hold(port, f"127.0.0.{last}", 4)]
    reader, writer = await _connect(ca, port)
    another_reader, another_writer = await _connect(ca, port)
    assert await _echoes(reader, writer)
    assert await _echoes(another_reader, another_writer)
    for one in held:
        one.close()
    await _close(writer)
    await _close(another_writer)


async def test_client_beyond_its_share_loses_its_oldest(ca: certs.Authority, listen: Listen) -> None:
    """One address has its share of the places and no more: its newest connections live, its oldest end."""
    port = await listen(per_client=2)
    opened = [await _connect(ca, port) for _ in range(3)]
    assert await _ends(opened[0][0])
    assert await _echoes(*opened[1])
    assert await _echoes(*opened[2])
    for _, writer in opened:
        await _close(writer)


@pytest.mark.parametrize("first", [b"", b"\x16", b"\x16\x03\x01\x02\x00\x01"])
async def test_an_opening_has_a_total(listen: Listen, first: bytes) -> None:
    """A client that says nothing, or begins a handshake and stops, is gone when the time of an opening is over."""
    port = await listen(opening_seconds=0.2)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(first)
    assert await _ends(reader)
    await _close(writer)


async def test_an_opening_ends_with_who_is_let_in_and_not_before(ca: certs.Authority, listen: Listen) -> None:
    """A finished handshake alone prolongs nothing: the first request has to come within the same time."""
    port = await listen(opening_seconds=0.5)
    reader, writer = await _connect(ca, port)
    assert await _ends(reader)
    await _close(writer)


def _header(source: str) -> bytes:
    """Return what a proxy says of a client (PROXY protocol version 2)."""
    address = ipaddress.ip_address(source)
    body = address.packed * 2 + struct.pack("!HH", 40000, 443)
    return (
        b"\r\n\r\n\x00\r\nQUIT\n\x21"
        + (b"\x11" if address.version == 4 else b"\x21")
        + struct.pack("!H", len(body))
        + body
    )


async def _through_proxy(
    ca: certs.Authority, port: int, source: str, *, client: str = "127.0.0.1"
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Return a TLS connection that a proxy at `client` opened for an address."""
    connected = await asyncio.to_thread(
        socket.create_connection, ("127.0.0.1", port), timeout=5, source_address=(client, 0)
    )
    connected.sendall(_header(source))
    connected.setblocking(False)  # noqa: FBT003 - The only form there is.
    return await asyncio.open_connection(sock=connected, ssl=ca.client_context(), server_hostname="localhost")


async def test_behind_a_trusted_proxy_its_clients_are_counted(ca: certs.Authority, listen: Listen) -> None:
    """Each client behind a proxy has a share of its own, and gives up its own for another of its connections (R15)."""
    port = await listen(per_client=1, trusted=["127.0.0.0/8"])
    one = await _through_proxy(ca, port, "203.0.113.7")
    other = await _through_proxy(ca, port, "203.0.113.8")
    assert await _echoes(*one)
    assert await _echoes(*other)
    again = await _through_proxy(ca, port, "203.0.113.7")
    assert await _ends(one[0])
    assert await _echoes(*again)
    assert await _echoes(*other)
    for _, writer in (one, other, again):
        await _close(writer)


async def test_behind_a_trusted_proxy_an_ipv6_network_is_one_client(ca: certs.Authority, listen: Listen) -> None:
    """Another address of one's own /64 brings no other share, and takes none of the neighbour's (R15)."""
    port = await listen(per_client=1, trusted=["127.0.0.0/8"])
    one = await _through_proxy(ca, port, "2001:db8:0:7::1")
    other = await _through_proxy(ca, port, "2001:db8:0:8::1")
    again = await _through_proxy(ca, port, "2001:db8:0:7:ffff::2")
    assert await _ends(one[0])
    assert await _echoes(*again)
    assert await _echoes(*other)
    for _, writer in (one, other, again):
        await _close(writer)


async def test_a_header_from_elsewhere_is_no_word_of_a_proxy(ca: certs.Authority, listen: Listen) -> None:
    """Who is no trusted proxy and says whom it speaks for gets nowhere: its header is no TLS."""
    port = await listen(trusted=["127.0.0.9/32"])
    with pytest.raises((ConnectionError, ssl.SSLError)):
        await _through_proxy(ca, port, "203.0.113.7")
    reader, writer = await _through_proxy(ca, port, "203.0.113.7", client="127.0.0.9")
    assert await _echoes(reader, writer)
    await _close(writer)


async def test_a_trusted_proxy_has_to_say_whom_it_speaks_for(ca: certs.Authority, listen: Listen) -> None:
    """Without the header a connection from a proxy's address is refused: it may not be guessed whose it is."""
    port = await listen(trusted=["127.0.0.0/8"])
    with pytest.raises((ConnectionError, ssl.SSLError)):
        await _connect(ca, port)


async def test_a_port_without_tls_has_the_same_bounds(listen: Listen) -> None:
    """Health and metrics are spoken in clear, and in time too."""
    port = await listen(tls=False, opening_seconds=0.5)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    assert await _echoes(reader, writer)
    assert await _ends(reader)
    await _close(writer)


async def test_all_addresses_means_both_families(ca: certs.Authority, listen: Listen) -> None:
    """Without a host it listens on IPv4, and on IPv6 where there is any."""
    port = await listen("")
    hosts = ["127.0.0.1", *(["::1"] if socket.has_dualstack_ipv6() else [])]
    for host in hosts:
        reader, writer = await _connect(ca, port, host)
        assert await _echoes(reader, writer)
        await _close(writer)
