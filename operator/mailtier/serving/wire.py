"""An answer as it stands on the wire (RFC 9112), made at once: its head is known but for a few values."""

import http
from collections.abc import Mapping
from typing import Final

from aiohttp import helpers

SERVER: Final = "mailtier"
"""What an answer says of who gives it; aiohttp would name its version and Python's, for whoever looks for old ones."""

_PHRASES: Final = {status.value: status.phrase for status in http.HTTPStatus}


def answer(status: int, headers: Mapping[str, str], body: bytes) -> bytes:
    """Return an answer on a connection that goes on.

    Args:
        status: Of RFC 9110.
        headers: But Content-Length, Date and Server.
        body: All of it.

    Raises:
        ValueError: A header has a line feed in it.
    """
    lines = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
    if lines.count("\n") != len(headers):
        raise ValueError("a header has a line feed in it")
    head = (
        f"HTTP/1.1 {status} {_PHRASES[status]}\r\n{lines}Content-Length: {len(body)}\r\n"
        f"Date: {helpers.rfc822_formatted_time()}\r\nServer: {SERVER}\r\n\r\n"
    )
    return head.encode("latin-1") + body
