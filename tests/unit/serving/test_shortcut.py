"""A connection on which some requests take the shortcut: their order, and what ends in the middle of it."""

import asyncio
import collections.abc
import contextlib

from aiohttp import http, streams, web

from kit import wait
from mailtier.serving import protocol, wire

_QUICK = b"POST /quick HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b"
_USUAL = b"GET /usual HTTP/1.1\r\nHost: x\r\n\r\n"
_WITHIN = 10.0


def _quick(body: bytes) -> bytes:
    return _QUICK % (len(body), body)


class _Shortcut:
    """Takes what is sent to /quick, and answers with its body when it is told to."""

    def __init__(self) -> None:
        self.waiting: list[tuple[bytes, collections.abc.Callable[[bytes], None]]] = []
        self.is_open = True

    def __call__(
        self,
        _spoken: protocol.Protocol,
        message: http.RawRequestMessage,
        content: streams.StreamReader,
        answer: collections.abc.Callable[[bytes], None],
    ) -> bool:
        if message.path != "/quick" or not self.is_open:
            return False
        self.waiting.append((content.read_nowait(), answer))
        return True

    def answer(self) -> None:
        """Answer what waits."""
        body, answer = self.waiting.pop(0)
        answer(wire.answer(202, {"Content-Type": "text/plain"}, b"quick " + body))


class _Port:
    """A server, one connection to it, and what it takes by the shortcut."""

    def __init__(self) -> None:
        self.shortcut = _Shortcut()
        self.spoken: list[protocol.Protocol] = []
        self.reader: asyncio.StreamReader
        self.writer: asyncio.StreamWriter
        self.serving: web.Server

    def send(self, data: bytes) -> None:
        """Send bytes on the connection."""
        self.writer.write(data)

    async def taken(self, count: int) -> None:
        """Return when the shortcut has so many requests."""
        await wait.until_async(
            lambda: len(self.shortcut.waiting) == count, within_seconds=_WITHIN, why="they are taken"
        )

    async def read(self) -> bytes:
        """Return the body of the next answer."""
        async with asyncio.timeout(_WITHIN):
            head = await self.reader.readuntil(b"\r\n\r\n")
            (length,) = [line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
            return await self.reader.readexactly(int(length.partition(b":")[2]))


@contextlib.asynccontextmanager
async def _port() -> collections.abc.AsyncIterator[_Port]:
    async def usual(request: web.BaseRequest) -> web.Response:
        return web.Response(body=b"usual " + await request.read())

    port, loop = _Port(), asyncio.get_running_loop()
    port.serving = web.Server(usual, access_log=None)

    def speak() -> protocol.Protocol:
        refusal = lambda _cause: web.Response(status=400, body=b"refused")  # noqa: E731
        made = protocol.Protocol(port.serving, refusal=refusal, shortcut=port.shortcut, loop=loop, access_log=None)
        port.spoken.append(made)
        return made

    listening = await loop.create_server(speak, "127.0.0.1", 0)
    port.reader, port.writer = await asyncio.open_connection(*listening.sockets[0].getsockname())
    try:
        yield port
    finally:
        port.writer.close()
        listening.close()
        await port.serving.shutdown(timeout=1.0)


async def _seen(port: _Port, count: int) -> None:
    """Return when so many requests wait for their turn on the connection."""
    (spoken,) = port.spoken
    await wait.until_async(lambda: len(spoken._messages) == count, within_seconds=_WITHIN, why="they have come")


async def test_both_ways_share_a_connection() -> None:
    """A request by the shortcut is answered, and the connection goes on with others by either way."""
    async with _port() as port:
        for number in range(3):
            port.send(_quick(b"%d" % number))
            await port.taken(1)
            port.shortcut.answer()
            assert await port.read() == b"quick %d" % number
            port.send(_USUAL)
            assert await port.read() == b"usual "


async def test_answers_keep_the_order_of_their_requests() -> None:
    """What came in one packet is answered in its order; behind a request of the usual way, all go that way."""
    async with _port() as port:
        port.send(_quick(b"1") + _quick(b"2") + _USUAL + _quick(b"3"))
        for number in (b"1", b"2"):
            await port.taken(1)
            port.shortcut.answer()
            assert await port.read() == b"quick " + number
        assert [await port.read() for _ in range(2)] == [b"usual ", b"usual 3"]


async def test_what_comes_meanwhile_waits() -> None:
    """A request that comes while another is under way by the shortcut waits for its answer, and is not lost."""
    async with _port() as port:
        port.send(_quick(b"1"))
        await port.taken(1)
        port.send(_quick(b"2"))
        port.send(_USUAL)
        await _seen(port, 2)
        assert len(port.shortcut.waiting) == 1
        port.shortcut.answer()
        assert await port.read() == b"quick 1"
        await port.taken(1)
        port.shortcut.answer()
        assert [await port.read() for _ in range(2)] == [b"quick 2", b"usual "]


async def test_what_is_not_taken_goes_the_usual_way_unread() -> None:
    """A request that the shortcut does not take reaches the handler with its body."""
    async with _port() as port:
        port.shortcut.is_open = False
        port.send(_quick(b"whole"))
        assert await port.read() == b"usual whole"


async def test_a_body_that_has_not_come_is_not_waited_for() -> None:
    """Only what is there as a whole takes the shortcut."""
    async with _port() as port:
        whole = _quick(b"in two parts")
        port.send(whole[:-4])
        await wait.until_async(
            lambda: port.spoken and port.spoken[0]._current_request, within_seconds=_WITHIN, why="it is begun"
        )
        port.send(whole[-4:])
        assert await port.read() == b"usual in two parts"
        assert not port.shortcut.waiting


async def test_what_cannot_be_read_behind_it_is_refused_after_it() -> None:
    """Garbage behind a request is answered when the request is."""
    async with _port() as port:
        port.send(_quick(b"1"))
        await port.taken(1)
        port.send(b"garbage\r\n\r\n")
        await _seen(port, 1)
        port.shortcut.answer()
        assert [await port.read() for _ in range(2)] == [b"quick 1", b"refused"]
        assert await port.reader.read() == b""


async def test_a_client_that_goes_disturbs_nothing() -> None:
    """The answer to a client that is gone goes nowhere, and the connection's task has ended."""
    async with _port() as port:
        port.send(_quick(b"1"))
        await port.taken(1)
        (spoken,) = port.spoken
        port.writer.transport.abort()
        await wait.until_async(lambda: not spoken.connected, within_seconds=_WITHIN, why="it is gone")
        port.shortcut.answer()
        left = [task for task in asyncio.all_tasks() if "RequestHandler.start" in repr(task.get_coro())]
        assert left == []


async def test_a_shutdown_waits_for_the_answer() -> None:
    """What is under way by the shortcut is answered before the connection is closed."""
    async with _port() as port:
        port.send(_quick(b"1"))
        await port.taken(1)
        port.serving.pre_shutdown()
        ending = asyncio.create_task(port.serving.shutdown(timeout=_WITHIN))
        await asyncio.sleep(0)
        port.shortcut.answer()
        assert await port.read() == b"quick 1"
        await ending
        assert await port.reader.read() == b""
