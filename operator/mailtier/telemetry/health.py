"""Health, readiness and metrics over HTTP, for the kubelet and Prometheus."""

import contextlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Final

from aiohttp import web

from mailtier.telemetry import logs, metrics

Check = Callable[[], str | None]
"""Returns None while all is well, or a sentence that says what is not; quick, and without I/O."""

_KEEPALIVE_SECONDS: Final = 75.0
_SHUTDOWN_SECONDS: Final = 2.0

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

    app = web.Application()
    app.add_routes([web.get("/healthz", healthz), web.get("/readyz", readyz), web.get("/metrics", export), *routes])
    return app


@contextlib.asynccontextmanager
async def serve(app: web.Application, *, host: str | None, port: int) -> AsyncIterator[int]:
    """Serve while the context lasts, and give the port.

    Args:
        app: What `application` returned.
        host: An address; None or "" for every IPv4 and IPv6 address.
        port: 0 for any free one.
    """
    runner = web.AppRunner(
        app, access_log=None, keepalive_timeout=_KEEPALIVE_SECONDS, shutdown_timeout=_SHUTDOWN_SECONDS
    )
    await runner.setup()
    try:
        site = web.TCPSite(runner, host or None, port)
        await site.start()
        actual: int = runner.addresses[0][1]
        _log.info("serving health and metrics", port=actual)
        yield actual
    finally:
        await runner.cleanup()


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
