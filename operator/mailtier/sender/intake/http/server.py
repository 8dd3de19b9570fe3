"""The HTTPS server of the intake."""

import asyncio
import functools
import http
import pathlib
import socket
import ssl
from collections.abc import Mapping, Sequence
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

import mailtier
from mailtier.api import notification
from mailtier.sender import ports
from mailtier.sender.intake.http import (
    batching,
    bodies,
    body,
    certificates,
    entrance,
    openapi,
    probing,
    problems,
    queue_turns,
    rejections,
    service,
    shortcut,
)
from mailtier.sender.intake.http.people import handling, resuming, routes, suppressing
from mailtier.sender.net import handshakes
from mailtier.serving import connection, listener, protocol
from mailtier.telemetry import intake_metrics, logs

_AGAIN_SECONDS: Final = 2
_LINGER_SECONDS: Final = 2.0
# A commit takes milliseconds; a body has its own limit.
_SHUTDOWN_SECONDS: Final = 10.0
_HEAD_BYTES: Final = 8 * 1024
_HEADERS: Final = 64
_REFRESH_SECONDS: Final = 10.0
_UNKNOWN_ROUTE: Final = "unknown"
_AWAY: Final = (
    "the queue does not answer at present; send the request again. The platform team sees since when in `mailtier"
    " status`, and why in the sender's log"
)
_TAKING_AWAY: Final = (
    "the queue does not answer at present; send the request again, a notification with the same idempotency key"
)

_log = logs.get_logger(__name__)


