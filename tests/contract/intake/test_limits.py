"""What a slow, greedy or confused client meets."""

import asyncio
import contextlib
import itertools
import json
import socket
import ssl

import aiohttp
import pytest

from kit import intake, tenants, wait
from kit import sender as sender_kit
from mailtier.sender.intake.http import problems
from mailtier.serving import listener


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


async def _silent(running: sender_kit.Sender, source: str) -> list[asyncio.StreamWriter]:
    """Return a connection from an address that has finished its handshake and says nothing, if it got so far."""
    try:
        _, writer = await asyncio.open_connection(
            "127.0.0.1", running.port, ssl=running.tls, server_hostname="localhost", local_addr=(source, 0)
        )
    except (ConnectionError, ssl.SSLError):
        return []
    return [writer]


async def test_four_addresses_without_a_token_lock_nobody_out(
    organization: tenants.Tenant, sender: sender_kit.Sender, client: intake.Client
) -> None:
    """Every place is held by idle connections of four addresses, again and again, and a tenant is served (R15)."""
    limits = listener.Limits()
    sources = [f"127.0.0.{number}" for number in range(2, 6)]
    assert (await client.post(organization, intake.ALERT)).status == 202
    # One less than there are: the client has its own, and these are opened before they are tried.
    attack = [_silent(sender, source) for source in (sources * limits.per_client)[1:]]
    held = list(itertools.chain(*await asyncio.gather(*attack)))
    for _ in range(3):
        # Long before idle connections end by themselves.
        async with asyncio.timeout(limits.idle_seconds / 3), intake.Client(sender.url, sender.tls) as another:
            assert (await another.post(organization, intake.ALERT)).status == 202
        held += itertools.chain(*await asyncio.gather(*(_silent(sender, source) for source in sources)))
    for writer in held:
        writer.close()


async def _slots(running: sender_kit.Sender) -> int:
    """Return how many bodies arrive at the intake at present."""
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{running.health_port}/metrics") as answer,
    ):
        lines = (await answer.text()).splitlines()
    return sum(int(float(line.split()[-1])) for line in lines if line.startswith('mailtier_share_slots{of="bodies"}'))


async def test_slow_bodies_take_one_share(
    stage: tenants.Stage, organization: tenants.Tenant, sender: sender_kit.Sender, client: intake.Client
) -> None:
    """Of the bodies that arrive at once a namespace has half, however many it sends, and others are served (R15)."""
    other = tenants.create(stage.cluster)
    stage.publish(other, recipients=["ops@example.com"])
    await intake.until_known(client, other)
    head = (
        f"POST {organization.collection()} HTTP/1.1\r\nHost: localhost\r\n"
        f"Authorization: Bearer {organization.token}\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{{"
    )
    held = [(await _connect(sender))[1] for _ in range(40)]
    for writer in held:
        writer.write(head.encode())

    async def are_half() -> bool:
        return await _slots(sender) == 32

    await wait.until_async(are_half, within_seconds=8, why="the namespace has its share of bodies, and no more")
    async with asyncio.timeout(5):
        assert (await client.post(other, intake.ALERT)).status == 202
    assert await _slots(sender) <= 32
    for writer in held:
        writer.close()


async def test_nobody_stays_who_was_not_let_in(organization: tenants.Tenant, sender: sender_kit.Sender) -> None:
    """A connection stays open after an answer only for whom its request let in."""
    reader, writer = await _connect(sender)
    for token, stays in ((organization.token, True), ("nobody's", False)):
        writer.write(
            f"POST {organization.collection()} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n"
            "Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}".encode()
        )
        async with asyncio.timeout(10):
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
            await reader.readexactly(length)
        assert (b"connection: close" not in head.lower()) is stays
    async with asyncio.timeout(10):
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            assert await reader.read() == b""
    writer.close()


async def test_plain_http_is_not_spoken(sender: sender_kit.Sender) -> None:
    """A client without TLS gets no HTTP answer."""

    def talk() -> bytes:
        with socket.create_connection(("127.0.0.1", sender.port), timeout=10) as connection:
            connection.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n")
            return connection.recv(100)

    assert not (await asyncio.to_thread(talk)).startswith(b"HTTP")


@pytest.mark.parametrize(
    "rest",
    [
        b"Authorization s3cr3t\r\n\r\n",
        b"Expect: s3cr3t\r\n\r\n",
        b"X-s3cr3t: " + b"s3cr3t" * 5000 + b"\r\n\r\n",
        b"Content-Length: s3cr3t\r\n\r\n",
        b"Transfer-Encoding: s3cr3t\r\n\r\n",
        b"s3cr3t: \x00\r\n\r\n",
        b"".join(b"s3cr3t-%d: x\r\n" % number for number in range(100)) + b"\r\n",
    ],
)
async def test_what_cannot_be_read_is_refused_as_everything_is(sender: sender_kit.Sender, rest: bytes) -> None:
    """A head that cannot be parsed gets a problem document; neither it nor the log quotes it (R1)."""
    reader, writer = await _connect(sender)
    writer.write(b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n" + rest)
    async with asyncio.timeout(10):
        answer = await reader.read()
    writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.split()[1] == b"400"
    assert problems.MEDIA_TYPE.encode() in head
    assert json.loads(body)["type"] == problems.MALFORMED.type
    assert b"s3cr3t" not in answer
    assert "s3cr3t" not in sender.log.read_text(encoding="utf-8")


@pytest.mark.parametrize("is_later", [False, True], ids=["with the head", "once it is read"])
async def test_a_body_that_cannot_be_read_is_the_caller_s_fault(
    organization: tenants.Tenant, sender: sender_kit.Sender, is_later: bool
) -> None:
    """A chunk without a length is refused as malformed: it is no failure of the sender's."""
    reader, writer = await _connect(sender)
    writer.write(
        f"POST {organization.collection()} HTTP/1.1\r\nHost: localhost\r\n"
        f"Authorization: Bearer {organization.token}\r\nContent-Type: application/json\r\n"
        f"Transfer-Encoding: chunked\r\n{'Expect: 100-continue' if is_later else 'Accept: */*'}\r\n\r\n".encode()
    )
    await writer.drain()
    if is_later:
        # What the server says of the expectation shows that it reads the body.
        async with asyncio.timeout(20):
            assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(b"s3cr3t\r\n{}\r\n")
    async with asyncio.timeout(5):
        answer = await reader.read()
    writer.close()
    assert answer.split()[1] == b"400"
    assert answer.count(b"\r\n\r\n") == 1, "one answer"
    assert problems.MALFORMED.slug.encode() in answer
    assert b"s3cr3t" not in answer
