"""Connections to token servers, made by us: to a checked address (R6), with a handshake that holds no loop (R10)."""

import asyncio
import socket
from typing import Any

import aiohttp
from aiohttp import client_proto

from mailtier.sender.net import handshakes


class TokenConnector(aiohttp.BaseConnector):
    """Hands aiohttp the one connection that was made for it, whatever name it asks for.

    Args:
        sock: A connected socket.
        secured: What the handshake on it established.
        server_name: The server's.
    """

    def __init__(self, sock: socket.socket, secured: handshakes.Secured, *, server_name: str) -> None:
        super().__init__(force_close=True)
        self._sock = sock
        self._secured = secured
        self._server_name = server_name

    async def _create_connection(self, *_asked_for: Any) -> client_proto.ResponseHandler:
        """Return the connection, as aiohttp's own connectors do: this is the method that they have in common."""
        loop = asyncio.get_running_loop()
        _, protocol = await loop.create_connection(
            lambda: client_proto.ResponseHandler(loop=loop),
            sock=self._sock,
            ssl=self._secured.for_asyncio,
            server_hostname=self._server_name,
        )
        return protocol
