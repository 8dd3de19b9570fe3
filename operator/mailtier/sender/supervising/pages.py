"""The children's pages over their Unix sockets: one HTTP request each, without a client library."""

import asyncio
import dataclasses
import pathlib
from typing import Final

_SECONDS: Final = 3.0
_LARGEST_BYTES: Final = 16 * 1024 * 1024


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ChildPage:
    """What a child answered.

    Attributes:
        status: 0 where it did not answer in time.
    """

    status: int
    body: bytes


async def fetch(path: pathlib.Path, page: str) -> ChildPage:
    """Return a child's page, such as `/metrics`.

    Args:
        path: Its socket.
        page: The path of the page.
    """
    try:
        async with asyncio.timeout(_SECONDS):
            reader, writer = await asyncio.open_unix_connection(path, limit=_LARGEST_BYTES)
            try:
                # HTTP/1.0: the answer ends with the connection, and comes in no chunks.
                writer.write(f"GET {page} HTTP/1.0\r\nHost: sender\r\n\r\n".encode())
                head, _, body = (await reader.read(-1)).partition(b"\r\n\r\n")
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return ChildPage(status=0, body=b"")
    words = head.split(None, 2)
    return ChildPage(status=int(words[1]) if len(words) > 1 and words[1].isdigit() else 0, body=body)
