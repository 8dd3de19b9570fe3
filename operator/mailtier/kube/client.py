"""Requests to the Kubernetes API over one aiohttp session.

Bodies go out and come back as JSON. Every request has a wall-clock total, so that an apiserver that drips bytes
holds nobody up.
"""

import asyncio
import contextlib
import dataclasses
import http
import time
import urllib.parse
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping
from typing import Any, Final, Self

import aiohttp
import msgspec

from mailtier.kube import configuration, errors, paths
from mailtier.telemetry import metrics

Object = dict[str, Any]
"""A Kubernetes object, as JSON."""

_TIMEOUT_SECONDS: Final = 30.0
_CHUNK: Final = 500
_WATCH_SECONDS: Final = 300
# Beyond what the server was asked for; then the connection is dead.
_WATCH_GRACE_SECONDS: Final = 15.0
# The apiserver sends a bookmark about once a minute (`defaultBookmarkFrequency`), so longer silence is a dead peer.
_WATCH_SILENCE_SECONDS: Final = 100.0
# An object in etcd has at most 1.5 MiB (`--max-request-bytes`); escaped as JSON it can be several times larger.
_LINE_LIMIT_BYTES: Final = 16 * 1024 * 1024
_TRIES: Final = 5
_RETRY_LIMIT_SECONDS: Final = 5.0
_NO_LIMITS: Final = aiohttp.ClientTimeout(total=None)
_METADATA_LIST: Final = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
_JSON: Final = "application/json"
_APPLY: Final = "application/apply-patch+yaml"
_MERGE: Final = "application/merge-patch+json"
_METHODS: Final = {
    "get": "GET",
    "list": "GET",
    "watch": "GET",
    "create": "POST",
    "update": "PUT",
    "apply": "PATCH",
    "patch": "PATCH",
    "delete": "DELETE",
}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """Objects of one kind, all as of one moment.

    Attributes:
        items: Without their `kind` and `apiVersion`, which a list leaves out.
        resource_version: Where a watch goes on.
    """

    items: list[Object]
    resource_version: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class WatchEvent:
    """One line of a watch.

    Attributes:
        type: ADDED, MODIFIED, DELETED or BOOKMARK.
        object: The object; of a bookmark only `metadata.resourceVersion` counts.
    """

    type: str
    object: Object


