"""One connection to a port: its place, its stage, and how long that may take (R10, R15)."""

import asyncio
import contextlib
import dataclasses
import socket
from collections.abc import Callable, Iterator
from typing import Any, cast

from mailtier.serving import places
from mailtier.telemetry import callers


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """What the connections of a port share.

    Attributes:
        name: What metrics call it.
        protocol: Makes the protocol of a connection.
        places: Of all of them.
        connections: Those that are up, by the protocol that each was given to.
        idle_seconds: How long one may stay without a request.
    """

    name: callers.Port
    protocol: Callable[[], asyncio.Protocol]
    places: places.Places
    connections: "dict[asyncio.Protocol, ClientConnection]"
    idle_seconds: float


class ClientConnection(asyncio.Protocol):
    """Passes everything on to a protocol, and keeps the time of each stage.

    Args:
        port: What it is one of.
        client: Whose it is.
        accepted: Its socket.
    """

    def __init__(self, port: Port, client: str, accepted: socket.socket) -> None:
        self._port = port
        self._inner: asyncio.Protocol | None = None
        self._transport: asyncio.Transport | None = None
        # One timer for many requests: it looks when it fires whether the end is still as it was.
        self._timer: asyncio.TimerHandle | None = None
        self._ends_at: float | None = None
        self._place: places.HeldPlace | None = None
        self._accepted = accepted
        self.client = client
        """Whose it is, for those who count by address: behind a trusted proxy, its client's or its network."""
        self.admitted = False
        """Whether somebody was let in with the present request."""

    @property
    def made(self) -> bool:
        """Whether the connection was established, so that its end will be told."""
        return self._inner is not None

    def take_place(self, client: str) -> bool:
        """Return whether there is a place for it among those of an address; what it had before is given back."""
        self.give_back()
        self.client = client
        self._place = self._port.places.take(client, self.abort)
        return self._place is not None

    def give_back(self) -> None:
        """Free its place."""
        if self._place is not None:
            self._port.places.give_back(self._place)

    def begin(self) -> None:
        """Note that the head of a request is there: how long it takes now is the handler's business."""
        self.admitted = False
        self._enter(places.Stage.BUSY, None)

    def admit(self) -> None:
        """Note that somebody was let in."""
        self.admitted = True
        if self._place is not None:
            self._port.places.prove(self._place)

    @contextlib.contextmanager
    def reading(self) -> Iterator[None]:
        """Note that a body is awaited, while the context lasts."""
        self._enter(places.Stage.READING, None)
        try:
            yield
        finally:
            self._enter(places.Stage.BUSY, None)

    def end(self) -> None:
        """Note that a request was answered; the answer has to be read, and the next head to come, in time."""
        self._enter(places.Stage.IDLE, self._port.idle_seconds)

    def within(self, seconds: float) -> None:
        """End the connection after so many seconds, unless a later stage says otherwise."""
        loop = asyncio.get_running_loop()
        self._ends_at = loop.time() + seconds
        if self._timer is not None and self._timer.when() > self._ends_at:
            self._stop_timer()
        if self._timer is None:
            self._timer = loop.call_at(self._ends_at, self._look_at_time)

    def forget(self) -> None:
        """Note that it has ended."""
        self._transport = None
        self._stop_timer()
        self.give_back()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def abort(self) -> None:
        """End it at once, whatever it is at."""
        if self._transport is not None:
            self._transport.abort()
        else:
            # The handshake, or whatever waits for the socket, fails by it.
            with contextlib.suppress(OSError):
                self._accepted.shutdown(socket.SHUT_RDWR)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Make the protocol, and give it the transport."""
        self._transport = cast("asyncio.Transport", transport)
        self._inner = self._port.protocol()
        self._port.connections[self._inner] = self
        self._inner.connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Free the place."""
        self.forget()
        if self._inner is not None:
            self._port.connections.pop(self._inner, None)
        self._call("connection_lost", exc)

    def data_received(self, data: bytes) -> None:
        """Pass it on."""
        self._call("data_received", data)

    def eof_received(self) -> bool | None:
        """Pass it on."""
        return cast("bool | None", self._call("eof_received"))

    def pause_writing(self) -> None:
        """Pass it on."""
        self._call("pause_writing")

    def resume_writing(self) -> None:
        """Pass it on."""
        self._call("resume_writing")

    def _call(self, name: str, *arguments: Any) -> Any:
        return getattr(self._inner, name)(*arguments)

    def _enter(self, stage: places.Stage, seconds: float | None) -> None:
        if self._place is not None:
            self._place.stage = stage
        if self._transport is None:
            return
        if seconds is None:
            self._ends_at = None
        else:
            self.within(seconds)

    def _look_at_time(self) -> None:
        self._timer = None
        if self._ends_at is None:
            # It is at something that has no end here; the next stage starts the timer again.
            return
        loop = asyncio.get_running_loop()
        if loop.time() < self._ends_at:
            self._timer = loop.call_at(self._ends_at, self._look_at_time)
            return
        callers.count_connection_ended(port=self._port.name, cause="late")
        self.abort()
