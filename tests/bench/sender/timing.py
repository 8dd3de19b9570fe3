"""An SMTP server that notes when it has answered each message: the end of what latency is measured over.

Run as `python -m bench.sender.timing PORT FILE`. It offers PIPELINING, and takes what is addressed to `mNUMBER@...`.
When it is asked to end, with SIGTERM, it writes the seconds of CLOCK_MONOTONIC by number into the file, as JSON.
"""

import asyncio
import json
import pathlib
import re
import signal
import sys
import time

_RECIPIENT = re.compile(rb"RCPT TO:<m(\d+)@", re.IGNORECASE)
_END = b"\r\n.\r\n"


class _Dialogue(asyncio.Protocol):
    """One connection."""

    def __init__(self, answered: dict[int, float]) -> None:
        self._answered = answered
        self._received = b""
        self._number = -1
        self._in_message = False
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(b"220 timing.test ESMTP\r\n")

    def data_received(self, data: bytes) -> None:
        self._received += data
        while True:
            end = _END if self._in_message else b"\r\n"
            part, found, rest = self._received.partition(end)
            if not found:
                return
            self._received = rest
            if self._in_message:
                self._take()
            else:
                self._answer(part)

    def _take(self) -> None:
        assert self._transport is not None
        self._in_message = False
        self._transport.write(b"250 2.0.0 Ok\r\n")
        self._answered[self._number] = time.monotonic()

    def _answer(self, command: bytes) -> None:
        assert self._transport is not None
        verb = command[:4].upper()
        if verb == b"RCPT" and (found := _RECIPIENT.match(command)):
            self._number = int(found[1])
        if verb == b"DATA":
            self._in_message = True
        replies = {
            b"EHLO": b"250-timing.test\r\n250-8BITMIME\r\n250 PIPELINING\r\n",
            b"DATA": b"354 Go on\r\n",
            b"QUIT": b"221 2.0.0 Bye\r\n",
        }
        self._transport.write(replies.get(verb, b"250 2.0.0 Ok\r\n"))
        if verb == b"QUIT":
            self._transport.close()


async def serve(port: int) -> dict[int, float]:
    """Serve until SIGTERM, and return when each message was answered."""
    answered: dict[int, float] = {}
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, ended.set)
    server = await loop.create_server(lambda: _Dialogue(answered), "127.0.0.1", port)
    await ended.wait()
    server.close()
    return answered


if __name__ == "__main__":
    times = asyncio.run(serve(int(sys.argv[1])))
    pathlib.Path(sys.argv[2]).write_text(json.dumps(times), encoding="ascii")
