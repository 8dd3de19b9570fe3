"""What of a watch reaches kopf: no echoes of our own writes, and of each object only what is read.

Every status that the operator writes comes back as an event. Parsed as kopf parses it, wrapped, matched with handlers
and dropped, such an echo costs more than the decision that led to the write. kopf reads its watches from a session
that we hand it, so that echoes are taken out of the stream there: what says nothing new becomes a bookmark, from which
kopf learns how far the watch has come, as from the API server's own.

Everything that is not understood goes on as it came: kopf decides what an error in a stream means.
"""

from collections.abc import AsyncIterator, Callable
from typing import Any, Final, cast

import aiohttp
import msgspec

_OK: Final = 200
_MAXIMUM_LINE_BYTES: Final = 16 * 1024 * 1024
"""A line that grows beyond this goes on as it is: it is no object that etcd would have taken."""


class Metadata(msgspec.Struct, omit_defaults=True, rename="camel"):
    """What is read of an object's metadata, by kopf or by us."""

    name: str
    uid: str
    resource_version: str
    namespace: str = ""
    generation: int = 0
    creation_timestamp: str | None = None
    deletion_timestamp: str | None = None
    labels: dict[str, str] | None = None


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


class _Page(msgspec.Struct, omit_defaults=True, rename="camel"):
    """A part of a listing."""

    metadata: dict[str, Any]
    items: list[_Object]
    api_version: str = ""
    kind: str = ""


_EVENTS: Final = msgspec.json.Decoder(_Event)
_PAGES: Final = msgspec.json.Decoder(_Page)
_BOOKMARK: Final = b'{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":%s}}}'


def slim(line: bytes, plural: str, is_echo: IsEcho) -> tuple[bytes, bool]:
    """Return what kopf gets for a line of a watch, and whether that is a bookmark in the place of an echo.

    Args:
        line: Without its end.
        plural: Of the kind that is watched.
        is_echo: Asked about objects that are there; one that is gone is always news.
    """
    try:
        event = _EVENTS.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return line, False
    found, metadata = event.object, event.object.metadata
    status = b"{}" if isinstance(found.status, msgspec.UnsetType) else bytes(found.status)
    if event.type != "DELETED" and is_echo(plural, metadata, status):
        return _BOOKMARK % msgspec.json.encode(metadata.resource_version), True
    return msgspec.json.encode(event), False


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
            if len(rest) > _MAXIMUM_LINE_BYTES:
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


def response_class(plurals: frozenset[str], is_echo: IsEcho) -> type[aiohttp.ClientResponse]:
    """Return the class of answers for a session of kopf's.

    Args:
        plurals: The kinds whose listings and watches are slimmed; every other answer stays as it is.
        is_echo: See there.
    """

    class Response(aiohttp.ClientResponse):
        """An answer that shows kopf what it needs."""

        async def start(self, connection: Any) -> aiohttp.ClientResponse:
            await super().start(connection)
            if self._is_slimmed and "watch" in self.url.query:
                self.content = cast("aiohttp.StreamReader", _Lines(self.content, self._plural, is_echo))
            return self

        async def json(self, **options: Any) -> Any:
            if not self._is_slimmed:
                return await super().json(**options)
            try:
                return msgspec.json.decode(msgspec.json.encode(_PAGES.decode(await self.read())))
            except (msgspec.DecodeError, UnicodeDecodeError):
                return await super().json(**options)

        @property
        def _plural(self) -> str:
            return self.url.path.rpartition("/")[2]

        @property
        def _is_slimmed(self) -> bool:
            return self.status == _OK and self.method == "GET" and self._plural in plurals

    return Response
