"""The test server: listens, and keeps the record of all its connections."""

import asyncio
import socket
import typing

from kit.smtpd import connection, options, records, script

_NARROW_BYTES = 4096
_NARROW_SEGMENT_BYTES = 536


class Server:
    """An SMTP server in the running event loop, at work while its context is entered.

    Args:
        settings: What it offers and demands.
        rules: How it misbehaves; may be changed at any time through `script`.
        recorder: Where it writes everything down.
        host: The address to listen at.
        port: The port to listen at; 0 takes a free one, which is kept when the server is started again.
    """

    def __init__(
        self,
        settings: options.Options | None = None,
        *,
        rules: script.Script | None = None,
        recorder: records.Recorder | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self.options = settings or options.Options()
        self.script = rules or script.Script()
        self.recorder = recorder or records.Recorder()
        self.host = host
        self.port = port
        self.peak_connections = 0
        self._listener: asyncio.Server | None = None
        self._connections: set[connection.Connection] = set()

    async def __aenter__(self) -> typing.Self:
        await self.start()
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.stop()
        self.recorder.close()

    @property
    def messages(self) -> list[records.Message]:
        """The messages it took over."""
        return self.recorder.messages

    @property
    def transcripts(self) -> list[records.Transcript]:
        """Its connections, the first one first."""
        return self.recorder.transcripts

    @property
    def auth_attempts(self) -> list[records.AuthAttempt]:
        """The authentication attempts it saw."""
        return self.recorder.auth_attempts

    @property
    def open_connections(self) -> int:
        """How many clients are connected."""
        return len(self._connections)

    async def start(self) -> None:
        """Listen; after `stop`, on the same port again."""
        if self.options.context:
            self.options.context.sni_callback = connection.note_server_name
        loop = asyncio.get_running_loop()
        if self.options.is_narrow:
            sock = socket.create_server((self.host, self.port), backlog=1024)
            # What a client's kernel keeps is a multiple of the segment; connections inherit both.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _NARROW_BYTES)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, _NARROW_SEGMENT_BYTES)
            self._listener = await loop.create_server(self._accept, sock=sock)
        else:
            self._listener = await loop.create_server(self._accept, self.host, self.port, backlog=1024)
        self.port = self._listener.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Stop listening and drop all connections, as a server that dies."""
        if self._listener is None:
            return
        self._listener.close()
        await self.drop_connections()
        await self._listener.wait_closed()
        self._listener = None

    async def drop_connections(self) -> None:
        """Drop all connections and go on listening."""
        dropped = list(self._connections)
        for each in dropped:
            each.abort()
        await asyncio.gather(*(each.lost for each in dropped))

    def _accept(self) -> connection.Connection:
        return connection.Connection(
            self.options,
            self.script,
            self.recorder,
            opened=self._opened,
            closed=self._connections.discard,
        )

    def _opened(self, opened: connection.Connection) -> bool:
        """Count a connection and return whether it is one too many."""
        self._connections.add(opened)
        self.peak_connections = max(self.peak_connections, len(self._connections))
        limit = self.options.max_connections
        return limit is not None and len(self._connections) > limit


class Starter(typing.Protocol):
    """Starts servers that somebody else stops: what the fixture `smtpd` gives a test."""

    async def __call__(self, **fields: typing.Any) -> Server:
        """Return a running server, whose options are these fields."""
