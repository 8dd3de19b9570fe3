"""What of listings and watches reaches kopf: no echoes of our own writes, and of each object only what is read.

Every status that the operator writes comes back as an event. Parsed as kopf parses it, wrapped, matched with handlers
and dropped, such an echo costs more than the decision that led to the write. kopf reads from a session that we hand
it, so that echoes are taken out of the stream there: what says nothing new becomes a bookmark, from which kopf learns
how far the watch has come, as from the API server's own.

What tenants put into metadata is as large as etcd takes, and nobody reads it: it is skipped while decoding and never
held. Spec and status pass kopf as text (`unfold` reads them): kopf keeps an event for as long as its worker idles,
and as objects they are five times as large. And parts of listings are bounded by their bytes.

Everything that is not understood goes on as it came: kopf decides what an error in a stream means.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, Final, cast

import aiohttp
import msgspec

from mailtier.api import names
from mailtier.kube import listings
from mailtier.telemetry import metrics

_OK: Final = 200
_TEXTS: Final = ("spec", "status")

MAXIMUM_LABELS_BYTES: Final = 16 * 1024
"""Of a namespace that are kept, as JSON: one with more counts as having none, so that no policy selects it."""


class _Annotations(msgspec.Struct, omit_defaults=True):
    """The one annotation of our objects that is read."""

    requested_at: str = msgspec.field(default="", name=names.REQUESTED_AT_ANNOTATION)


class Metadata(msgspec.Struct, omit_defaults=True, rename="camel"):
    """What is read of an object's metadata, by kopf or by us.

    Attributes:
        labels: As JSON; only a namespace's are ever looked into.
    """

    name: str
    uid: str
    resource_version: str
    namespace: str = ""
    generation: int = 0
    creation_timestamp: str | None = None
    deletion_timestamp: str | None = None
    labels: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    annotations: _Annotations | None = None

    @property
    def requested_at(self) -> str:
        """The request to look anew; "" without one, and for one that is longer than it may be."""
        found = self.annotations.requested_at if self.annotations else ""
        return found if len(found) <= names.MAXIMUM_REQUEST_LENGTH else ""


IsEcho = Callable[[str, Metadata, bytes], bool]
"""Returns whether an object (its plural, its metadata, its status as JSON) is as it is known to be already."""


class _Object(msgspec.Struct, omit_defaults=True, rename="camel"):
    """An object without `managedFields` and annotations, which are most of it; spec and status stay as they came."""

    metadata: Metadata
    api_version: str = ""
    kind: str = ""
    spec: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    status: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class _Event(msgspec.Struct, omit_defaults=True):
    """One line of a watch."""

    type: str
    object: _Object


class Shown(msgspec.Struct, omit_defaults=True, rename="camel"):
    """An object as kopf gets it.

    Attributes:
        spec: Its JSON, a character for each byte, so that a wide character does not widen all the others.
        status: The same.
    """

    metadata: dict[str, Any]
    api_version: str = ""
    kind: str = ""
    spec: str = ""
    status: str = ""


_EVENTS: Final = msgspec.json.Decoder(_Event)
_OBJECTS: Final = msgspec.json.Decoder(_Object)
_BOOKMARK: Final = b'{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":%s}}}'


def _show(found: _Object, plural: str) -> Shown:
    """Return an object as kopf gets it."""
    requested = found.metadata.requested_at
    metadata = {
        key: value
        for key, value in {
            "name": found.metadata.name,
            "uid": found.metadata.uid,
            "resourceVersion": found.metadata.resource_version,
            "namespace": found.metadata.namespace,
            "generation": found.metadata.generation,
            "creationTimestamp": found.metadata.creation_timestamp,
            "deletionTimestamp": found.metadata.deletion_timestamp,
            "annotations": requested and {names.REQUESTED_AT_ANNOTATION: requested},
        }.items()
        if value
    }
    if plural == names.NAMESPACE_PLURAL and (labels := _labels(found.metadata.labels)):
        metadata["labels"] = labels
    return Shown(
        metadata=metadata,
        api_version=found.api_version,
        kind=found.kind,
        # What a namespace has beside its metadata, nobody reads.
        spec="" if plural == names.NAMESPACE_PLURAL else _text(found.spec),
        status="" if plural == names.NAMESPACE_PLURAL else _text(found.status),
    )


def _labels(found: msgspec.Raw | msgspec.UnsetType) -> dict[str, str]:
    if isinstance(found, msgspec.UnsetType) or len(bytes(found)) > MAXIMUM_LABELS_BYTES:
        return {}
    return msgspec.json.decode(found, type=dict[str, str] | None) or {}


def _text(found: msgspec.Raw | msgspec.UnsetType) -> str:
    return "" if isinstance(found, msgspec.UnsetType) else bytes(found).decode("latin-1")


def unfold(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return an object with its spec and status read; one that went on as it came is one already."""
    return {
        key: msgspec.json.decode(value.encode("latin-1")) if key in _TEXTS and isinstance(value, str) else value
        for key, value in document.items()
    }


