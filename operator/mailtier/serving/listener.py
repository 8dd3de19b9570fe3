"""Accepts a port's connections, within bounds that a slow or greedy client cannot exceed (R10, R15)."""

import asyncio
import dataclasses
import ipaddress
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, cast

from mailtier.serving import connection, places, preamble
from mailtier.telemetry import callers, logs

OPENING_SECONDS: Final = 10.0
"""From the first packet until somebody was let in: PROXY header, handshake and the head of the first request."""
IDLE_SECONDS: Final = 15.0
"""From an answer to the end of the next request's head."""
_SHUTDOWN_SECONDS: Final = 2.0
_BACKLOG: Final = 256
_PAUSE_SECONDS: Final = 0.1

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

Secure = Callable[[socket.socket, str], Awaitable[ssl.SSLContext]]
"""Makes a handshake on an accepted socket of an address, and returns what asyncio goes on with."""

_log = logs.get_logger(__name__)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The bounds of a port.

    Attributes:
        connections: At the same time, handshakes included.
        reserve: How many of them only addresses have that were authenticated lately.
        per_client: The most of one address; it shrinks to what others leave.
        opening_seconds: How long a connection may take until somebody was let in.
        idle_seconds: How long it may stay without a request afterwards.
    """

    connections: int = 256
    reserve: int = 64
    per_client: int = 64
    opening_seconds: float = OPENING_SECONDS
    idle_seconds: float = IDLE_SECONDS


class Listener:
    """A server socket that hands each connection to a new protocol.

    asyncio's own server would count a connection only after its handshake, and keep one certificate for good.

    Args:
        protocol: Makes the protocol of a connection.
        secure: Makes the handshakes; None for a port without TLS.
        limits: Its bounds.
        port: What metrics call it.
        connections: Filled with the connections that are up, by the protocol that each was given to.
        trusted_proxies: From where a PROXY header is expected, and taken at its word.
    """

    def __init__(
        self,
        protocol: Callable[[], asyncio.Protocol],
        *,
        secure: Secure | None,
        limits: Limits,
        port: callers.Port,
        connections: dict[asyncio.Protocol, connection.ClientConnection] | None = None,
        trusted_proxies: Sequence[Network] = (),
    ) -> None:
        self._limits = limits
        self._secure = secure
        self._trusted = tuple(trusted_proxies)
        self._opening: dict[asyncio.Task[None], connection.ClientConnection] = {}
        self._resuming: asyncio.TimerHandle | None = None
        self._socket: socket.socket | None = None
        self._port = connection.Port(
            name=port,
            protocol=protocol,
            places=places.Places(
                total=limits.connections,
                reserve=limits.reserve,
                per_client=limits.per_client,
                monotonic=asyncio.get_running_loop().time,
                port=port,
            ),
            connections=connections if connections is not None else {},
            idle_seconds=limits.idle_seconds,
        )

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
        self._listen(self._socket)
        return cast("int", self._socket.getsockname()[1])

    async def close(self) -> None:
        """Stop accepting; connections that are up live on."""
        if self._resuming is not None:
            self._resuming.cancel()
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()
        for arrived in self._opening.values():
            arrived.abort()
        await asyncio.gather(*self._opening, return_exceptions=True)

    def _accept(self, listening: socket.socket) -> None:
        """Take the next connection; what is left in the kernel's queue calls again."""
        try:
            accepted, address = listening.accept()
        except (BlockingIOError, ConnectionAbortedError):
            # A client that is gone already.
            return
        except OSError as error:
            # Out of file descriptors.
            _log.warning("a connection could not be accepted", error=str(error))
            self._pause(listening)
            return
        arrived = connection.ClientConnection(self._port, preamble.normal(str(address[0])), accepted)
        if not arrived.take_place(arrived.client):
            accepted.close()
            return
        arrived.within(self._limits.opening_seconds)
        task = asyncio.create_task(self._open(arrived, accepted), name=f"{self._port.name}-opening")
        self._opening[task] = arrived
        task.add_done_callback(self._opening.pop)

    def _listen(self, listening: socket.socket) -> None:
        asyncio.get_running_loop().add_reader(listening, self._accept, listening)

    def _pause(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        loop.remove_reader(listening)
        self._resuming = loop.call_later(_PAUSE_SECONDS, self._listen, listening)

    async def _open(self, arrived: connection.ClientConnection, accepted: socket.socket) -> None:
        """Open a connection. It is never cancelled: what has to end has its socket shut down, at whatever it is."""
        try:
            accepted.setblocking(False)  # noqa: FBT003 - The only form there is.
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._is_trusted(arrived.client):
                await self._introduce(arrived, accepted)
            secured = None if self._secure is None else await self._secure(accepted, arrived.client)
        except (OSError, ssl.SSLError, preamble.PreambleError) as error:
            accepted.close()
            self._failed(arrived, error)
            return
        loop = asyncio.get_running_loop()
        try:
            # From here on the socket is the transport's, which closes it.
            await loop.connect_accepted_socket(
                lambda: arrived,
                accepted,
                ssl=secured,
                ssl_shutdown_timeout=None if secured is None else _SHUTDOWN_SECONDS,
            )
        except (OSError, ssl.SSLError) as error:
            self._failed(arrived, error)

    def _failed(self, arrived: connection.ClientConnection, error: Exception) -> None:
        # Port scanners, clients that do not trust us, and those who speak plain HTTP. They are nobody's alarm.
        _log.debug("a connection was not opened", client=arrived.client, error=type(error).__name__)
        callers.count_connection_ended(
            port=self._port.name, cause="preamble" if isinstance(error, preamble.PreambleError) else "handshake"
        )
        if not arrived.made:
            arrived.forget()

    def _is_trusted(self, client: str) -> bool:
        if not self._trusted:
            return False
        address = ipaddress.ip_address(client)
        return any(address in network for network in self._trusted)

    async def _introduce(self, arrived: connection.ClientConnection, accepted: socket.socket) -> None:
        """Have a connection count for whom its proxy speaks for.

        Raises:
            PreambleError: It does not say that.
            ConnectionRefusedError: There is no place for it.
        """
        loop = asyncio.get_running_loop()
        client = await preamble.read(lambda count: loop.sock_recv(accepted, count))
        if client is not None and not arrived.take_place(preamble.subscriber(client)):
            raise ConnectionRefusedError
