"""Handshakes with servers that make them cost much, and what the loop does meanwhile."""

import asyncio
import collections.abc
import contextlib
import os
import pathlib
import socket
import ssl
import subprocess
import sys
import threading
import time

import pytest

from kit import certs, repository
from kit import handshakes as costly
from mailtier.kube import trust
from mailtier.sender.net import handshakes
from mailtier.telemetry import lag

# RFC 8446 section 4.2.7.
_SUPPORTED_GROUPS = 10
_X25519 = 0x1D
_NIST_CURVES = (0x17, 0x18, 0x19)

_ATTEMPTS = 5
"""Others use the machine too: one attempt that shows it will do, and without the threads none does."""


@contextlib.contextmanager
def _server(context: ssl.SSLContext, *, then: bytes = b"") -> collections.abc.Iterator[socket.socket]:
    """Give the client's end of a connection whose other end a thread serves, until the client is gone."""
    ours, theirs = socket.socketpair()

    def serve() -> None:
        with contextlib.suppress(OSError), context.wrap_socket(theirs, server_side=True) as secured:
            secured.sendall(then)
            while data := secured.recv(1024):
                secured.sendall(data)

    thread = threading.Thread(target=serve)
    thread.start()
    ours.settimeout(0)
    try:
        yield ours
    finally:
        ours.close()
        thread.join(10)
        theirs.close()


@contextlib.contextmanager
def _says(data: bytes) -> collections.abc.Iterator[socket.socket]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(0)
        theirs.sendall(data)
        yield ours


async def _connect(sock: socket.socket, context: ssl.SSLContext) -> handshakes.Secured:
    async with asyncio.timeout(30):
        return await handshakes.Handshakes().connect(sock, context, server_name=costly.NAME, owner="team-a")


_HELLO = """
import asyncio, ssl
from mailtier.api import vocabulary
from mailtier.sender.net import tls
from mailtier.settings import effective

settings = effective.Tls(
    mode=vocabulary.TlsMode.IMPLICIT, server_name=None, min_version=vocabulary.TlsVersion.V1_2, ca=None
)
context = asyncio.run(tls.Contexts(None).get(settings, owner="team-a"))
outgoing = ssl.MemoryBIO()
try:
    context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="smtp.test").do_handshake()
except ssl.SSLWantReadError:
    print(outgoing.read().hex())
"""


def _groups(hello: bytes) -> list[int]:
    """Return what a ClientHello offers in its extension supported_groups (RFC 8446 sections 4.1.2 and 4.2.7)."""

    def part(at: int, size: int) -> tuple[bytes, int]:
        """Return what stands behind its own length, and where it ends."""
        begin = at + size
        end = begin + int.from_bytes(hello[at:begin])
        return hello[begin:end], end

    # Behind the headers of record and message, the version, and the random bytes.
    at = 5 + 4 + 2 + 32
    for size in (1, 2, 1):
        _, at = part(at, size)
    at += 2
    while at < len(hello):
        kind = int.from_bytes(hello[at : at + 2])
        body, at = part(at + 2, 2)
        if kind == _SUPPORTED_GROUPS:
            return [int.from_bytes(body[place : place + 2]) for place in range(2, len(body), 2)]
    return []


