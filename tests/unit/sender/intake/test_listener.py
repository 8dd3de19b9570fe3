"""The bounds of the listening socket."""

import asyncio
import collections.abc
import contextlib
import socket
import ssl
import typing

import pytest

from kit import certs, wait
from mailtier.sender.intake import listener

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
    async with contextlib.AsyncExitStack() as stack:

        async def start(host: str = "127.0.0.1", **limits: typing.Any) -> int:
            started = listener.Listener(_Echo, context=lambda: context, **limits)
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


async def test_connection_beyond_the_limit_waits_for_a_place(ca: certs.Authority, listen: Listen) -> None:
    """With all places taken a connection waits, and is served as soon as another ends."""
    port = await listen(connections=2)
    opened = [await _connect(ca, port) for _ in range(2)]
    waiting = asyncio.create_task(_connect(ca, port))
    assert await _echoes(*opened[0])
    assert not waiting.done()
    await _close(opened[0][1])
    async with asyncio.timeout(5):
        reader, writer = await waiting
    assert await _echoes(reader, writer)
    await _close(writer)
    await _close(opened[1][1])


async def test_client_beyond_its_share_is_turned_away(ca: certs.Authority, listen: Listen) -> None:
    """One address has its share of the places and no more; a place that it gives back it may have again."""
    port = await listen(per_client=1)
    reader, writer = await _connect(ca, port)
    with pytest.raises((ConnectionError, ssl.SSLError)):
        await _connect(ca, port)
    assert await _echoes(reader, writer)
    await _close(writer)

    async def again() -> bool:
        try:
            _, another = await _connect(ca, port)
        except (ConnectionError, ssl.SSLError):
            return False
        await _close(another)
        return True

    await wait.until_async(again, within_seconds=5, why="the client is let in again")


async def test_stalled_handshake_gives_its_place_back(ca: certs.Authority, listen: Listen) -> None:
    """A client that connects and says nothing holds its place for the time of a handshake only."""
    port = await listen(connections=1, handshake_seconds=0.2)
    with socket.create_connection(("127.0.0.1", port)):
        async with asyncio.timeout(5):
            reader, writer = await _connect(ca, port)
        assert await _echoes(reader, writer)
        await _close(writer)


async def test_all_addresses_means_both_families(ca: certs.Authority, listen: Listen) -> None:
    """Without a host it listens on IPv4, and on IPv6 where there is any."""
    port = await listen("")
    hosts = ["127.0.0.1", *(["::1"] if socket.has_dualstack_ipv6() else [])]
    for host in hosts:
        reader, writer = await _connect(ca, port, host)
        assert await _echoes(reader, writer)
        await _close(writer)
