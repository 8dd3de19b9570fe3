"""Many dead servers of one tenant that are tried again at the same moment."""

import asyncio
import pathlib

from kit import attacks, dead_servers, sending, wait
from mailtier.api import vocabulary
from mailtier.settings import effective

_SERVERS = 60
_APART_SECONDS = 0.01

ATTACKS = (
    attacks.Story(
        name="dead-servers-that-come-due-together",
        test="test_servers_are_tried_again_one_after_the_other",
        rules=("R15",),
        story="A tenant has organizations with very many servers that all die at once. Their pauses end together, and"
        " to open a session takes milliseconds of the loop in which everybody's mail goes.",
        stopped_by="servers that are tried again after a pause take turns, 100 in a second",
    ),
)


async def test_servers_are_tried_again_one_after_the_other(tmp_path: pathlib.Path) -> None:
    """Between two trials others have the loop, and in the end every server was tried (R15)."""
    tried: list[float] = []

    async def refuse(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tried.append(asyncio.get_running_loop().time())
        writer.write(b"421 4.3.2 closing\r\n")
        writer.close()

    async with (
        await asyncio.start_server(refuse, dead_servers.EVERYWHERE, 0) as server,
        sending.Sender(tmp_path) as sender,
    ):
        port = server.sockets[0].getsockname()[1]
        for number in range(_SERVERS):
            at = effective.Endpoint(
                host=dead_servers.address(30, number),
                port=port,
                tls=sending.PLAIN,
                addresses=sending.LOOPBACK,
                origin=vocabulary.Origin.ORG,
                is_host_s=False,
            )
            await sender.notify(sender.settings.put(sending.settings(f"team-{number}", at)))
        await wait.until_async(lambda: len(tried) == _SERVERS, within_seconds=30, why="each was tried")
        await wait.until_async(
            lambda: sum(each.health.breaker.faults for each in sender.destinations) == _SERVERS,
            within_seconds=30,
            why="all pauses have begun",
        )
        tried.clear()
        sender.skip(2)
        await wait.until_async(lambda: len(tried) >= _SERVERS, within_seconds=30, why="each is tried again")
    again = tried[:_SERVERS]
    assert again[-1] - again[0] >= (_SERVERS - 1) * _APART_SECONDS * 0.8
