"""Health, readiness and metrics over HTTP, for the kubelet and Prometheus."""

import asyncio
import contextlib
import dataclasses
import http
import os
import pathlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler

from mailtier.serving import listener, protocol
from mailtier.telemetry import logs, metrics

Check = Callable[[], str | None]
"""Returns None while all is well, or a sentence that says what is not; quick, and without I/O."""

LIMITS: Final = listener.Limits(connections=64, reserve=0, per_client=16, opening_seconds=5.0)
"""One answer a connection: whoever asks again connects again, as the kubelet does, and nobody stays. A newcomer takes
the place of whoever has the most, so that a probe is answered however many hold on."""
_SHUTDOWN_SECONDS: Final = 2.0
_HEAD_BYTES: Final = 4 * 1024
_UMASK: Final = 0o177
_HEADERS: Final = 32

_log = logs.get_logger(__name__)


def application(
    role: metrics.Role,
    *,
    ready: Mapping[str, Check],
    alive: Mapping[str, Check] | None = None,
    routes: Sequence[web.AbstractRouteDef] = (),
) -> web.Application:
    """Return the application with `/healthz`, `/readyz` and `/metrics`.

    Args:
        role: Whose metrics are exported.
        ready: Checks by name; each that fails makes `/readyz` answer 503 with its sentence.
        alive: The same for `/healthz`, after which the kubelet restarts the container: only what a restart mends.
        routes: More routes on the same port.
    """

    async def healthz(_request: web.Request) -> web.Response:
        return _answer(alive or {})

    async def readyz(_request: web.Request) -> web.Response:
        return _answer(ready)

    async def export(_request: web.Request) -> web.Response:
        return web.Response(body=metrics.exposition(role), headers={"Content-Type": metrics.CONTENT_TYPE})

    app = web.Application(middlewares=[_once])
    app.add_routes([web.get("/healthz", healthz), web.get("/readyz", readyz), web.get("/metrics", export), *routes])
    return app


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PlainAnswer:
    """An answer as text."""

    status: int
    text: str
    content_type: str = "text/plain; charset=utf-8"


Page = Callable[[], Awaitable[PlainAnswer]]
"""What a page of others' making answers."""


def relay(pages: Mapping[str, Page]) -> web.Application:
    """Return an application with pages that are put together for each request."""

    def handler(page: Page) -> Handler:
        async def answer(_request: web.Request) -> web.StreamResponse:
            found = await page()
            return web.Response(
                status=found.status, body=found.text.encode(), headers={"Content-Type": found.content_type}
            )

        return answer

    app = web.Application(middlewares=[_once])
    app.add_routes([web.get(path, handler(page)) for path, page in pages.items()])
    return app


@contextlib.asynccontextmanager
async def serve_beside(app: web.Application, path: pathlib.Path) -> AsyncIterator[None]:
    """Serve on a Unix socket while the context lasts, for the supervisor; one that was left there is replaced."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=_SHUTDOWN_SECONDS)
    await runner.setup()
    try:
        await web.SockSite(runner, _bind(path)).start()
        yield
    finally:
        await runner.cleanup()


@contextlib.asynccontextmanager
async def serve(
    app: web.Application, *, host: str | None, port: int, limits: listener.Limits = LIMITS
) -> AsyncIterator[int]:
    """Serve while the context lasts, and give the port.

    Args:
        app: What `application` returned.
        host: An address; None or "" for every IPv4 and IPv6 address.
        port: 0 for any free one.
        limits: The port's bounds.
    """
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=_SHUTDOWN_SECONDS)
    await runner.setup()
    server = runner.server
    assert server is not None
    listening = listener.Listener(
        lambda: protocol.Protocol(
            server,
            refusal=_refusal,
            loop=asyncio.get_running_loop(),
            access_log=None,
            keepalive_timeout=limits.opening_seconds,
            max_line_size=_HEAD_BYTES,
            max_field_size=_HEAD_BYTES,
            max_headers=_HEADERS,
        ),
        secure=None,
        limits=limits,
        port="health",
    )
    try:
        actual = listening.open(host or "", port)
        _log.info("serving health and metrics", port=actual)
        yield actual
    finally:
        await listening.close()
        await runner.cleanup()


def _bind(path: pathlib.Path) -> socket.socket:
    path.unlink(missing_ok=True)
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    former = os.umask(_UMASK)
    try:
        bound.bind(str(path))
    finally:
        os.umask(former)
    return bound


@web.middleware
async def _once(request: web.Request, handler: Handler) -> web.StreamResponse:
    """End the connection with its first answer."""
    answer = await handler(request)
    answer.force_close()
    return answer


def _refusal(cause: web.HTTPException | int) -> web.Response:
    status = cause if isinstance(cause, int) else cause.status
    return web.Response(status=status, text=http.HTTPStatus(status).phrase + "\n")


def _answer(checks: Mapping[str, Check]) -> web.Response:
    failed = [f"{name}: {sentence}" for name, check in checks.items() if (sentence := _run(name, check)) is not None]
    if failed:
        return web.Response(status=503, text="\n".join(failed) + "\n")
    return web.Response(text="ok\n")


def _run(name: str, check: Check) -> str | None:
    try:
        return check()
    except Exception:  # noqa: BLE001  # Whatever it is, the sentence and the log say so.
        # A broken check must neither pass nor take the endpoint down.
        _log.exception("a check failed", check=name)
        return "the check itself failed; see the log"
