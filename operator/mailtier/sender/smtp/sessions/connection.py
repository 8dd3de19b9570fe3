"""The connection of a session: bytes to replies, a deadline, and word of when what was written has left.

asyncio has the socket; what it tells of a connection under TLS is not all that a session has to know. Nothing here is
a coroutine's: what comes is handed at once to whoever listens, and one timer serves all deadlines of a connection.
"""

import asyncio
import collections
from collections.abc import Callable, Iterator
from typing import Final, Protocol

from mailtier.mail import classify, replies

_PIECE_BYTES: Final = 64 * 1024


class LostError(Exception):
    """No further reply can be had."""

    def __init__(self, fault: classify.Fault) -> None:
        super().__init__(fault)
        self.fault = fault


class ReplyListener(Protocol):
    """Whoever is told what comes of a connection."""

    @property
    def is_listening(self) -> bool:
        """Whether the next reply is wanted now; it is kept until it is."""

    def take(self, reply: replies.Reply) -> None:
        """Take a reply; it is no longer kept."""

    def lose(self, fault: classify.Fault) -> None:
        """Learn that no further reply can be had; may be called more than once."""


class SessionConnection(asyncio.Protocol):
    """Bytes to replies. What comes while none is awaited ends the connection: nothing could be paired with it.

    Attributes:
        lost: Done when the connection is gone.
        is_expecting: Whether a reply is awaited, or may be.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._below = below_tls(transport)
        self._loop = asyncio.get_running_loop()
        self._parser = replies.ReplyParser()
        self._replies: collections.deque[replies.Reply] = collections.deque()
        self._listener: ReplyListener | None = None
        self._pieces: Iterator[bytes] | None = None
        self._when_out: Callable[[], None] | None = None
        self._is_writable = True
        self._fault: classify.Fault | None = None
        self._deadline: float | None = None
        self._when_over: Callable[[], None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.lost: asyncio.Future[None] = self._loop.create_future()
        self.is_expecting = False

    def data_received(self, data: bytes) -> None:
        """Read replies, and hand them on."""
        if not self.is_expecting:
            self.end(classify.Fault.PROTOCOL_ERROR)
            return
        try:
            self._replies.extend(self._parser.receive(data, most=replies.MAXIMUM_REPLIES - len(self._replies)))
        except replies.ReplyError:
            self._abort(classify.Fault.PROTOCOL_ERROR)
        if self._parser.is_broken:
            # Behind a reply that could be read: nothing that comes later could be paired with its command.
            self._abort(classify.Fault.PROTOCOL_ERROR)
        self.hand_on()

    def eof_received(self) -> bool:
        """End the connection: a server that says no more answers nothing."""
        self.end(classify.Fault.CONNECTION_LOST)
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Have whoever listens learn that nothing more comes."""
        if self._fault is None:
            self._fault = classify.Fault.CONNECTION_LOST
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.hand_on()
        if not self.lost.done():
            self.lost.set_result(None)

    def pause_writing(self) -> None:
        """Note that something waits to be sent."""
        self._is_writable = False

    def resume_writing(self) -> None:
        """Note that nothing waits to be sent."""
        self._is_writable = True
        self._write_pieces()

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

    def listen(self, listener: ReplyListener | None) -> None:
        """Have somebody told of replies and of a loss; those that have come are handed on by `hand_on`."""
        self._listener = listener

    def hand_on(self) -> None:
        """Hand on the replies that have come and are wanted; those before a loss are not lost with it."""
        waiting = self._replies
        while waiting and (listener := self._listener) is not None and listener.is_listening:
            listener.take(waiting.popleft())
        if self._fault is not None and self._listener is not None:
            self._listener.lose(self._fault)

    def expire_at(self, deadline: float | None, then: Callable[[], None]) -> None:
        """Have somebody told when a time has come, in seconds of the loop's clock; None for never.

        The timer is seldom set: nearly always the deadline has moved on when it fires.
        """
        self._deadline, self._when_over = deadline, then
        if deadline is not None and (self._timer is None or self._timer.when() > deadline):
            self._set_timer(deadline)

    def end(self, fault: classify.Fault) -> None:
        """Drop the connection at once."""
        self._abort(fault)
        self.hand_on()

    def write(self, data: bytes) -> None:
        """Send bytes; a reply that came before them is no reply to them.

        Raises:
            LostError: The connection is gone, or such a reply has come.
        """
        self._require_alive()
        if not self.is_quiet:
            raise LostError(classify.Fault.PROTOCOL_ERROR)
        self._transport.write(data)

    def write_out(self, data: bytes, then: Callable[[], None]) -> None:
        """Send bytes, and tell when the kernel has all but the last of them, unless a reply or the end came before.

        In pieces: TLS encrypts what it is given at once. The last byte goes by itself. What tells that it may follow
        is that everything before it has left, from below TLS too.

        Raises:
            LostError: The connection is gone.
        """
        self._require_alive()
        self._below.set_write_buffer_limits(high=0)
        # Not 0: TLS would pause where nothing waits, and not go on (`asyncio.sslproto`, `_control_app_writing`).
        self._transport.set_write_buffer_limits(high=1)
        self._pieces, self._when_out = _pieces(data), then
        self._write_pieces()

    def write_no_further(self) -> None:
        """Send nothing more of what `write_out` was given."""
        if self._pieces is not None:
            self._pieces = self._when_out = None
            self._transport.set_write_buffer_limits()
            self._below.set_write_buffer_limits()

    def _write_pieces(self) -> None:
        while self._is_writable and self._pieces is not None and self._fault is None:
            piece = next(self._pieces, None)
            if piece is not None:
                self._transport.write(piece)
                continue
            then = self._when_out
            self.write_no_further()
            assert then is not None
            then()

    def _set_timer(self, deadline: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(deadline, self._look_at_clock)

    def _look_at_clock(self) -> None:
        self._timer = None
        if self._deadline is None or self._when_over is None:
            return
        if self._deadline > self._loop.time():
            self._set_timer(self._deadline)
            return
        self._deadline = None
        self._when_over()

    def _abort(self, fault: classify.Fault) -> None:
        if self._fault is None:
            self._fault = fault
        self._transport.abort()

    def _require_alive(self) -> None:
        if not self.is_alive:
            raise LostError(self._fault or classify.Fault.CONNECTION_LOST)


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
