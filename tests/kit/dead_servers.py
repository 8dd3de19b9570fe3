"""Servers that are dead in five ways, as one process: `python -m kit.dead_servers FOLDER`.

It writes `dead-ports.json` into the folder once it is at work, and goes on until it is ended. All listen at every
address of 127/8, so that each organization may have a server of its own.
"""

import asyncio
import collections.abc
import contextlib
import json
import pathlib
import socket
import sys
import typing

from kit import hostile, ports, processes, smtpd, wait

WAYS: typing.Final = ("black hole", "refused", "drip", "421", "slow DNS")
EVERYWHERE: typing.Final = "0.0.0.0"  # noqa: S104  # All of 127/8.
_FILE = "dead-ports.json"
_START_SECONDS = 60
_FILLED = 8
"""Connections that fill a queue of length nothing: what comes then is not answered at all."""


class DeadServers:
    """The servers, while their context is entered.

    Args:
        folder: For a file and a log.
    """

    def __init__(self, folder: pathlib.Path) -> None:
        self._folder = folder
        self._ports: dict[str, int] = {}
        self._child: processes.Child | None = None

    def __enter__(self) -> typing.Self:
        file, here = self._folder / _FILE, pathlib.Path(__file__).parents[1]
        file.unlink(missing_ok=True)
        argv = [sys.executable, "-m", __name__, str(self._folder)]
        child = self._child = processes.start(
            argv, log=self._folder / "dead-servers.log", name="dead servers", env={"PYTHONPATH": str(here)}
        )
        wait.until(lambda: file.exists() or not child.running, within_seconds=_START_SECONDS, why="they are at work")
        if not child.running:
            raise RuntimeError(child.ended_early())
        self._ports = json.loads(file.read_text(encoding="ascii"))
        return self

    def __exit__(self, *exception: object) -> None:
        if self._child is not None:
            self._child.stop()

    @property
    def nameserver(self) -> str:
        """A DNS server that answers nobody."""
        return f"127.0.0.1:{self._ports['slow DNS']}"

    def place(self, number: int) -> tuple[str, int]:
        """Return the host and the port of a dead server, each of its own; the five ways in turn."""
        way = WAYS[number % len(WAYS)]
        if way == "slow DNS":
            return f"slow-{number}.example.com", 25
        return address(30, number), self._ports[way]


def address(block: int, number: int) -> str:
    """Return an address of 127/8 of its own, among those of a block."""
    return f"127.{block}.{number // 250}.{1 + number % 250}"


async def _serve(folder: pathlib.Path) -> None:
    found: dict[str, int] = {"refused": ports.free()}
    async with contextlib.AsyncExitStack() as stack:
        for way, behaviour in (
            ("drip", hostile.drip("220 dead.test ESMTP")),
            ("421", smtpd.Behaviour(reply="421 4.3.2 closing", drop=smtpd.Drop.AFTER)),
        ):
            server = smtpd.Server(host=EVERYWHERE)
            server.script.on(smtpd.GREETING, behaviour)
            await stack.enter_async_context(server)
            found[way] = server.port
        hole = stack.enter_context(socket.create_server((EVERYWHERE, 0), backlog=0))
        found["black hole"] = hole.getsockname()[1]
        for _ in range(_FILLED):
            filling = stack.enter_context(socket.socket())
            filling.setblocking(False)  # noqa: FBT003  # The only form there is.
            filling.connect_ex(("127.0.0.1", found["black hole"]))
        mute = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        mute.bind(("127.0.0.1", 0))
        found["slow DNS"] = mute.getsockname()[1]
        written = folder / f"{_FILE}.new"
        written.write_text(json.dumps(found), encoding="ascii")
        written.rename(folder / _FILE)
        await asyncio.Event().wait()


def main(argv: collections.abc.Sequence[str]) -> None:
    """Serve until the end."""
    asyncio.run(_serve(pathlib.Path(argv[0])))


if __name__ == "__main__":
    main(sys.argv[1:])
