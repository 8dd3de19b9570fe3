"""Accepts the intake's connections, within bounds that a slow or greedy client cannot exceed."""

import asyncio
import contextlib
import socket
import ssl
from collections import Counter
from collections.abc import Callable
from typing import Any, Final, cast

from mailtier.sender import handshakes
from mailtier.telemetry import logs

CONNECTIONS: Final = 256
"""Connections at the same time, handshakes included: each may hold a body of 256 KiB in memory."""
CONNECTIONS_PER_CLIENT: Final = 64
"""Connections of one address, so that one pod cannot shut out the others."""
HANDSHAKE_SECONDS: Final = 5.0
_SHUTDOWN_SECONDS: Final = 2.0
_BACKLOG: Final = 256

_log = logs.get_logger(__name__)


class Listener:
    """A TLS server socket that hands each connection to a new protocol.

    asyncio's own server would count a connection only after its handshake, and keep one certificate for good.

    Args:
        protocol: Makes the protocol of a connection.
        context: Returns the TLS context for the next connection.
        connections: The most at the same time; more wait unaccepted in the kernel's queue.
        per_client: The most of one address; more are closed at once.
        handshake_seconds: How long a TLS handshake may take.
    """

    def __init__(
        self,
        protocol: Callable[[], asyncio.Protocol],
        *,
        context: Callable[[], ssl.SSLContext],
        connections: int = CONNECTIONS,
        per_client: int = CONNECTIONS_PER_CLIENT,
        handshake_seconds: float = HANDSHAKE_SECONDS,
    ) -> None:
        self._protocol = protocol
        self._context = context
        self._slots = asyncio.Semaphore(connections)
        self._per_client = per_client
        self._handshake_seconds = handshake_seconds
        self._clients: Counter[str] = Counter()
        # Threads of its own: strangers come in here, and shall keep no session of the sender's waiting.
        self._tls = handshakes.Handshakes()
        self._handshakes: set[asyncio.Task[None]] = set()
        self._accepting: asyncio.Task[None] | None = None
        self._socket: socket.socket | None = None

    def open(self, host: str, port: int) -> int:
        """Listen, and return the port.

        Args:
            host: An IP address of ours; "" for all, of both families.
            port: 0 for a free one.

        Raises:
            OSError: The address cannot be had.
        """
        family = socket.AF_INET if host and ":" not in host else socket.AF_INET6
        if not host and not socket.has_dualstack_ipv6():
            family = socket.AF_INET
        self._socket = socket.create_server(
            (host, port), family=family, backlog=_BACKLOG, dualstack_ipv6=family is socket.AF_INET6 and not host
        )
        self._socket.setblocking(False)  # noqa: FBT003 - The only form there is.
        self._accepting = asyncio.create_task(self._accept(self._socket), name="intake-accept")
        return cast("int", self._socket.getsockname()[1])

    async def close(self) -> None:
        """Stop accepting; connections that are up live on."""
        tasks = [*self._handshakes, *([self._accepting] if self._accepting else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._socket is not None:
            self._socket.close()

    async def _accept(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._slots.acquire()
            try:
                accepted, address = await loop.sock_accept(listening)
            except OSError as error:
                # Out of file descriptors, or a client that is gone already.
                self._slots.release()
                _log.warning("a connection could not be accepted", error=str(error))
                await asyncio.sleep(0.1)
                continue
            except asyncio.CancelledError:
                self._slots.release()
                raise
            client = str(address[0])
            if self._clients[client] >= self._per_client:
                accepted.close()
                self._slots.release()
                continue
            self._clients[client] += 1
            task = asyncio.create_task(self._shake_hands(accepted, client), name="intake-handshake")
            self._handshakes.add(task)
            task.add_done_callback(self._handshakes.discard)

    async def _shake_hands(self, accepted: socket.socket, client: str) -> None:
        counted = _Counted(self._protocol, on_lost=lambda: self._release(client))
        try:
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            async with asyncio.timeout(self._handshake_seconds):
                secured = await self._tls.accept(accepted, self._context(), owner=client)
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: counted, accepted, ssl=secured.for_asyncio, ssl_shutdown_timeout=_SHUTDOWN_SECONDS
            )
        except (OSError, ssl.SSLError, asyncio.CancelledError) as error:
            # Port scanners, clients that do not trust us, and those who speak plain HTTP. They are nobody's alarm.
            _log.debug("a TLS handshake failed", client=client, error=type(error).__name__)
            with contextlib.suppress(OSError):
                accepted.close()
            if not counted.made:
                self._release(client)

    def _release(self, client: str) -> None:
        self._slots.release()
        self._clients[client] -= 1
        if not self._clients[client]:
            del self._clients[client]


class _Counted(asyncio.Protocol):
    """Passes everything on to a protocol, and tells when its connection is over."""

    def __init__(self, protocol: Callable[[], asyncio.Protocol], *, on_lost: Callable[[], None]) -> None:
        self._make = protocol
        self._inner: asyncio.Protocol | None = None
        self._on_lost = on_lost

    @property
    def made(self) -> bool:
        """Whether the connection was established, so that its end will be told."""
        return self._inner is not None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._inner = self._make()
        self._inner.connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._on_lost()
        self._call("connection_lost", exc)

    def data_received(self, data: bytes) -> None:
        self._call("data_received", data)

    def eof_received(self) -> bool | None:
        return cast("bool | None", self._call("eof_received"))

    def pause_writing(self) -> None:
        self._call("pause_writing")

    def resume_writing(self) -> None:
        self._call("resume_writing")

    def _call(self, name: str, *arguments: Any) -> Any:
        return getattr(self._inner, name)(*arguments)
