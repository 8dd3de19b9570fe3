"""A client of the intake that costs as little as Python can: prepared bytes over kept connections, no coroutines."""

import asyncio
import collections
import collections.abc
import json
import re
import ssl
import time

CONNECTIONS = 32

# The intake has at most 20 tokens of one address looked up at once; of a thousand new ones it would refuse some.
_ADDRESSES = ("127.0.0.2", "127.0.0.3")

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_TAKEN_IN_BATCH = re.compile(rb'"status": ?202\b')
_ACCEPTED = b" 202 "
_OK = b" 200 "


class RefusedError(Exception):
    """The intake did not take all of a request; the text is what it said."""


def request(path: str, token: str, notifications: collections.abc.Sequence[object], *, batched: bool) -> bytes:
    """Return a request as it is sent.

    Args:
        path: Of the organization's notifications.
        token: The application's.
        notifications: One, unless they go as a batch.
        batched: Whether they do.
    """
    content = json.dumps({"notifications": notifications} if batched else notifications[0]).encode()
    head = (
        f"POST {path}{':batch' if batched else ''} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content


class _Connection(asyncio.Protocol):
    """One request at a time.

    Args:
        then: Told of the connection that is free, and of an error of its answer.
        taken: How many notifications a batch has to have taken; 0 where each request is one notification.
    """

    def __init__(self, then: collections.abc.Callable[["_Connection", Exception | None], None], taken: int) -> None:
        self._then = then
        self._taken = taken
        self._received = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self._then(self, exc or RefusedError("the intake closed a connection"))

    def send(self, data: bytes) -> None:
        """Send a request."""
        assert self._transport is not None
        self._transport.write(data)

    def close(self) -> None:
        """Drop the connection."""
        assert self._transport is not None
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, blank, body = self._received.partition(b"\r\n\r\n")
        if not blank:
            return
        length = _LENGTH.search(head)
        if length is None or len(body) < int(length[1]):
            return
        self._received = b""
        self._then(self, None if self._is_taken(head, body) else RefusedError((head + blank + body).decode()))

    def _is_taken(self, head: bytes, body: bytes) -> bool:
        if not self._taken:
            return _ACCEPTED in head[:16]
        return _OK in head[:16] and len(_TAKEN_IN_BATCH.findall(body)) == self._taken


class Client:
    """Connections to one intake; to be opened, and closed at the end.

    Args:
        port: Of the intake on loopback.
        tls: Trusts its certificate.
        taken: How many notifications each request has to have taken, where they are batches; else 0.
    """

    def __init__(self, port: int, tls: ssl.SSLContext, *, taken: int = 0) -> None:
        self._port = port
        self._tls = tls
        self._taken = taken
        self._free: collections.deque[_Connection] = collections.deque()
        self._waiting: collections.deque[bytes] = collections.deque()
        self._unanswered = 0
        self._done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def open(self) -> None:
        """Return when all connections are up."""
        loop = asyncio.get_running_loop()
        for number in range(CONNECTIONS):
            _, connection = await loop.create_connection(
                lambda: _Connection(self._free_again, self._taken),
                "127.0.0.1",
                self._port,
                ssl=self._tls,
                local_addr=(_ADDRESSES[number % len(_ADDRESSES)], 0),
            )
            self._free.append(connection)

    def close(self) -> None:
        """Drop all connections, none of which has a request under way."""
        for connection in self._free:
            connection.close()

    async def send_all(self, requests: collections.abc.Sequence[bytes]) -> None:
        """Send as fast as the intake answers; return when everything was taken.

        Raises:
            RefusedError: Something was not.
        """
        self._begin(requests)
        for data in requests:
            self._send(data)
        await self._done

    async def send_at(self, requests: collections.abc.Sequence[bytes], *, rate: float) -> list[float]:
        """Send each when it is due, answered or not; return when each was due, in seconds of CLOCK_MONOTONIC.

        Raises:
            RefusedError: Something was not taken.
        """
        self._begin(requests)
        first = time.monotonic()
        due = [first + number / rate for number in range(len(requests))]
        for data, at in zip(requests, due, strict=True):
            if (early := at - time.monotonic()) > 0:
                await asyncio.sleep(early)
            if self._done.done():
                break
            self._send(data)
        await self._done
        return due

    def _begin(self, requests: collections.abc.Sequence[bytes]) -> None:
        self._done = asyncio.get_running_loop().create_future()
        self._unanswered = len(requests)

    def _send(self, data: bytes) -> None:
        if self._free:
            self._free.popleft().send(data)
        else:
            self._waiting.append(data)

    def _free_again(self, connection: _Connection, error: Exception | None) -> None:
        if self._done.done():
            return
        if error is not None:
            self._done.set_exception(error)
            return
        self._unanswered -= 1
        if self._waiting:
            connection.send(self._waiting.popleft())
        else:
            self._free.append(connection)
        if not self._unanswered:
            self._done.set_result(None)
