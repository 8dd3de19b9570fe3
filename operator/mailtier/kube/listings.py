"""Parts of a listing, bounded by their bytes and not by their objects.

What tenants put into metadata is as large as etcd takes: five hundred objects of 1.5 MB are a part of 750 MB, and a
process that reads it is killed. So a part that grows beyond a bound is left unread and asked for again with fewer
objects, and those that follow grow slowly. Each object is decoded by whoever knows what it needs of it; the rest is
never held.
"""

import dataclasses
from typing import Final

import aiohttp
import msgspec

MAXIMUM_BYTES: Final = 4 * 1024 * 1024
"""Of one part with several objects; a part of one object may have `MAXIMUM_OBJECT_BYTES`."""

MAXIMUM_OBJECT_BYTES: Final = 16 * 1024 * 1024
"""Of one object: in etcd it has at most 1.5 MiB (`--max-request-bytes`); as JSON it can be several times that."""

TOO_LARGE: Final = "too large"
"""In place of a status in the metrics: a part was left unread and asked for again with fewer objects."""

MOST_OBJECTS: Final = 500
_FIRST_OBJECTS: Final = 100


class TooLargeError(Exception):
    """An answer is larger than any object that etcd would have taken."""


class Page(msgspec.Struct, rename="camel"):
    """A part of a listing, whose objects are not decoded yet."""

    metadata: "PageMetadata"
    items: list[msgspec.Raw] | None = None
    api_version: str = ""
    kind: str = ""


class PageMetadata(msgspec.Struct, rename="camel", omit_defaults=True):
    """Where a listing goes on.

    Attributes:
        continue_: The next part's token; "" at the end.
    """

    resource_version: str = ""
    continue_: str = msgspec.field(default="", name="continue")


_DECODER: Final = msgspec.json.Decoder(Page)


def decode(body: bytes) -> Page:
    """Return a part of a listing.

    Raises:
        msgspec.DecodeError: It is none.
        UnicodeDecodeError: It is no text.
    """
    return _DECODER.decode(body)


@dataclasses.dataclass(slots=True)
class Size:
    """How many objects the next part of a listing is asked for.

    Attributes:
        objects: At least 1.
        most: Never more than these.
    """

    objects: int = _FIRST_OBJECTS
    most: int = MOST_OBJECTS

    def __post_init__(self) -> None:
        """Begin with no more than there may be."""
        self.objects = min(self.objects, self.most)

    @property
    def limit_bytes(self) -> int:
        """What the part may have."""
        return MAXIMUM_BYTES if self.objects > 1 else MAXIMUM_OBJECT_BYTES

    def shrink(self) -> None:
        """Take note that the part had more bytes than it may.

        Raises:
            TooLargeError: It was a single object.
        """
        if self.objects == 1:
            raise TooLargeError(f"a single object has more than {MAXIMUM_OBJECT_BYTES} bytes")
        self.objects = max(1, self.objects // 4)

    def take(self, size_bytes: int) -> None:
        """Take note of a part's bytes: after one that was small, the next may have twice as many objects."""
        if size_bytes < MAXIMUM_BYTES // 4:
            self.objects = min(self.most, self.objects * 2)


async def read(answer: aiohttp.ClientResponse, *, limit_bytes: int) -> bytes | None:
    """Return the body of an answer; None if it is larger, with the rest left unread and the connection closed."""
    parts: list[bytes] = []
    size = 0
    async for part in answer.content.iter_any():
        size += len(part)
        if size > limit_bytes:
            abort(answer)
            return None
        parts.append(part)
    return b"".join(parts)


def abort(answer: aiohttp.ClientResponse) -> None:
    """Leave the rest of an answer unread.

    Closed in due form, it would wait for the peer's last word of TLS, for which the session does not.
    """
    if answer.connection is not None and answer.connection.transport is not None:
        answer.connection.transport.abort()
    answer.close()
