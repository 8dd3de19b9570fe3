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
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Any, Final, Self

import aiohttp
import msgspec

from mailtier.kube import configuration, errors, listings, requests
from mailtier.telemetry import metrics

Object = dict[str, Any]
"""A Kubernetes object, as JSON."""

Read = Callable[[bytes], Object]
"""Returns what is kept of an object, from its JSON; it raises msgspec.DecodeError where there is none."""

_TIMEOUT_SECONDS: Final = 30.0
_LISTINGS: Final = 3
_WATCH_SECONDS: Final = 300
# Beyond what the server was asked for; then the connection is dead.
_WATCH_GRACE_SECONDS: Final = 15.0
# The apiserver sends a bookmark about once a minute (`defaultBookmarkFrequency`), so longer silence is a dead peer.
_WATCH_SILENCE_SECONDS: Final = 100.0
_LINE_LIMIT_BYTES: Final = listings.MAXIMUM_OBJECT_BYTES
_TRIES: Final = 5
_RETRY_LIMIT_SECONDS: Final = 5.0
_NO_LIMITS: Final = aiohttp.ClientTimeout(total=None)
_METADATA_LIST: Final = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
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


def _whole(text: bytes) -> Object:
    """Return all of an object."""
    found: Object = msgspec.json.decode(text, type=dict[str, Any])
    return found


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
        self.date = ""
        """When the API server gave its last answer, by its own clock (RFC 9110 section 6.6.1); "" before the first."""

    async def __aenter__(self) -> Self:
        self._entered = configuration.new_session(self.connection, limit=self._limit)
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self._session.close()

    async def get(self, path: str, *, timeout_seconds: float | None = None, accept: str = requests.JSON) -> Object:
        """Return one object; `accept` is the media type, where the API has it in another form of JSON alone."""
        call = requests.Call(verb="get", path=path, accept=accept)
        return await self._request(call, timeout_seconds=timeout_seconds)

    async def list(
        self,
        path: str,
        *,
        labels: str = "",
        fields: str = "",
        chunk: int = listings.MOST_OBJECTS,
        metadata_only: bool = False,
        read: Read = _whole,
    ) -> Listing:
        """Return all objects of a collection; the arguments are those of `pages`.

        Raises:
            GoneError: It fell behind what etcd remembers, again and again.
        """
        for tries_left in reversed(range(_LISTINGS)):
            parts = self.pages(path, labels=labels, fields=fields, chunk=chunk, metadata_only=metadata_only, read=read)
            try:
                return await _collect(parts)
            except errors.GoneError:
                # The token of the next part outlived the history that etcd keeps. All in one piece would not, and
                # would be as large as tenants like.
                if not tries_left:
                    raise
        raise AssertionError("the last try returned or raised")

    async def pages(
        self,
        path: str,
        *,
        labels: str = "",
        fields: str = "",
        chunk: int = listings.MOST_OBJECTS,
        metadata_only: bool = False,
        read: Read = _whole,
    ) -> AsyncGenerator[Listing, None]:
        """Yield a collection in parts, all as of one moment; there is at least one.

        Args:
            path: The collection.
            labels: A label selector.
            fields: A field selector.
            chunk: Objects a part at most; large ones come in smaller parts.
            metadata_only: Whether the objects come with their metadata alone, which spares both sides the rest.
            read: Returns what is kept of each object, from its JSON: what it does not decode is never held.

        Raises:
            GoneError: The next part can no longer be told: begin again.
        """
        query = {"labelSelector": labels, "fieldSelector": fields}
        query = {key: value for key, value in query.items() if value}
        call = requests.Call(verb="list", path=path, accept=_METADATA_LIST if metadata_only else requests.JSON)
        size = listings.Size(most=chunk)
        while True:
            query["limit"] = str(size.objects)
            body = await self._answered(call, query=query, limit_bytes=size.limit_bytes)
            if body is None:
                _shrink(size, call)
                continue
            size.take(len(body))
            listing, query["continue"] = _part(body, call, read)
            del body
            yield listing
            if not query["continue"]:
                return

    async def create(self, path: str, body: Object, *, timeout_seconds: float | None = None) -> Object:
        """Return the new object; `path` is its collection.

        Raises:
            ConflictError: There is one of that name.
        """
        return await self._request(requests.Call(verb="create", path=path), body=body, timeout_seconds=timeout_seconds)

    async def replace(self, path: str, body: Object, *, timeout_seconds: float | None = None) -> Object:
        """Return the object after an update (PUT).

        Raises:
            ConflictError: `body.metadata.resourceVersion` is not the current one.
        """
        return await self._request(requests.Call(verb="update", path=path), body=body, timeout_seconds=timeout_seconds)

    async def apply(self, path: str, body: Object, *, field_manager: str, force: bool = True) -> str:
        """Apply an object server-side, which creates it if there is none; return the uid of what is there now.

        The rest of the answer is skipped: whoever applies knows what it wanted, and a watch shows what came of it; see
        `put`. A status goes to whatever object has the name, whatever uid it was applied with.

        Args:
            path: The object, or its status (`paths.status`).
            body: The fields that the manager wants to own, with apiVersion, kind and metadata.name.
            field_manager: Who applies.
            force: Whether fields of other managers are taken over.

        Raises:
            ConflictError: Another manager owns a field and `force` is off, or there is no object of `metadata.uid`.
            InvalidError: `metadata.uid` is another object's; a status is applied whatever it is.
        """
        query = {"fieldManager": field_manager, "force": "true" if force else "false"}
        call = requests.Call(verb="apply", path=path, content_type=_APPLY)
        return requests.uid(await self._answered(call, body=body, query=query), call)

    async def put(self, path: str, body: Object, *, field_manager: str) -> Object:
        """Apply as `apply` does, with force, and return what is there afterwards: what others own is left to them."""
        query = {"fieldManager": field_manager, "force": "true"}
        return await self._request(requests.Call(verb="apply", path=path, content_type=_APPLY), body=body, query=query)

    async def merge(self, path: str, body: Object) -> None:
        """Change the fields of an object that the body holds; null removes one (RFC 7396).

        Raises:
            NotFoundError: There is none.
            ConflictError: `metadata.resourceVersion` is not the object's.
            InvalidError: `metadata.uid` is not the object's, of which there is no talk with a status.
        """
        await self._answered(requests.Call(verb="patch", path=path, content_type=_MERGE), body=body)

    async def delete(self, path: str, *, uid: str | None = None) -> None:
        """Delete one object in the background.

        Raises:
            NotFoundError: There is none.
            ConflictError: The object of that name has another uid.
        """
        options: Object = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"}
        if uid is not None:
            options["preconditions"] = {"uid": uid}
        await self._request(requests.Call(verb="delete", path=path), body=options)

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
        call = requests.Call(verb="watch", path=path)
        metrics.count_watch(resource=call.resource)
        with requests.transport(call):
            async with asyncio.timeout(self._timeout_seconds):
                answer = await self._send(call, query=query, limits=limits)
            try:
                # Being silent or late is not a fault here: the caller watches again and learns more.
                with contextlib.suppress(TimeoutError):
                    async for line in requests.lines(answer, call):
                        yield _event(line, call)
            finally:
                listings.abort(answer)

    @property
    def _session(self) -> aiohttp.ClientSession:
        if self._entered is None:
            raise RuntimeError("the client is used outside its `async with`")
        return self._entered

    async def _request(
        self,
        call: requests.Call,
        *,
        body: Object | None = None,
        query: Mapping[str, str] | None = None,
        timeout_seconds: float | None = None,
    ) -> Object:
        found = await self._answered(call, body=body, query=query, timeout_seconds=timeout_seconds)
        if found is None:
            raise errors.UnavailableError(f"{call}: the answer has more than {listings.MAXIMUM_OBJECT_BYTES} bytes")
        return requests.decoded(found, call)

    async def _answered(
        self,
        call: requests.Call,
        *,
        body: Object | None = None,
        query: Mapping[str, str] | None = None,
        timeout_seconds: float | None = None,
        limit_bytes: int = listings.MAXIMUM_OBJECT_BYTES,
    ) -> bytes | None:
        """Return the body of a successful answer; None if it is larger than it may be."""
        data = None if body is None else msgspec.json.encode(body)
        started = time.monotonic()
        try:
            with requests.transport(call):
                async with asyncio.timeout(self._timeout_seconds if timeout_seconds is None else timeout_seconds):
                    async with await self._send(call, query=query or {}, data=data, limits=_NO_LIMITS) as answer:
                        return await listings.read(answer, limit_bytes=limit_bytes)
        finally:
            seconds = time.monotonic() - started
            metrics.observe_api_request(verb=call.verb, resource=call.resource, seconds=seconds)

    async def _send(
        self, call: requests.Call, *, query: Mapping[str, str], limits: aiohttp.ClientTimeout, data: bytes | None = None
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
            self.date = answer.headers.get("Date", "")
            if answer.status < http.HTTPStatus.MULTIPLE_CHOICES:
                return answer
            async with answer:
                body = await listings.read(answer, limit_bytes=listings.MAXIMUM_BYTES) or b""
            if answer.status != http.HTTPStatus.TOO_MANY_REQUESTS or not tries_left:
                raise errors.from_answer(answer.status, body, request=str(call), resource=call.resource)
            await asyncio.sleep(requests.retry_after(answer))
        raise AssertionError("the last try returned or raised")


def _shrink(size: listings.Size, call: requests.Call) -> None:
    metrics.count_api_request(verb=call.verb, resource=call.resource, code=listings.TOO_LARGE)
    try:
        size.shrink()
    except listings.TooLargeError as error:
        raise errors.UnavailableError(f"{call}: {error}") from None


def _part(body: bytes, call: requests.Call, read: Read) -> tuple[Listing, str]:
    """Return a part of a listing, and the token of the next; "" at the end."""
    try:
        page = listings.decode(body)
        items = [read(item) for item in page.items or ()]
    except (msgspec.DecodeError, UnicodeDecodeError):
        # The cause is left out: a decoder's exception holds the whole text (R1).
        raise errors.UnavailableError(f"{call}: the answer is not a list of objects") from None
    return Listing(items=items, resource_version=page.metadata.resource_version), page.metadata.continue_


async def _collect(parts: AsyncGenerator[Listing, None]) -> Listing:
    items: list[Object] = []
    version = ""
    async with contextlib.aclosing(parts):
        async for part in parts:
            items += part.items
            version = part.resource_version
    return Listing(items=items, resource_version=version)


def _event(line: bytes, call: requests.Call) -> WatchEvent:
    found = requests.decoded(line, call)
    if found.get("type") == "ERROR":
        told = found.get("object")
        code = told.get("code") if isinstance(told, dict) else None
        status = code if isinstance(code, int) else http.HTTPStatus.INTERNAL_SERVER_ERROR
        raise errors.from_status(told, status=status, request=str(call), resource=call.resource)
    return WatchEvent(type=str(found["type"]), object=found["object"])
