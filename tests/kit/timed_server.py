"""An SMTP server that notes when it has answered each message: the end of what latency is measured over.

Run as `python -m kit.timed_server PORT FILE [--host ADDRESS] [--seconds DELAY] [--varies PART]`. It offers PIPELINING,
and takes what is addressed to `mNUMBER@...`. For each message it writes a line into the file: the number, the seconds
of CLOCK_MONOTONIC at which it was answered, and how many connections there were.
"""

import argparse
import asyncio
import collections.abc
import contextlib
import dataclasses
import pathlib
import random
import re
import signal
import sys
import time
import typing

from kit import ports, processes, wait

_RECIPIENT = re.compile(rb"RCPT TO:<m(\d+)@", re.IGNORECASE)
_END = b"\r\n.\r\n"
_WRITE_SECONDS = 0.02
_START_SECONDS = 60


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """A message that was answered.

    Attributes:
        at: Seconds of CLOCK_MONOTONIC.
        connections: How many there were.
    """

    at: float
    connections: int


class TimedServer:
    """The server as a process, while its context is entered.

    Args:
        folder: For its file and log.
        port: A free one by default.
        host: Its address; `0.0.0.0` for all of 127/8.
        delay_seconds: How long it takes for its reply to a message.
        varies: By which part of that it may take less, or more.
    """

    def __init__(
        self,
        folder: pathlib.Path,
        *,
        port: int = 0,
        host: str = "127.0.0.1",
        delay_seconds: float = 0.0,
        varies: float = 0.0,
    ) -> None:
        self.port = port or ports.free()
        self._file = folder / f"answered-{self.port}"
        self._argv = [sys.executable, "-m", __name__, str(self.port), str(self._file)]
        self._argv += [f"--host={host}", f"--seconds={delay_seconds}", f"--varies={varies}"]
        self._log = folder / "timed-server.log"
        self._child: processes.Child | None = None
        self._answered: dict[int, Answered] = {}
        self._read_bytes = 0

    def __enter__(self) -> typing.Self:
        self._file.unlink(missing_ok=True)
        here = pathlib.Path(__file__).parents[1]
        child = self._child = processes.start(
            self._argv, log=self._log, name="timed server", env={"PYTHONPATH": str(here)}
        )
        wait.until(
            lambda: self._file.exists() or not child.running, within_seconds=_START_SECONDS, why="the server listens"
        )
        if not child.running:
            raise RuntimeError(child.ended_early())
        return self

    def __exit__(self, *exception: object) -> None:
        if self._child is not None:
            self._child.stop()

    @property
    def child(self) -> processes.Child:
        """Its process."""
        assert self._child is not None
        return self._child

    def answered(self) -> collections.abc.Mapping[int, Answered]:
        """Return what it has answered so far, by number; each call reads only what is new, as a bench measures on."""
        with self._file.open("rb") as file:
            file.seek(self._read_bytes)
            whole, end, _begun = file.read().rpartition(b"\n")
        self._read_bytes += len(whole) + len(end)
        for line in whole.splitlines():
            number, at, count = line.split()
            self._answered[int(number)] = Answered(at=float(at), connections=int(count))
        return self._answered


class _Dialogues:
    """What all connections share.

    Attributes:
        count: How many there are.
        lines: What is still to be written.
    """

    def __init__(self, delay_seconds: float, *, varies: float) -> None:
        self.delay_seconds = delay_seconds
        self._varies = varies
        # The same in each run.
        self._chance = random.Random(1)  # noqa: S311
        self.count = 0
        self.lines: list[str] = []

    def next_delay(self) -> float:
        """Return how long the reply to the next message takes."""
        return self.delay_seconds * self._chance.uniform(1 - self._varies, 1 + self._varies)


class _Dialogue(asyncio.Protocol):
    """One connection."""

    def __init__(self, shared: _Dialogues) -> None:
        self._shared = shared
        self._received = b""
        self._number = -1
        self._in_message = False
        self._is_late = False
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._shared.count += 1
        transport.write(b"220 timed.test ESMTP\r\n")

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._shared.count -= 1

    def data_received(self, data: bytes) -> None:
        self._received += data
        self._go_on()

    def _go_on(self) -> None:
        while not self._is_late:
            end = _END if self._in_message else b"\r\n"
            part, found, rest = self._received.partition(end)
            if not found:
                return
            self._received = rest
            if not self._in_message:
                self._answer(part)
            elif self._shared.delay_seconds:
                self._is_late = True
                asyncio.get_running_loop().call_later(self._shared.next_delay(), self._take_late)
            else:
                self._take()

    def _take_late(self) -> None:
        self._is_late = False
        self._take()
        self._go_on()

    def _take(self) -> None:
        assert self._transport is not None
        self._in_message = False
        self._transport.write(b"250 2.0.0 Ok\r\n")
        self._shared.lines.append(f"{self._number} {time.monotonic()} {self._shared.count}\n")

    def _answer(self, command: bytes) -> None:
        assert self._transport is not None
        verb = command[:4].upper()
        if verb == b"RCPT" and (found := _RECIPIENT.match(command)):
            self._number = int(found[1])
        if verb == b"DATA":
            self._in_message = True
        replies = {
            b"EHLO": b"250-timed.test\r\n250-8BITMIME\r\n250 PIPELINING\r\n",
            b"DATA": b"354 Go on\r\n",
            b"QUIT": b"221 2.0.0 Bye\r\n",
        }
        self._transport.write(replies.get(verb, b"250 2.0.0 Ok\r\n"))
        if verb == b"QUIT":
            self._transport.close()


async def serve(host: str, port: int, file: pathlib.Path, *, delay_seconds: float, varies: float) -> None:
    """Serve until SIGTERM."""
    shared = _Dialogues(delay_seconds, varies=varies)
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, ended.set)
    server = await loop.create_server(lambda: _Dialogue(shared), host, port, backlog=4096)
    with file.open("w", encoding="ascii") as written:
        while not ended.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(ended.wait(), _WRITE_SECONDS)
            written.writelines(shared.lines)
            shared.lines.clear()
            written.flush()
    server.close()


def main(argv: collections.abc.Sequence[str] | None = None) -> None:
    """Serve as the command line asks."""
    parser = argparse.ArgumentParser(prog="python -m kit.timed_server", description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("file", type=pathlib.Path)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--seconds", type=float, default=0.0)
    parser.add_argument("--varies", type=float, default=0.0)
    options = parser.parse_args(argv)
    asyncio.run(serve(options.host, options.port, options.file, delay_seconds=options.seconds, varies=options.varies))


if __name__ == "__main__":
    main()
