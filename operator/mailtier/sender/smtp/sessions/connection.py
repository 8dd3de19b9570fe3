"""The connection of a session: bytes to replies, and word of when what was written has left.

asyncio has the socket; what it tells of a connection under TLS is not all that a session has to know.
"""

import asyncio
import collections
from collections.abc import Iterator
from typing import Final

from mailtier.mail import classify, replies

_PIECE_BYTES: Final = 64 * 1024


class LostError(Exception):
    """No further reply can be had."""

    def __init__(self, fault: classify.Fault) -> None:
        super().__init__(fault)
        self.fault = fault


class SessionConnection(asyncio.Protocol):
    """Bytes to replies. What comes while none is awaited ends the connection: nothing could be paired with it.

    Attributes:
        lost: Done when the connection is gone.
        is_expecting: Whether a reply is awaited, or may be.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._below = below_tls(transport)
        self._parser = replies.ReplyParser()
        self._replies: collections.deque[replies.Reply] = collections.deque()
        self._waiter: asyncio.Future[None] | None = None
        self._writable = asyncio.Event()
        self._writable.set()
        self._fault: classify.Fault | None = None
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.is_expecting = False

    def data_received(self, data: bytes) -> None:
        """Read replies."""
        if not self.is_expecting:
            self.end(classify.Fault.PROTOCOL_ERROR)
            return
        try:
            self._replies.extend(self._parser.receive(data, most=replies.MAXIMUM_REPLIES - len(self._replies)))
        except replies.ReplyError:
            self.end(classify.Fault.PROTOCOL_ERROR)
        if self._parser.is_broken:
            # Behind a reply that could be read: nothing that comes later could be paired with its command.
            self.end(classify.Fault.PROTOCOL_ERROR)
        self._wake()

    def eof_received(self) -> bool:
        """End the connection: a server that says no more answers nothing."""
        self.end(classify.Fault.CONNECTION_LOST)
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Have whoever waits learn that nothing more comes."""
        if self._fault is None:
            self._fault = classify.Fault.CONNECTION_LOST
        self._writable.set()
        self._wake()
        if not self.lost.done():
            self.lost.set_result(None)

    def pause_writing(self) -> None:
        """Note that something waits to be sent."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """Note that nothing waits to be sent."""
        self._writable.set()
        self._wake()

    @property
    def is_alive(self) -> bool:
        """Whether another command may be sent."""
        return self._fault is None and not self._transport.is_closing()

    @property
    def has_reply(self) -> bool:
        """Whether a reply has come that nobody has asked for yet."""
        return bool(self._replies)

    @property
    def is_quiet(self) -> bool:
        """Whether every byte the server sent has been made use of."""
        return not self._replies and self._parser.is_idle

    def require_quiet(self) -> None:
        """Return when every byte the server sent has been made use of."""
        if not self.is_quiet:
            raise LostError(classify.Fault.PROTOCOL_ERROR)

    def end(self, fault: classify.Fault) -> None:
        """Drop the connection at once."""
        if self._fault is None:
            self._fault = fault
        self._transport.abort()
        self._wake()

    async def write(self, data: bytes) -> None:
        """Send bytes, as fast as the server takes them; a reply that came before them is no reply to them."""
        self._require_alive()
        self.require_quiet()
        self._transport.write(data)
        await self._writable.wait()

    async def write_out(self, data: bytes) -> None:
        """Send bytes, and return when the kernel has all but the last of them, or a reply came before that.

        In pieces: TLS encrypts what it is given at once. The last byte goes by itself. What tells that it may follow
        is that everything before it has left, from below TLS too.
        """
        self._require_alive()
        self._below.set_write_buffer_limits(high=0)
        # Not 0: TLS would pause where nothing waits, and not go on (`asyncio.sslproto`, `_control_app_writing`).
        self._transport.set_write_buffer_limits(high=1)
        try:
            for piece in _pieces(data):
                self._transport.write(piece)
                while not self._writable.is_set() and not self.has_reply and self._fault is None:
                    await self._until_woken()
                if self.has_reply:
                    return
                if self._fault is not None:
                    raise LostError(self._fault)
        finally:
            self._transport.set_write_buffer_limits()
            self._below.set_write_buffer_limits()

    async def reply(self) -> replies.Reply:
        """Return the next reply; those that came before the connection was lost are not lost with it."""
        while not self._replies:
            if self._fault is not None:
                raise LostError(self._fault)
            await self._until_woken()
        return self._replies.popleft()

    def _require_alive(self) -> None:
        if not self.is_alive:
            raise LostError(self._fault or classify.Fault.CONNECTION_LOST)

    async def _until_woken(self) -> None:
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


def below_tls(transport: asyncio.Transport) -> asyncio.WriteTransport:
    """Return the transport that has the socket: what TLS handed down waits there, and TLS does not count it.

    asyncio has no public way to it from a connection that was made under TLS. Where this one is gone, the transport
    itself is returned, and up to 64 KiB that the kernel has not taken are not waited for.
    """
    protocol = getattr(transport, "_ssl_protocol", None)
    below = getattr(protocol, "_transport", None)
    return below if isinstance(below, asyncio.WriteTransport) else transport


def _pieces(data: bytes) -> Iterator[bytes]:
    last = len(data) - 1
    for start in range(0, last, _PIECE_BYTES):
        yield data[start : min(start + _PIECE_BYTES, last)]

    yield data[last:]
