"""What a slow, greedy or confused client meets."""

import asyncio
import contextlib
import socket
import ssl

from kit import intake, tenants, wait
from kit import sender as sender_kit
from mailtier.sender.intake import listener


async def _connect(running: sender_kit.Sender) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", running.port, ssl=running.tls, server_hostname="localhost")


async def test_slow_clients_are_given_up(organization: tenants.Tenant, sender: sender_kit.Sender) -> None:
    """A body that never ends is answered with 408, and a head that drips is cut off, however alive it looks (R10)."""
    head = (
        f"POST {organization.collection()} HTTP/1.1\r\nHost: localhost\r\n"
        f"Authorization: Bearer {organization.token}\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n"
    )

    async def drip(running: sender_kit.Sender, first: bytes) -> bytes:
        reader, writer = await _connect(running)
        writer.write(first)
        answer = asyncio.create_task(reader.read())
        async with asyncio.timeout(40):
            while not answer.done():
                writer.write(b"x")
                await asyncio.wait({answer}, timeout=1)
        writer.close()
        return await answer

    slow_body, slow_head = await asyncio.gather(
        drip(sender, head.encode() + b"{"), drip(sender, b"GET / HTTP/1.1\r\nX: "), return_exceptions=True
    )
    assert isinstance(slow_body, bytes)
    assert slow_body.startswith(b"HTTP/1.1 408 ")
    assert b"too-slow" in slow_body
    assert slow_head == b"" or isinstance(slow_head, ConnectionError | ssl.SSLError)


async def test_connections_of_one_client_are_bounded(sender: sender_kit.Sender, client: intake.Client) -> None:
    """A client with too many open connections gets no more, and those it has go on to work."""
    opened: list[asyncio.StreamWriter] = []
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        while len(opened) <= listener.CONNECTIONS_PER_CLIENT:
            opened.append((await _connect(sender))[1])
    assert listener.CONNECTIONS_PER_CLIENT - 4 <= len(opened) <= listener.CONNECTIONS_PER_CLIENT
    for writer in opened:
        writer.close()

    async def answers() -> bool:
        try:
            return (await client.request("GET", "/openapi.json")).status == 200
        except OSError:
            return False

    await wait.until_async(answers, within_seconds=10, why="connections are taken again")


async def test_plain_http_is_not_spoken(sender: sender_kit.Sender) -> None:
    """A client without TLS gets no HTTP answer."""

    def talk() -> bytes:
        with socket.create_connection(("127.0.0.1", sender.port), timeout=10) as connection:
            connection.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n")
            return connection.recv(100)

    assert not (await asyncio.to_thread(talk)).startswith(b"HTTP")


async def test_malformed_head_is_not_logged(sender: sender_kit.Sender) -> None:
    """A request that cannot be parsed is answered with 400, and its headers stay out of the log (R1)."""
    reader, writer = await _connect(sender)
    writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\nAuthorization s3cr3t-header\r\n\r\n")
    async with asyncio.timeout(10):
        answer = await reader.read()
    writer.close()
    assert answer.split()[1] == b"400"
    assert "s3cr3t-header" not in sender.log.read_text(encoding="utf-8")
