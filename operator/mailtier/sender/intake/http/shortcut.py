"""The short way of a notification that comes alone, where it is known at once that nothing stands in its way.

Most requests of an application are like the one before: the caller is known, and so is what it may; the settings are
there, and the body has come with the head. Such a request needs no routing, no task and no waiting but for its commit,
which together cost as much as all else. Whatever is not so goes the way of all requests (`service`), which refuses,
asks, and waits: nothing is refused here before the body was read, and then by the same judgements.
"""

import asyncio
import dataclasses
import functools
import re
from collections.abc import Callable, Mapping
from typing import Final

from aiohttp import hdrs, http, streams

from mailtier.api import notification
from mailtier.sender import ports
from mailtier.sender.intake import taking
from mailtier.sender.intake.http import body, decoding, openapi, problems, rejections, service
from mailtier.serving import connection, protocol, wire
from mailtier.settings import effective
from mailtier.telemetry import intake_metrics

# Names that are written as they are: what is escaped is for the router.
_NAME: Final = "([a-z0-9.-]{1,63})"
_PATH: Final = re.compile(openapi.COLLECTION.format(namespace=_NAME, organization=_NAME))
_PLAIN_JSON: Final = frozenset({"application/json", "application/json; charset=utf-8"})
_TAKEN: Final = 202


class Shortcut:
    """Takes such requests.

    Args:
        parts: What the intake works with.
        connections: Of the listener, by their protocols.
    """

    def __init__(
        self, parts: service.Parts, connections: Mapping[asyncio.Protocol, connection.ClientConnection]
    ) -> None:
        self._parts = parts
        self._connections = connections

    def __call__(
        self,
        spoken: protocol.Protocol,
        message: http.RawRequestMessage,
        content: streams.StreamReader,
        answer: Callable[[bytes], None],
    ) -> bool:
        """Return whether the request is taken; it is answered then."""
        found = _PATH.fullmatch(message.path) if _is_plain(message) else None
        arrived = self._connections.get(spoken)
        if found is None or arrived is None:
            return False
        namespace, organization = found.groups()
        settings = self._parts.settings.get(_key(namespace, organization))
        caller = self._parts.gate.known(message.headers.get(hdrs.AUTHORIZATION), namespace)
        if settings is None or caller is None:
            return False
        arrived.begin()
        arrived.admit()
        request = _Request(arrived=arrived, answer=answer, settings=settings)
        try:
            key = service.idempotency_key(message.headers.getall(service.KEY_HEADER, []))
            request.content = body.parse(content.read_nowait(), decoding.SINGLE)
            source = taking.HttpsRequest(caller=caller.username, key=key)
            told = self._parts.taking.offer(request.content, settings, source)
        except Exception as error:  # noqa: BLE001  # Whatever it is, the caller learns what it comes to.
            asyncio.get_running_loop().call_soon(self._tell, request, error)
        else:
            told.add_done_callback(functools.partial(self._told, request))
        return True

    def _told(self, request: "_Request", told: asyncio.Future[taking.Verdict]) -> None:
        self._tell(request, told.exception() or told.result())

    def _tell(self, request: "_Request", verdict: ports.Enqueued | BaseException) -> None:
        settings, content = request.settings, request.content
        if isinstance(verdict, ports.Enqueued) and content is not None:
            status = _TAKEN
            headers, said = service.answer_to(self._parts, verdict, settings, content.category)
        else:
            problem = _problem_of(verdict, request)
            status = problem.kind.status
            headers, said = {hdrs.CONTENT_TYPE: problems.MEDIA_TYPE, **problem.headers}, problem.encoded()
        intake_metrics.count_intake_request(route=openapi.COLLECTION, code=status)
        request.answer(wire.answer(status, headers, said))
        request.arrived.end()


@dataclasses.dataclass(slots=True, kw_only=True, eq=False)
class _Request:
    """A request that was taken.

    Attributes:
        arrived: Its connection.
        answer: Sends what is answered.
        settings: Of the organization.
        content: What it holds; None where that could not be read.
    """

    arrived: connection.ClientConnection
    answer: Callable[[bytes], None]
    settings: effective.Effective
    content: notification.NotificationRequest | None = None


def _is_plain(message: http.RawRequestMessage) -> bool:
    """Return whether a request is of the kind that is taken, as far as its head says without its path and caller."""
    headers = message.headers
    return (
        message.method == hdrs.METH_POST
        and message.version == http.HttpVersion11
        and not (message.should_close or message.upgrade or message.chunked or message.compression)
        and headers.get(hdrs.CONTENT_TYPE) in _PLAIN_JSON
        and hdrs.CONTENT_ENCODING not in headers
        and hdrs.EXPECT not in headers
    )


def _problem_of(verdict: object, request: _Request) -> problems.HttpProblem:
    if isinstance(verdict, problems.HttpProblem):
        return verdict
    if isinstance(verdict, taking.NOT_TAKEN) and request.content is not None:
        return rejections.problem_of(verdict, request.content.category, request.settings.organization)
    return rejections.of_defect(verdict, route=openapi.COLLECTION)


@functools.lru_cache(maxsize=4_096)
def _key(namespace: str, name: str) -> effective.OrganizationKey:
    return effective.OrganizationKey(namespace=namespace, name=name)