class Client:
    """The Kubernetes API, as an async context manager.

    Every method raises the exceptions of `errors`: UnavailableError when there was no usable answer in time, and
    the others for what the apiserver refused.

    Args:
        connection: Where it is.
        limit: Connections at once, watches included.
        timeout_seconds: Total of one request.
    """

    def __init__(
        self, connection: configuration.Connection, *, limit: int = 64, timeout_seconds: float = _TIMEOUT_SECONDS
    ) -> None:
        self.connection = connection
        self._limit = limit
        self._timeout_seconds = timeout_seconds
        self._entered: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._entered = configuration.new_session(self.connection, limit=self._limit)
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self._session.close()

    async def get(self, path: str, *, timeout_seconds: float | None = None) -> Object:
        """Return one object."""
        return await self._request(_Call(verb="get", path=path), timeout_seconds=timeout_seconds)

    async def list(
        self,
        path: str,
        *,
        labels: str = "",
        fields: str = "",
        chunk: int = _CHUNK,
        metadata_only: bool = False,
        strip: Callable[[Object], Object] = lambda found: found,
    ) -> Listing:
        """Return all objects of a collection; the arguments are those of `pages`, and `strip`.

        Args:
            path: The collection.
            labels: A label selector.
            fields: A field selector.
            chunk: Objects a part.
            metadata_only: See `pages`.
            strip: Returns what is kept of each object, so that no more than a part is ever held whole.
        """
        choice = {"labels": labels, "fields": fields}
        try:
            return await _collect(self.pages(path, **choice, chunk=chunk, metadata_only=metadata_only), strip)
        except errors.GoneError:
            # The continue token outlived the history that etcd keeps. One list without chunks cannot.
            return await _collect(self.pages(path, **choice, chunk=0, metadata_only=metadata_only), strip)

    async def pages(
        self, path: str, *, labels: str = "", fields: str = "", chunk: int = _CHUNK, metadata_only: bool = False
    ) -> AsyncGenerator[Listing, None]:
        """Yield a collection in parts, all as of one moment; there is at least one.

        Args:
            path: The collection.
            labels: A label selector.
            fields: A field selector.
            chunk: Objects a part; 0 for all in one.
            metadata_only: Whether the objects come with their metadata alone, which spares both sides the rest.

        Raises:
            GoneError: The next part can no longer be told: begin again.
        """
        query = {"labelSelector": labels, "fieldSelector": fields, "limit": str(chunk) if chunk else ""}
        query = {key: value for key, value in query.items() if value}
        call = _Call(verb="list", path=path, accept=_METADATA_LIST if metadata_only else _JSON)
        while True:
            page = await self._request(call, query=query)
            metadata = page["metadata"]
            yield Listing(items=page.get("items") or [], resource_version=metadata["resourceVersion"])
            if not metadata.get("continue"):
                return
            query["continue"] = metadata["continue"]

    async def create(self, path: str, body: Object, *, timeout_seconds: float | None = None) -> Object:
        """Return the new object; `path` is its collection.

        Raises:
            ConflictError: There is one of that name.
        """
        return await self._request(_Call(verb="create", path=path), body=body, timeout_seconds=timeout_seconds)

    async def replace(self, path: str, body: Object, *, timeout_seconds: float | None = None) -> Object:
        """Return the object after an update (PUT).

        Raises:
            ConflictError: `body.metadata.resourceVersion` is not the current one.
        """
        return await self._request(_Call(verb="update", path=path), body=body, timeout_seconds=timeout_seconds)

    async def apply(self, path: str, body: Object, *, field_manager: str, force: bool = True) -> None:
        """Apply an object server-side, which creates it if there is none.

        The answer is not decoded: whoever applies knows what it wanted, and a watch shows what came of it.

        Args:
            path: The object, or its status (`paths.status`).
            body: The fields that the manager wants to own, with apiVersion, kind and metadata.name.
            field_manager: Who applies.
            force: Whether fields of other managers are taken over.

        Raises:
            ConflictError: Another manager owns a field and `force` is off, or `metadata.uid` is another object's.
        """
        query = {"fieldManager": field_manager, "force": "true" if force else "false"}
        await self._answered(_Call(verb="apply", path=path, content_type=_APPLY), body=body, query=query)

    async def merge(self, path: str, body: Object) -> None:
        """Change the fields of an object that the body holds; null removes one (RFC 7396).

        Raises:
            NotFoundError: There is none.
            ConflictError: `metadata.uid` or `metadata.resourceVersion` is not the object's.
        """
        await self._answered(_Call(verb="patch", path=path, content_type=_MERGE), body=body)

    async def delete(self, path: str, *, uid: str | None = None) -> None:
        """Delete one object in the background.

        Raises:
            NotFoundError: There is none.
            ConflictError: The object of that name has another uid.
        """
        options: Object = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"}
        if uid is not None:
            options["preconditions"] = {"uid": uid}
        await self._request(_Call(verb="delete", path=path), body=options)

    async def watch(
        self, path: str, *, resource_version: str, labels: str = "", timeout_seconds: int = _WATCH_SECONDS
    ) -> AsyncGenerator[WatchEvent, None]:
        """Yield what happens to a collection after a resource version, bookmarks included.

        It ends when the time is over or the peer fell silent: watch again from the last version seen.

        Args:
            path: The collection.
            resource_version: A listing's, or that of the last event.
            labels: A label selector.
            timeout_seconds: When the server ends it.

        Raises:
            GoneError: The version is too old: list again.
            UnavailableError: The connection was refused or cut.
        """
        query = {
            "watch": "1",
            "allowWatchBookmarks": "true",
            "resourceVersion": resource_version,
            "timeoutSeconds": str(timeout_seconds),
        }
        if labels:
            query["labelSelector"] = labels
        limits = aiohttp.ClientTimeout(total=timeout_seconds + _WATCH_GRACE_SECONDS, sock_read=_WATCH_SILENCE_SECONDS)
        call = _Call(verb="watch", path=path)
        metrics.count_watch(resource=call.resource)
        with _transport(call):
            async with asyncio.timeout(self._timeout_seconds):
                answer = await self._send(call, query=query, limits=limits)
            try:
                # Being silent or late is not a fault here: the caller watches again and learns more.
                with contextlib.suppress(TimeoutError):
                    async for line in _lines(answer, call):
                        yield _event(line, call)
            finally:
                # Closed in due form, it would wait for the peer's last word of TLS, for which the session does not.
                if answer.connection is not None and answer.connection.transport is not None:
                    answer.connection.transport.abort()
                answer.close()

    @property
    def _session(self) -> aiohttp.ClientSession:
        if self._entered is None:
            raise RuntimeError("the client is used outside its `async with`")
        return self._entered

    async def _request(
        self,
        call: "_Call",
        *,
        body: Object | None = None,
        query: Mapping[str, str] | None = None,
        timeout_seconds: float | None = None,
    ) -> Object:
        return _object(await self._answered(call, body=body, query=query, timeout_seconds=timeout_seconds), call)

    async def _answered(
        self,
        call: "_Call",
        *,
        body: Object | None = None,
        query: Mapping[str, str] | None = None,
        timeout_seconds: float | None = None,
    ) -> bytes:
        data = None if body is None else msgspec.json.encode(body)
        started = time.monotonic()
        try:
            with _transport(call):
                async with asyncio.timeout(self._timeout_seconds if timeout_seconds is None else timeout_seconds):
                    async with await self._send(call, query=query or {}, data=data, limits=_NO_LIMITS) as answer:
                        return await answer.read()
        finally:
            seconds = time.monotonic() - started
            metrics.observe_api_request(verb=call.verb, resource=call.resource, seconds=seconds)

    async def _send(
        self, call: "_Call", *, query: Mapping[str, str], limits: aiohttp.ClientTimeout, data: bytes | None = None
    ) -> aiohttp.ClientResponse:
        """Return a successful answer whose body is still to be read; wait and ask again while told to (429)."""
        suffix = f"?{urllib.parse.urlencode(query)}" if query else ""
        url = f"{self.connection.server}{call.path}{suffix}"
        for tries_left in reversed(range(_TRIES)):
            answer = await self._session.request(
                _METHODS[call.verb],
                url,
                data=data,
                headers={"Accept": call.accept, "Content-Type": call.content_type},
                timeout=limits,
                # A redirect would carry the credentials to somewhere else.
                allow_redirects=False,
            )
            metrics.count_api_request(verb=call.verb, resource=call.resource, code=str(answer.status))
            if answer.status < http.HTTPStatus.MULTIPLE_CHOICES:
                return answer
            async with answer:
                body = await answer.read()
            if answer.status != http.HTTPStatus.TOO_MANY_REQUESTS or not tries_left:
                raise errors.from_answer(answer.status, body, request=str(call), resource=call.resource)
            await asyncio.sleep(_retry_after(answer))
        raise AssertionError("the last try returned or raised")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Call:
    """What is asked, without the body: all that a message may quote."""

    verb: str
    path: str
    content_type: str = _JSON
    accept: str = _JSON

    def __str__(self) -> str:
        return f"{self.verb} {self.path}"

    @property
    def resource(self) -> str:
        return paths.resource(self.path)


