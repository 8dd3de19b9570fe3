"""A port-forward that does not come about, and one that breaks; what works is tested with a real apiserver."""

import asyncio
import collections.abc

import pytest
from aiohttp import web

from kit import wait
from mailtier.kube import client, errors, forwarding

Serve = collections.abc.Callable[..., collections.abc.Awaitable[client.Client]]
_PORT = 8443


async def _connect(forward: forwarding.Forward) -> bytes:
    """Return what comes from a new connection until its end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", forward.port)
    writer.write(b"hello")
    try:
        return await reader.read()
    finally:
        writer.close()


async def test_a_refusal_of_the_apiserver_is_kept(serve: Serve) -> None:
    """The connection ends, and whoever asks learns that a right is missing."""

    async def refuse(_request: web.Request) -> web.Response:
        return web.Response(status=403)

    api = await serve(refuse)
    async with forwarding.Forward(api.connection, namespace="system", pod="mailtier-0", port=_PORT) as forward:
        forward.check()
        assert await _connect(forward) == b""
        with pytest.raises(errors.ForbiddenError):
            forward.check()


async def test_what_the_node_says_is_kept_in_printable_form(serve: Serve) -> None:
    """An error on the channel of errors ends the connection, and commands no terminal (R5)."""

    async def complain(request: web.Request) -> web.WebSocketResponse:
        assert request.query["ports"] == str(_PORT)
        socket = web.WebSocketResponse(protocols=("v4.channel.k8s.io",))
        await socket.prepare(request)
        for channel in (b"\0", b"\1"):
            await socket.send_bytes(channel + _PORT.to_bytes(2, "little"))
        await socket.send_bytes(b"\1no such\x1b[2J port\n")
        await socket.close()
        return socket

    api = await serve(complain)
    async with forwarding.Forward(api.connection, namespace="system", pod="mailtier-0", port=_PORT) as forward:
        assert await _connect(forward) == b""
        with pytest.raises(forwarding.PodUnreachableError, match=r"system/mailtier-0: no such \[2J port$"):
            forward.check()


async def test_bytes_go_both_ways_and_the_end_ends_both(serve: Serve) -> None:
    """Data is passed on as it is, and a client that has gone ends the connection at the other side."""
    ended = asyncio.Event()

    async def echo(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(protocols=("v4.channel.k8s.io",))
        await socket.prepare(request)
        for channel in (b"\0", b"\1"):
            await socket.send_bytes(channel + _PORT.to_bytes(2, "little"))
        async for message in socket:
            await socket.send_bytes(message.data)
        ended.set()
        return socket

    api = await serve(echo)
    async with forwarding.Forward(api.connection, namespace="system", pod="mailtier-0", port=_PORT) as forward:
        reader, writer = await asyncio.open_connection("127.0.0.1", forward.port)
        for text in (b"one", b"\0\1\2" * 50_000):
            writer.write(text)
            assert await reader.readexactly(len(text)) == text
        writer.close()
        await wait.until_async(ended.is_set, within_seconds=5, why="the other side hears of the end")
        forward.check()