def slim(line: bytes, plural: str, is_echo: IsEcho) -> tuple[bytes, bool]:
    """Return what kopf gets for a line of a watch, and whether that is a bookmark in the place of an echo.

    Args:
        line: Without its end.
        plural: Of the kind that is watched.
        is_echo: Asked about objects that are there; one that is gone is always news.
    """
    try:
        event = _EVENTS.decode(line)
        shown = _show(event.object, plural)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return line, False
    found, metadata = event.object, event.object.metadata
    status = b"{}" if isinstance(found.status, msgspec.UnsetType) else bytes(found.status)
    if event.type != "DELETED" and is_echo(plural, metadata, status):
        return _BOOKMARK % msgspec.json.encode(metadata.resource_version), True
    return msgspec.json.encode({"type": event.type, "object": shown}), False


class _Lines:
    """The content of a watch's answer, in whole lines that have been slimmed."""

    def __init__(self, content: aiohttp.StreamReader, plural: str, is_echo: IsEcho) -> None:
        self._content = content
        self._plural = plural
        self._is_echo = is_echo

    def __getattr__(self, name: str) -> Any:
        return getattr(self._content, name)

    async def iter_chunked(self, size: int) -> AsyncIterator[bytes]:
        """Yield lines as they come, many echoes in a row as one bookmark."""
        rest = b""
        async for data in self._content.iter_chunked(size):
            *lines, rest = (rest + data).split(b"\n")
            if lines:
                yield self._slim(lines)
                # Not held while the next line is waited for.
                del lines, data
            if len(rest) > listings.MAXIMUM_OBJECT_BYTES:
                # It is no object that etcd would have taken.
                yield rest
                rest = b""
        if rest:
            yield rest

    def _slim(self, lines: list[bytes]) -> bytes:
        slimmed: list[bytes] = []
        after_bookmark = False
        for line in lines:
            text, is_bookmark = slim(line, self._plural, self._is_echo)
            if is_bookmark and after_bookmark:
                slimmed[-1] = text
            else:
                slimmed.append(text)
            after_bookmark = is_bookmark
        return b"\n".join([*slimmed, b""])


class Response(aiohttp.ClientResponse):
    """An answer whose content may be another than what came."""

    shown: Any = None

    async def json(self, **options: Any) -> Any:
        """Return what is shown of it; all of it, where nobody said anything else."""
        return await super().json(**options) if self.shown is None else self.shown

    def watch(self, plural: str, is_echo: IsEcho) -> None:
        """Show the lines of a watch slimmed."""
        self.content = cast("aiohttp.StreamReader", _Lines(self.content, plural, is_echo))


class Slimming:
    """A middleware for a session of kopf's."""

    def __init__(self, plurals: frozenset[str], is_echo: IsEcho) -> None:
        """Make a middleware.

        Args:
            plurals: The kinds whose listings and watches are slimmed; every other answer stays as it is.
            is_echo: See there.
        """
        self._plurals = plurals
        self._is_echo = is_echo
        self._sizes = {plural: listings.Size() for plural in plurals}

    async def __call__(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        """Answer a request with what kopf needs of its answer."""
        plural = request.url.path.rpartition("/")[2]
        if request.method != "GET" or plural not in self._plurals:
            return await handler(request)
        if "watch" not in request.url.query:
            return await self._list(request, handler, plural)
        answer = await handler(request)
        if answer.status == _OK and isinstance(answer, Response):
            answer.watch(plural, self._is_echo)
        return answer

    async def _list(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType, plural: str
    ) -> aiohttp.ClientResponse:
        """Return a part of a listing, of as many objects as its bytes allow."""
        size = self._sizes[plural]
        while True:
            request.url = request.url.update_query(limit=str(size.objects))
            answer = await handler(request)
            if answer.status != _OK or not isinstance(answer, Response):
                return answer
            body = await listings.read(answer, limit_bytes=size.limit_bytes)
            if body is None:
                metrics.count_api_request(verb="list", resource=plural, code=listings.TOO_LARGE)
                try:
                    size.shrink()
                except listings.TooLargeError as error:
                    raise aiohttp.ClientPayloadError(str(error)) from None
                continue
            size.take(len(body))
            answer.shown = _shown_page(body, plural)
            return answer


def _shown_page(body: bytes, plural: str) -> Any:
    """Return a part of a listing as kopf gets it."""
    try:
        page = listings.decode(body)
        items = [msgspec.to_builtins(_show(_OBJECTS.decode(item), plural)) for item in page.items or ()]
    except (msgspec.DecodeError, UnicodeDecodeError):
        return msgspec.json.decode(body)
    shown = {"metadata": msgspec.to_builtins(page.metadata), "items": items}
    return shown | {"apiVersion": page.api_version, "kind": page.kind}
