"""What attackers run, each in a process of its own: `python -m bench.shares.weapons NAME ARGUMENT...`.

Each prints a line once it is at work, and goes on until it is ended.
"""

import argparse
import asyncio
import base64
import collections.abc
import contextlib
import json
import pathlib
import resource
import secrets
import socket
import ssl
import sys
import threading
import time
import typing

from kit import handshakes, processes, wait
from mailtier.api import names

AUTHORITY: typing.Final = "authority.pem"
"""What a heavy server writes into its folder: the certificate that its own is signed by."""

_AT_WORK = "at work"
_START_SECONDS = 60
_AGAIN_SECONDS = 0.01


@contextlib.contextmanager
def at_work(folder: pathlib.Path, name: str, *arguments: object) -> collections.abc.Iterator[processes.Child]:
    """Give a weapon that is at work."""
    log = folder / f"{name}.log"
    child = processes.start([sys.executable, "-m", __name__, name, *map(str, arguments)], log=log, name=name)
    try:
        wait.until(
            lambda: _AT_WORK in log.read_text(encoding="utf-8") or not child.running,
            within_seconds=_START_SECONDS,
            why=f"{name} is at work",
        )
        if not child.running:
            raise RuntimeError(child.ended_early())
        yield child
    finally:
        child.kill()


def _say_at_work() -> None:
    print(_AT_WORK, flush=True)


async def _hold(port: int, count: int, addresses: int, *, speaks: bool) -> None:
    """Hold connections from some addresses, and open each again that is closed."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    tried = 0

    async def keep(address: str) -> None:
        nonlocal tried
        while True:
            try:
                async with asyncio.timeout(5):
                    reader, writer = await asyncio.open_connection(
                        "127.0.0.1", port, local_addr=(address, 0), ssl=context if speaks else None
                    )
                    if speaks:
                        # A whole request, so that what follows is the idle time of a connection that is kept.
                        writer.write(b"GET /v1/nothing HTTP/1.1\r\nHost: localhost\r\n\r\n")
                        await reader.read(1)
                tried += 1
                while await reader.read(4096):
                    pass
                writer.close()
            except (OSError, TimeoutError):
                tried += 1
            await asyncio.sleep(_AGAIN_SECONDS)

    async with asyncio.TaskGroup() as group:
        for number in range(addresses):
            for _ in range(count):
                group.create_task(keep(f"127.0.0.{2 + number}"))
        await wait.until_async(
            lambda: tried >= count * addresses, within_seconds=_START_SECONDS, why="every connection was tried"
        )
        _say_at_work()


def _forged() -> str:
    """Return what looks like a token of a ServiceAccount; each is another."""
    parts = (
        {"alg": "RS256", "kid": secrets.token_urlsafe(32)},
        {
            "iss": "https://kubernetes.default.svc.cluster.local",
            "sub": "system:serviceaccount:a:b",
            "aud": [names.TOKEN_AUDIENCE],
            "exp": int(time.time()) + 3600,
            "nbf": int(time.time()) - 60,
        },
    )
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts]
    return ".".join((*encoded, secrets.token_urlsafe(256)))


async def _flood(port: int, path: str, callers: int) -> None:
    """Send requests with forged tokens, one after another from each caller."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE

    async def call() -> None:
        while True:
            with contextlib.suppress(OSError, TimeoutError, asyncio.IncompleteReadError):
                async with asyncio.timeout(30):
                    reader, writer = await asyncio.open_connection(
                        "127.0.0.1", port, local_addr=("127.0.0.2", 0), ssl=context
                    )
                    with contextlib.closing(writer):
                        while True:
                            head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {_forged()}\r\n"
                            body = "Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
                            writer.write(f"{head}{body}".encode())
                            if not await reader.read(65536):
                                break
            await asyncio.sleep(0.01)

    async with asyncio.TaskGroup() as group:
        for _ in range(callers):
            group.create_task(call())
        _say_at_work()


async def _silent(port: int) -> None:
    """Accept connections at every address, and say nothing."""
    held: set[asyncio.StreamWriter] = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        held.add(writer)
        with contextlib.suppress(OSError):
            await reader.read()
        held.discard(writer)

    server = await asyncio.start_server(accept, "0.0.0.0", port, backlog=4096)  # noqa: S104 - 127/8 as a whole.
    _say_at_work()
    await server.serve_forever()


def _heavy(port: int, folder: pathlib.Path) -> typing.NoReturn:
    """Serve TLS whose handshake costs the client a second, at every address; its authority is written beside."""
    certificates = handshakes.plain_chain()
    context = handshakes.finite_field_context(certificates, folder)
    (folder / AUTHORITY).write_text(certificates.authority, encoding="ascii")
    listener = socket.create_server(("0.0.0.0", port), backlog=1024)  # noqa: S104
    _say_at_work()

    def serve(accepted: socket.socket) -> None:
        accepted.settimeout(60)
        with contextlib.suppress(OSError), context.wrap_socket(accepted, server_side=True) as wrapped:
            wrapped.recv(1)

    while True:
        accepted, _ = listener.accept()
        threading.Thread(target=serve, args=(accepted,), daemon=True).start()


def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=("hold", "flood", "silent", "heavy"))
    parser.add_argument("port", type=int)
    parser.add_argument("--count", type=int, default=1, help="connections of each address, or callers")
    parser.add_argument("--addresses", type=int, default=1)
    parser.add_argument("--speaks", action="store_true", help="makes the TLS handshake and one request first")
    parser.add_argument("--path", default="/")
    parser.add_argument("--folder", type=pathlib.Path, default=pathlib.Path())
    options = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    match options.name:
        case "hold":
            asyncio.run(_hold(options.port, options.count, options.addresses, speaks=options.speaks))
        case "flood":
            asyncio.run(_flood(options.port, options.path, options.count))
        case "silent":
            asyncio.run(_silent(options.port))
        case _:
            _heavy(options.port, options.folder)


if __name__ == "__main__":
    _main()
