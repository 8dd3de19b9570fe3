"""The intake on an event loop that takes no other TLS context than one of the standard library, as uvloop does."""

import socket
import ssl
import typing

from mailtier.sender.intake.http import server
from mailtier.sender.net import handshakes


class _Telling:
    """What is read through a handshake that is done, and how much of it is there already."""

    def __init__(self, through: typing.Any) -> None:
        self._through = through

    def __getattr__(self, name: str) -> typing.Any:
        return getattr(self._through, name)

    def pending(self) -> int:
        """Return how many bytes can be read at once."""
        return int(self._through._established.pending())


class _Context(ssl.SSLContext):
    """A context by its type alone, which hands over a handshake that is done."""

    secured: handshakes.Secured

    def wrap_bio(self, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO, *_fixed: object, **_too: object) -> typing.Any:
        """Return what the handshake came to."""
        return _Telling(self.secured.wrap_bio(incoming, outgoing))


class Server(server.Server):
    """The server, whose connections such a loop takes."""

    async def _secure(self, accepted: socket.socket, client: str) -> ssl.SSLContext:
        context = _Context(ssl.PROTOCOL_TLS_SERVER)
        # It is no context in truth; see `handshakes.Secured.for_asyncio`.
        context.secured = typing.cast("typing.Any", await super()._secure(accepted, client))
        return context
