"""Connections to a port of a pod through the apiserver, as `kubectl port-forward` makes them.

Each connection is a WebSocket of its own with the subprotocol `v4.channel.k8s.io`: the first byte of a message is a
channel, 0 for data and 1 for errors, and the first message of each channel names the port in two bytes, little-endian
(kubelet, `portforward/websocket.go`). The SPDY that kubectl speaks would multiplex, which one client does not need.
"""

import asyncio
from typing import Final, Self

import aiohttp

from mailtier.kube import configuration, errors, paths

_PROTOCOL: Final = "v4.channel.k8s.io"
_DATA, _ERROR = 0, 1
_CHUNK_BYTES: Final = 32 * 1024
_HANDSHAKE_SECONDS: Final = 30.0
_PROBLEM_LENGTH: Final = 500


class PodUnreachableError(Exception):
    """No connection to the pod's port came about; the text says why."""


class Forward:
    """A port on loopback that leads to a port of a pod, while its context is entered.

    Args:
        connection: The apiserver.
        namespace: The pod's.
        pod: Its name.
        port: Of the pod.
    """

    def __init__(self, connection: configuration.Connection, *, namespace: str, pod: str, port: int) -> None:
        self._connection = connection
        self._path = paths.port_forward(namespace, pod)
        self._port = port
        self._where = f"port {port} of pod {namespace}/{pod}"
        self._session: aiohttp.ClientSession | None = None
        self._server: asyncio.Server | None = None
        self._carrying: set[asyncio.Task[None]] = set()
        self._failure: Exception | None = None

    async def __aenter__(self) -> Self:
        self._session = configuration.new_session(self._connection, limit=0)
        self._server = await asyncio.start_server(self._accept, host="127.0.0.1", port=0)
        return self

    async def __aexit__(self, *exception: object) -> None:
        assert self._server is not None
        assert self._session is not None
        self._server.close()
        carrying = list(self._carrying)
        for task in carrying:
            task.cancel()
        await asyncio.gather(*carrying, return_exceptions=True)
        await self._session.close()

    @property
    def port(self) -> int:
        """The port on 127.0.0.1."""
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    def check(self) -> None:
        """Return if nothing has gone wrong; to be asked when a connection was lost.

        Raises:
            errors.ApiError: The apiserver refused the connection.
            PodUnreachableError: The pod's node did, or nothing listens in the pod.
        """
        if self._failure is not None:
            raise self._failure

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # A task of our own: asyncio's would log its cancellation at the end as a failure.
        task = asyncio.create_task(self._serve(reader, writer), name="port-forward")
        self._carrying.add(task)
        task.add_done_callback(self._carrying.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._carry(reader, writer)
        except (errors.ApiError, PodUnreachableError) as error:
            self._failure = error
        except (aiohttp.ClientError, OSError) as error:
            self._failure = PodUnreachableError(f"{self._where}: {type(error).__name__}: {error}")
        finally:
            writer.close()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        socket = await self._open()
        sending = asyncio.create_task(_send(reader, socket))
        try:
            await self._receive(socket, writer)
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
            await socket.close()

    async def _open(self) -> aiohttp.ClientWebSocketResponse:
        assert self._session is not None
        url = f"{self._connection.server}{self._path}?ports={self._port}"
        try:
            async with asyncio.timeout(_HANDSHAKE_SECONDS):
                return await self._session.ws_connect(url, protocols=(_PROTOCOL,), autoclose=True)
        except aiohttp.WSServerHandshakeError as error:
            request = f"connect {self._path}"
            raise errors.from_answer(error.status, b"", request=request, resource="pods") from error
        except TimeoutError as error:
            raise PodUnreachableError(f"{self._where}: the apiserver did not connect in time") from error

    async def _receive(self, socket: aiohttp.ClientWebSocketResponse, writer: asyncio.StreamWriter) -> None:
        """Pass on what the pod sends until one side closes."""
        begun: set[int] = set()
        async for message in socket:
            if message.type is not aiohttp.WSMsgType.BINARY or not message.data:
                continue
            channel, data = message.data[0], message.data[1:]
            if channel not in begun:
                # The port's number, which we know.
                begun.add(channel)
            elif channel == _ERROR:
                raise PodUnreachableError(f"{self._where}: {_printable(data)}")
            elif channel == _DATA:
                writer.write(data)
                await writer.drain()


async def _send(reader: asyncio.StreamReader, socket: aiohttp.ClientWebSocketResponse) -> None:
    """Pass on what the client sends; when it has closed, there is nobody left to receive for."""
    while data := await reader.read(_CHUNK_BYTES):
        await socket.send_bytes(bytes([_DATA]) + data)
    await socket.close()


def _printable(data: bytes) -> str:
    text = data.decode("utf-8", "replace")[:_PROBLEM_LENGTH]
    return "".join(character if character.isprintable() else " " for character in text).strip()
