"""A server that is asked for the next envelope before it answers a message, and tells whether it came."""

import asyncio
import contextlib
import dataclasses
import typing

_EHLO = b"250-smtp.test\r\n250-PIPELINING\r\n250 8BITMIME\r\n"
_ONE_BY_ONE = b"250-smtp.test\r\n250 8BITMIME\r\n"


@dataclasses.dataclass(slots=True, kw_only=True)
class Taken:
    """One message that the server took.

    Attributes:
        rcpt_to: The recipient of its envelope.
        mail_from: Its sender.
        connection: Number of the connection, from 0.
        announced: Of the message that was announced behind it; None where nothing was, as far as the server waited.
    """

    rcpt_to: str
    mail_from: str
    connection: int
    announced: str | None = None


class ListeningServer:
    """Offers PIPELINING, and answers a message late: not before the next envelope has come, or a while has passed.

    Args:
        pipelining: Whether it does.
        patience_seconds: How long that while is.
        is_far: Whether the network takes as long for an envelope, and not the server alone for a message.

    Attributes:
        taken: What it took, in order.
        connections: How many were opened.
        open_connections: How many are open.
        replies: By recipient what is answered to its message, in place of `250 taken`; empty: the connection ends.
        held: Recipients whose message is not answered before `go` is set.
        waiting: Messages that are there and are not answered.
    """

    def __init__(self, *, pipelining: bool = True, patience_seconds: float = 0.3, is_far: bool = True) -> None:
        self._is_far = is_far
        self._patience_seconds = patience_seconds
        self._ehlo = _EHLO if pipelining else _ONE_BY_ONE
        self._stack = contextlib.AsyncExitStack()
        self.taken: list[Taken] = []
        self.connections = 0
        self.open_connections = 0
        self.host = "127.0.0.1"
        self.port = 0
        self.replies: dict[str, bytes] = {}
        self.held: set[str] = set()
        self.go = asyncio.Event()
        self.waiting: list[Taken] = []

    async def __aenter__(self) -> typing.Self:
        server = await asyncio.start_server(self._talk, self.host, 0)
        self.port = server.sockets[0].getsockname()[1]
        self._stack.callback(server.close)
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self._stack.aclose()

    @property
    def recipients(self) -> list[str]:
        """Whose messages it took, in order."""
        return [each.rcpt_to for each in self.taken]

    @property
    def announced(self) -> list[str]:
        """Who was announced."""
        return [each.announced for each in self.taken if each.announced is not None]

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number, self.connections = self.connections, self.connections + 1
        self.open_connections += 1
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                await self._serve(number, reader, writer)
        finally:
            self.open_connections -= 1
            writer.close()

    async def _serve(self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 smtp.test ESMTP\r\n")
        mail_from = rcpt_to = ""
        ahead: list[bytes] = []
        while line := ahead.pop(0) if (is_ahead := bool(ahead)) else await reader.readline():
            match line.split(b" ", 1)[0].strip().upper():
                case b"EHLO":
                    writer.write(self._ehlo)
                case b"MAIL":
                    mail_from = _address(line)
                    writer.write(b"250 ok\r\n")
                case b"RCPT":
                    rcpt_to = _address(line)
                    writer.write(b"250 ok\r\n")
                case b"DATA":
                    await asyncio.sleep(self._patience_seconds * (self._is_far and not is_ahead))
                    writer.write(b"354 go\r\n")
                    await reader.readuntil(b"\r\n.\r\n")
                    taken = Taken(rcpt_to=rcpt_to, mail_from=mail_from, connection=number)
                    ahead = await self._ahead(reader)
                    taken.announced = _address(ahead[1]) if len(ahead) > 1 else None
                    if rcpt_to in self.held:
                        self.waiting.append(taken)
                        await self.go.wait()
                    reply = self.replies.get(rcpt_to, b"250 taken\r\n")
                    if reply.startswith(b"250"):
                        self.taken.append(taken)
                    if not reply:
                        return
                    writer.write(reply)
                case b"QUIT":
                    writer.write(b"221 bye\r\n")
                    return
                case _:
                    writer.write(b"250 ok\r\n")

    async def _ahead(self, reader: asyncio.StreamReader) -> list[bytes]:
        """Return the commands that come before a message is answered: of the next envelope, or what else there is."""
        try:
            async with asyncio.timeout(self._patience_seconds):
                first = await reader.readline()
        except TimeoutError:
            return []
        if not first.startswith(b"MAIL"):
            return [first]
        return [first, await reader.readline(), await reader.readline()]


def _address(line: bytes) -> str:
    return line.partition(b"<")[2].partition(b">")[0].decode()