@contextlib.contextmanager
def _transport(call: _Call) -> Iterator[None]:
    """Turn what goes wrong below HTTP into UnavailableError."""
    try:
        yield
    except TimeoutError as error:
        metrics.count_api_request(verb=call.verb, resource=call.resource, code="timeout")
        raise errors.UnavailableError(f"{call}: the apiserver did not answer in time") from error
    except (aiohttp.ClientError, OSError) as error:
        metrics.count_api_request(verb=call.verb, resource=call.resource, code="error")
        raise errors.UnavailableError(f"{call}: {type(error).__name__}: {error}") from error


async def _collect(pages: AsyncGenerator[Listing, None], strip: Callable[[Object], Object]) -> Listing:
    items: list[Object] = []
    version = ""
    async with contextlib.aclosing(pages):
        async for page in pages:
            items += map(strip, page.items)
            version = page.resource_version
    return Listing(items=items, resource_version=version)


def _retry_after(answer: aiohttp.ClientResponse) -> float:
    """Return how many seconds the apiserver asks us to wait, within reason; it sends whole seconds."""
    text = answer.headers.get("Retry-After", "")
    return min(float(text), _RETRY_LIMIT_SECONDS) if text.isascii() and text.isdigit() else 1.0


def _object(body: bytes, call: _Call) -> Object:
    try:
        found = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        found = None
    if not isinstance(found, dict):
        # The cause is left out: a decoder's exception holds the whole text (R1).
        raise errors.UnavailableError(f"{call}: the answer is not a JSON object")
    return found


def _event(line: bytes, call: _Call) -> WatchEvent:
    found = _object(line, call)
    if found.get("type") == "ERROR":
        told = found.get("object")
        code = told.get("code") if isinstance(told, dict) else None
        status = code if isinstance(code, int) else http.HTTPStatus.INTERNAL_SERVER_ERROR
        raise errors.from_status(told, status=status, request=str(call), resource=call.resource)
    return WatchEvent(type=str(found["type"]), object=found["object"])


async def _lines(answer: aiohttp.ClientResponse, call: _Call) -> AsyncIterator[bytes]:
    """Yield whole lines; aiohttp's own reader refuses lines as long as an object may be."""
    parts: list[bytes] = []
    async for chunk in answer.content.iter_any():
        *ends, rest = chunk.split(b"\n")
        for end in ends:
            line = b"".join([*parts, end])
            parts.clear()
            if line:
                yield line
        parts.append(rest)
        if sum(map(len, parts)) > _LINE_LIMIT_BYTES:
            raise errors.UnavailableError(f"{call}: an event is longer than {_LINE_LIMIT_BYTES} bytes")