class Server:
    """Serves the intake over TLS.

    Args:
        parts: What it works with.
        source: Its certificate.
        authority_file: Where the certificates that clients verify against are published; None for nowhere.
        limits: The bounds of its port.
        trusted_proxies: From where a header of PROXY protocol version 2 is expected, and taken at its word.
    """

    def __init__(
        self,
        parts: service.Parts,
        *,
        source: certificates.Certificates,
        authority_file: pathlib.Path | None = None,
        limits: listener.Limits | None = None,
        trusted_proxies: Sequence[listener.Network] = (),
    ) -> None:
        enter = entrance.Entrance(parts.gate, parts.settings)
        room = bodies.Bodies()
        self._parts = parts
        self._taking = parts.taking
        self._service = service.Service(parts, enter, room, queue_turns.QueueTurns("looks"))
        self._batching = batching.Batching(parts, enter, room)
        self._probing = probing.Probing(enter, parts.delivery)
        self._desk = parts.desk
        turns = queue_turns.QueueTurns("lists")
        self._people = handling.People(parts.desk, enter, room, turns, delivery=parts.delivery)
        self._suppressing = suppressing.Suppressing(parts.desk, enter, room, turns)
        self._resuming = resuming.Resuming(parts.desk, enter)
        self._source = source
        self._authority_file = authority_file
        self._limits = limits or listener.Limits()
        self._trusted_proxies = trusted_proxies
        # Threads of its own: strangers come in here, and shall keep no session of the sender's waiting.
        self._handshakes = handshakes.Handshakes()
        self._runner: web.AppRunner | None = None
        self._listener: listener.Listener | None = None

    async def open(self, host: str, port: int) -> int:
        """Listen, and return the port.

        Raises:
            CertificateError: There is no usable certificate.
            OSError: The address cannot be had.
        """
        await asyncio.to_thread(self._refresh)
        connections: dict[asyncio.Protocol, connection.ClientConnection] = {}
        handlers = (self._service, self._batching, self._probing, self._people, self._suppressing)
        self._runner = web.AppRunner(
            application(*handlers, resuming=self._resuming, connections=connections),
            access_log=None,
            shutdown_timeout=_SHUTDOWN_SECONDS,
        )
        await self._runner.setup()
        assert self._runner.server is not None
        self._listener = listener.Listener(
            functools.partial(
                protocol.Protocol,
                self._runner.server,
                refusal=_refusal,
                shortcut=shortcut.Shortcut(self._parts, connections),
                loop=asyncio.get_running_loop(),
                access_log=None,
                keepalive_timeout=self._limits.idle_seconds,
                lingering_time=_LINGER_SECONDS,
                max_line_size=_HEAD_BYTES,
                max_field_size=_HEAD_BYTES * 2,
                max_headers=_HEADERS,
                auto_decompress=False,
            ),
            secure=self._secure,
            limits=self._limits,
            port="intake",
            connections=connections,
            trusted_proxies=self._trusted_proxies,
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
        await self._taking.drain()
        await self._desk.drain()

    async def _secure(self, accepted: socket.socket, client: str) -> ssl.SSLContext:
        secured = await self._handshakes.accept(accepted, self._source.context, owner=client)
        return secured.for_asyncio

    def _refresh(self) -> bool:
        renewed = self._source.refresh()
        pem = self._source.authority_pem
        if self._authority_file is not None and pem is not None and _read(self._authority_file) != pem:
            certificates.write_atomically(self._authority_file, pem.encode("ascii"), mode=0o644)
        return renewed


def application(
    handlers: service.Service,
    batches: batching.Batching,
    probes: probing.Probing,
    people: handling.People,
    refused: suppressing.Suppressing,
    *,
    resuming: resuming.Resuming,
    connections: Mapping[asyncio.Protocol, connection.ClientConnection],
) -> web.Application:
    """Return the routes, with every failure turned into a problem document.

    Args:
        handlers: Of notifications that come alone.
        batches: Handler of those that come together.
        probes: Handlers of probes.
        people: Handlers of what people ask of the queue.
        refused: Handlers of addresses that nothing is sent to.
        resuming: Handler for a restored queue.
        connections: Of the listener, by their protocols.
    """
    app = web.Application(
        middlewares=[_in_time(connections), _problems_as_json],
        client_max_size=notification.MAXIMUM_TOTAL_BYTES,
    )
    description = openapi.document(version=mailtier.__version__)

    async def describe(_request: web.Request) -> web.Response:
        return web.json_response(description)

    app.router.add_get(openapi.PATH, describe)
    app.router.add_post(openapi.COLLECTION, handlers.create)
    app.router.add_post(openapi.BATCH, batches.create)
    app.router.add_get(openapi.ITEM, handlers.look_up)
    app.router.add_get(routes.LIST, people.list)
    app.router.add_get(routes.ONE, people.show)
    app.router.add_post(routes.RETRY, people.retry)
    app.router.add_post(routes.DROP, people.drop)
    app.router.add_post(routes.RELEASE, people.release)
    app.router.add_post(routes.RESUME, resuming.resume)
    app.router.add_get(routes.SUPPRESSIONS, refused.list)
    app.router.add_post(routes.CLEAR, refused.clear)
    app.router.add_post(openapi.PROBES, probes.organization)
    app.router.add_post(openapi.HOST_PROBES, probes.host)
    return app


def _in_time(connections: Mapping[asyncio.Protocol, connection.ClientConnection]) -> Middleware:
    """Return what keeps the time of a connection's stages, and the connection open only for whom a request let in."""

    @web.middleware
    async def keep(request: web.Request, handler: Handler) -> web.StreamResponse:
        found = connections.get(request.protocol)
        if found is None:
            raise ConnectionResetError("the connection is gone")
        request[entrance.CONNECTION] = found
        found.begin()
        try:
            answer = await handler(request)
            if not found.admitted:
                answer.force_close()
            return answer
        finally:
            found.end()

    return keep


@web.middleware
async def _problems_as_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        answer = await handler(request)
    except problems.HttpProblem as problem:
        answer = problem.response()
    except web.HTTPException as error:
        answer = _problem_of(error).response()
    except ports.StorageAwayError as error:
        # Of its text nothing is told: it names the database's errors.
        _log.warning("a request could not be answered", route=_route(request), error=str(error))
        answer = problems.HttpProblem(
            problems.QUEUE_AWAY,
            _TAKING_AWAY if _route(request) in {openapi.COLLECTION, openapi.BATCH} else _AWAY,
            headers={"Retry-After": str(_AGAIN_SECONDS)},
        ).response()
    except (ConnectionError, asyncio.CancelledError):
        raise
    except Exception as error:  # noqa: BLE001  # Whatever it is, the caller learns that it is our fault.
        answer = rejections.of_defect(error, route=_route(request)).response()
    intake_metrics.count_intake_request(route=_route(request), code=answer.status)
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
            return body.too_large()
        case web.HTTPExpectationFailed():
            return problems.HttpProblem(problems.MALFORMED, "the only expectation that is met is 100-continue")
        case _:
            return problems.HttpProblem(problems.MALFORMED, "the request cannot be read")


def _refusal(cause: web.HTTPException | int) -> web.Response:
    """Return the answer where no route was reached: the head cannot be read, or what it expects cannot be met."""
    if isinstance(cause, web.HTTPException):
        problem = _problem_of(cause)
    elif cause < http.HTTPStatus.INTERNAL_SERVER_ERROR:
        problem = problems.HttpProblem(
            problems.MALFORMED,
            f"the head of the request cannot be read; it has at most {_HEADERS} headers, lines of {_HEAD_BYTES} bytes"
            f" and values of {_HEAD_BYTES * 2}, in the form of HTTP/1.1",
        )
    else:
        problem = problems.HttpProblem(problems.BROKEN, "the sender failed; send the request again")
    answer = problem.response()
    intake_metrics.count_intake_request(route=_UNKNOWN_ROUTE, code=answer.status)
    return answer


def _route(request: web.Request) -> str:
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else _UNKNOWN_ROUTE


def _read(path: pathlib.Path) -> str | None:
    try:
        return path.read_text(encoding="ascii")
    except (OSError, UnicodeError):
        return None