def test_the_image_offers_curves_alone() -> None:
    """Under the image's configuration a server of TLS 1.3 has no finite-field group to choose (R10)."""
    told = subprocess.run(
        [sys.executable, "-c", _HELLO],
        env={**os.environ, "OPENSSL_CONF": str(repository.ROOT / "openssl.cnf")},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert _groups(bytes.fromhex(told)) == [_X25519, *_NIST_CURVES]


async def test_the_loop_goes_on_while_a_chain_is_verified(tmp_path: pathlib.Path) -> None:
    """Forty certificates that take long to verify hold a thread, and not the loop (R10, R15)."""
    found = costly.costly_chain()
    client, server = trust.client_context(cadata=found.authority), found.server_context(tmp_path)
    attempts = []
    for _ in range(_ATTEMPTS):
        late: list[float] = []
        with _server(server) as sock:
            sock.settimeout(30)
            started = time.thread_time()
            with client.wrap_socket(sock, server_hostname=costly.NAME):
                cost = time.thread_time() - started
        with _server(server) as sock:
            async with lag.watched(late.append):
                # The first look is under way before the handshake, which may come to its end in one step of the loop.
                await asyncio.sleep(0)
                await _connect(sock, client)
                # The last look is at what happened during the handshake.
                await asyncio.sleep(2 * lag.PERIOD_SECONDS)
        attempts.append((cost, max(late)))
    assert any(longest < cost / 3 for cost, longest in attempts), attempts


async def test_what_comes_with_the_end_of_the_handshake_is_not_lost(ca: certs.Authority) -> None:
    """A server that speaks at once is heard, and an answer goes back, through asyncio's own transport."""
    leaf = ca.issue(costly.NAME, file_name="handshakes")
    with _server(leaf.server_context(), then=b"220 hello") as sock:
        secured = await _connect(sock, trust.client_context(cafile=str(ca.ca_path)))
        reader, writer = await asyncio.open_connection(sock=sock, ssl=secured.for_asyncio, server_hostname=costly.NAME)
        assert await reader.readexactly(9) == b"220 hello"
        writer.write(b"x" * 100_000)
        assert await reader.readexactly(100_000) == b"x" * 100_000
        assert writer.get_extra_info("peercert")["notAfter"]
        writer.close()
        await writer.wait_closed()


@pytest.mark.parametrize(
    ("sent", "cause"),
    [
        (b"220 smtp.test ESMTP\r\n", handshakes.HandshakeCause.CLEAR_TEXT),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", handshakes.HandshakeCause.CLEAR_TEXT),
        # Alerts: protocol_version, handshake_failure, insufficient_security.
        (b"\x15\x03\x01\x00\x02\x02\x46", handshakes.HandshakeCause.VERSION),
        (b"\x15\x03\x03\x00\x02\x02\x28", handshakes.HandshakeCause.CIPHER),
        (b"\x15\x03\x03\x00\x02\x02\x47", handshakes.HandshakeCause.CIPHER),
    ],
)
async def test_a_cause_has_a_name(ca: certs.Authority, sent: bytes, cause: handshakes.HandshakeCause) -> None:
    """What the server says first tells what is wrong, and is not quoted."""
    with _says(sent) as sock, pytest.raises(handshakes.HandshakeError) as caught:
        await _connect(sock, trust.client_context(cafile=str(ca.ca_path)))
    assert caught.value.cause is cause
    assert "220" not in str(caught.value)


async def test_a_server_that_ends_in_the_middle_is_told(ca: certs.Authority) -> None:
    """An end in the middle is told as such."""
    with _says(b"\x16\x03") as sock:
        asyncio.get_running_loop().call_later(0, sock.shutdown, socket.SHUT_RD)
        with pytest.raises(handshakes.HandshakeError) as caught:
            await _connect(sock, trust.client_context(cafile=str(ca.ca_path)))
    assert caught.value.cause is handshakes.HandshakeCause.ENDED


async def test_a_handshake_has_an_end(ca: certs.Authority) -> None:
    """Records without end are read up to a bound (R10)."""
    # Pieces of a message that announces 16 MB, each of which OpenSSL would keep.
    first = b"\x16\x03\x03\x00\x04\x02\x00\xff\xff"
    with _says(first * 16_000) as sock, pytest.raises(ssl.SSLError):
        await _connect(sock, trust.client_context(cafile=str(ca.ca_path)))


async def test_one_owner_has_one_thread(tmp_path: pathlib.Path) -> None:
    """While one namespace's servers keep its thread busy, another's handshake is made (R15)."""
    found = costly.costly_chain()
    context, server = trust.client_context(cadata=found.authority), found.server_context(tmp_path)
    shared = handshakes.Handshakes()
    done: list[str] = []

    async def connect(sock: socket.socket, owner: str) -> None:
        await shared.connect(sock, context, server_name=costly.NAME, owner=owner)
        done.append(owner)

    with contextlib.ExitStack() as stack:
        attackers = [stack.enter_context(_server(server)) for _ in range(6)]
        innocent = stack.enter_context(_server(server))
        async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
            for sock in attackers:
                tasks.create_task(connect(sock, "attacker"))
            tasks.create_task(connect(innocent, "innocent"))
    assert done.index("innocent") <= 2
