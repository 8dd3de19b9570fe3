"""One HTTPS server of the bench, as a process: `python -m bench.intake.serving KIND PORT FOLDER LOOP`.

The folder holds `tls.crt` and `tls.key`. It serves until SIGTERM, and ends then without a word.
"""

import asyncio
import collections.abc
import contextlib
import datetime as dt
import importlib
import os
import pathlib
import signal
import ssl
import sys
import typing

from aiohttp import web

from bench.intake import foreign, identities
from mailtier.kube import reviews
from mailtier.sender import ports
from mailtier.sender.intake import far_delivery, ids, taking
from mailtier.sender.intake.http import access, certificates, server, service
from mailtier.sender.storage.sqlite import embedded
from mailtier.serving import connection, listener, protocol
from mailtier.telemetry import logs

Stack: typing.TypeAlias = contextlib.AsyncExitStack
Opener: typing.TypeAlias = collections.abc.Callable[[int, pathlib.Path, Stack], collections.abc.Awaitable[None]]

ANSWER = b'{"id": "01980b0e-5f2e-7c5e-8d0a-2b9f6a1c3d4e", "status": "/v1/namespaces/team-1/organizations/default"}'
_LIMITS = listener.Limits(connections=1_024, reserve=0, per_client=1_024)
_QUOTA = ports.QueueQuota(messages=10**9, payload_bytes=10**12, stored_bytes=10**12)


async def empty(port: int, folder: pathlib.Path, stack: Stack) -> None:
    """Serve aiohttp behind the listener of the product, with a handler that reads the body and knows the answer."""

    async def answer(request: web.Request) -> web.Response:
        await request.read()
        return web.Response(status=202, body=ANSWER, content_type="application/json")

    app = web.Application()
    app.router.add_post("/v1/namespaces/{namespace}/organizations/{organization}/notifications", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "tls.crt", folder / "tls.key")

    async def secure(_accepted: object, _client: str) -> ssl.SSLContext:
        return context

    def speak() -> asyncio.Protocol:
        assert runner.server is not None
        refusal = lambda _cause: web.Response(status=400)  # noqa: E731
        return protocol.Protocol(
            runner.server, refusal=refusal, loop=asyncio.get_running_loop(), access_log=None, keepalive_timeout=60.0
        )

    connections: dict[asyncio.Protocol, connection.ClientConnection] = {}
    listening = listener.Listener(speak, secure=secure, limits=_LIMITS, port="intake", connections=connections)
    listening.open("127.0.0.1", port)
    stack.push_async_callback(listening.close)


async def granian(port: int, folder: pathlib.Path, stack: Stack) -> None:
    """Serve granian in its embedded mode, with an application that reads the body and knows the answer."""
    constants, embed = (importlib.import_module(name) for name in ("granian.constants", "granian.server.embed"))

    async def answer(_scope: typing.Any, speaking: typing.Any) -> None:
        await speaking()
        speaking.response_bytes(202, [("content-type", "application/json")], ANSWER)

    serving = embed.Server(
        answer,
        address="127.0.0.1",
        port=port,
        interface=constants.Interfaces.RSGI,
        http=constants.HTTPModes.http1,
        websockets=False,
        log_enabled=False,
        ssl_cert=folder / "tls.crt",
        ssl_key=folder / "tls.key",
    )
    running = asyncio.create_task(serving.serve())

    async def close() -> None:
        serving.stop()
        await running

    stack.push_async_callback(close)


async def ours(port: int, folder: pathlib.Path, stack: Stack) -> None:
    """Serve the product's intake over a queue of its own, from which nothing is delivered."""
    logs.configure(level="INFO", style="json")
    now = lambda: dt.datetime.now(dt.UTC)  # noqa: E731
    queue = await embedded.open_queue(folder / "queue", now=now, limits=embedded.VolumeLimits(full_at=2.0))
    stack.push_async_callback(queue.close)
    api = typing.cast("typing.Any", identities.Apiserver())
    tells_nobody: typing.Any = lambda *_pending: None  # noqa: E731
    parts: dict[str, typing.Any] = {
        "gate": access.Gate(reviews.Authenticator(api, now=now), reviews.Authorizer(api)),
        "settings": identities.Settings(),
        "queue": queue,
        "taking": taking.Taking(
            queue,
            identifiers=ids.TimeSortedIds(now=now, entropy=os.urandom),
            on_pending=tells_nobody,
            quota=_QUOTA,
            now=now,
        ),
        "desk": identities.Desk(),
        "delivery": far_delivery.FarDelivery(queue, on_pending=tells_nobody, on_asked=tells_nobody, now=now),
    }
    is_usual = isinstance(asyncio.get_running_loop(), asyncio.BaseEventLoop)
    serving = server.Server if is_usual else foreign.Server
    intake = serving(service.Parts(**parts), source=certificates.MountedCertificates(folder), limits=_LIMITS)
    await intake.open("127.0.0.1", port)
    stack.push_async_callback(intake.close)


KINDS: dict[str, Opener] = {"empty": empty, "granian": granian, "ours": ours}


async def serve(kind: str, port: int, folder: pathlib.Path) -> None:
    """Serve until SIGTERM."""
    ended = asyncio.Event()
    async with contextlib.AsyncExitStack() as stack:
        await KINDS[kind](port, folder, stack)
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
        await ended.wait()


def main(kind: str, port: str, folder: str, loop: str) -> None:
    """Serve on an event loop by its name."""
    with asyncio.Runner(loop_factory=importlib.import_module(loop).new_event_loop) as runner:
        runner.run(serve(kind, int(port), pathlib.Path(folder)))


if __name__ == "__main__":
    main(*sys.argv[1:])
