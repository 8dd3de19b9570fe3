"""The HTTPS server of the intake."""

import asyncio
import logging
import pathlib
import traceback
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler

import mailtier
from mailtier.api import notification
from mailtier.sender.intake import certificates, entrance, listener, openapi, probing, problems, service
from mailtier.telemetry import logs, metrics

_IDLE_SECONDS: Final = 15.0
"""For the head of a request to arrive as a whole, and for a connection to stay without a request."""
_LINGER_SECONDS: Final = 2.0
# A commit takes milliseconds; a body has its own limit.
_SHUTDOWN_SECONDS: Final = 10.0
_HEAD_BYTES: Final = 8 * 1024
_HEADERS: Final = 64
_REFRESH_SECONDS: Final = 10.0
_UNKNOWN_ROUTE: Final = "unknown"

_log = logs.get_logger(__name__)


class Server:
    """Serves the intake over TLS.

    Args:
        parts: What it works with.
        source: Its certificate.
        authority_file: Where the certificates that clients verify against are published; None for nowhere.
        connections: The most connections at the same time.
        per_client: The most connections of one address.
    """

    def __init__(
        self,
        parts: service.Parts,
        *,
        source: certificates.Certificates,
        authority_file: pathlib.Path | None = None,
        connections: int = listener.CONNECTIONS,
        per_client: int = listener.CONNECTIONS_PER_CLIENT,
    ) -> None:
        enter = entrance.Entrance(parts.gate, parts.settings)
        self._service = service.Service(parts, enter)
        self._probing = probing.Probing(enter, parts.probes)
        self._source = source
        self._authority_file = authority_file
        self._limits = (connections, per_client)
        self._runner: web.AppRunner | None = None
        self._listener: listener.Listener | None = None

    async def open(self, host: str, port: int) -> int:
        """Listen, and return the port.

        Raises:
            CertificateError: There is no usable certificate.
            OSError: The address cannot be had.
        """
        await asyncio.to_thread(self._refresh)
        self._runner = web.AppRunner(
            application(self._service, self._probing),
            access_log=None,
            logger=_QuietLogger(),
            keepalive_timeout=_IDLE_SECONDS,
            lingering_time=_LINGER_SECONDS,
            shutdown_timeout=_SHUTDOWN_SECONDS,
            max_line_size=_HEAD_BYTES,
            max_field_size=_HEAD_BYTES * 2,
            max_headers=_HEADERS,
            auto_decompress=False,
        )
        await self._runner.setup()
        assert self._runner.server is not None
        connections, per_client = self._limits
        self._listener = listener.Listener(
            self._runner.server,
            context=lambda: self._source.context,
            connections=connections,
            per_client=per_client,
        )
        return self._listener.open(host, port)

    async def run(self) -> None:
        """Keep the certificate fresh until cancelled; one that cannot be used leaves the last one in force."""
        while True:
            await asyncio.sleep(_REFRESH_SECONDS)
            try:
                if await asyncio.to_thread(self._refresh):
                    _log.info("the intake has a new certificate")
            except certificates.CertificateError as error:
                _log.error("the intake's certificate cannot be renewed", error=str(error))

    async def close(self) -> None:
        """Take no more connections, finish the requests under way, and what they store."""
        listening, self._listener = self._listener, None
        runner, self._runner = self._runner, None
        if listening is not None:
            await listening.close()
        if runner is not None:
            await runner.cleanup()
        await self._service.drain()

    def _refresh(self) -> bool:
        renewed = self._source.refresh()
        pem = self._source.authority_pem
        if self._authority_file is not None and pem is not None and _read(self._authority_file) != pem:
            certificates.write_atomically(self._authority_file, pem.encode("ascii"), mode=0o644)
        return renewed


def application(handlers: service.Service, probes: probing.Probing) -> web.Application:
    """Return the routes, with every failure turned into a problem document."""
    app = web.Application(middlewares=[_problems_as_json], client_max_size=notification.MAXIMUM_TOTAL_BYTES)
    description = openapi.document(version=mailtier.__version__)

    async def describe(_request: web.Request) -> web.Response:
        return web.json_response(description)

    app.router.add_get(openapi.PATH, describe)
    app.router.add_post(openapi.COLLECTION, handlers.create)
    app.router.add_get(openapi.ITEM, handlers.look_up)
    app.router.add_post(openapi.PROBES, probes.organization)
    app.router.add_post(openapi.HOST_PROBES, probes.host)
    return app


@web.middleware
async def _problems_as_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        answer = await handler(request)
    except problems.HttpProblem as problem:
        answer = problem.response()
    except web.HTTPException as error:
        answer = _problem_of(error).response()
    except (ConnectionError, asyncio.CancelledError):
        raise
    except Exception as error:  # noqa: BLE001  # Whatever it is, the caller learns that it is our fault.
        # Without the exception's text, which may quote the body (R1).
        _log.error(
            "a request failed",
            route=_route(request),
            error=type(error).__name__,
            where="".join(traceback.format_tb(error.__traceback__)),
        )
        answer = problems.HttpProblem(
            problems.BROKEN, "the sender failed; send the request again with the same idempotency key"
        ).response()
    metrics.count_intake_request(route=_route(request), code=answer.status)
    return answer


def _problem_of(error: web.HTTPException) -> problems.HttpProblem:
    match error:
        case web.HTTPMethodNotAllowed():
            allowed = ", ".join(sorted(error.allowed_methods))
            return problems.HttpProblem(
                problems.METHOD_NOT_ALLOWED, f"this path takes {allowed}", headers={"Allow": allowed}
            )
        case web.HTTPNotFound():
            return problems.HttpProblem(problems.NOT_FOUND, f"look at {openapi.PATH} for the paths")
        case web.HTTPRequestEntityTooLarge():
            return problems.HttpProblem(
                problems.TOO_LARGE,
                f"a request holds at most {notification.MAXIMUM_TOTAL_BYTES} bytes; shorten it, or send a link instead",
            )
        case _:
            return problems.HttpProblem(problems.MALFORMED, "the request cannot be read")


def _route(request: web.Request) -> str:
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else _UNKNOWN_ROUTE


def _read(path: pathlib.Path) -> str | None:
    try:
        return path.read_text(encoding="ascii")
    except (OSError, UnicodeError):
        return None


class _QuietLogger(logging.Logger):
    """aiohttp logs a request that it cannot parse with an exception that quotes it, headers and all (R1)."""

    def __init__(self) -> None:
        super().__init__("mailtier.sender.intake.http", logging.WARNING)

    def handle(self, record: logging.LogRecord) -> None:
        _log.warning("a request could not be read, or its connection failed")
