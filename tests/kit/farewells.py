"""What a test's event loop has to see before it ends: the end of connections that are being closed.

A TLS connection that is given up says so to its peer, and is closed when the peer has answered, which a client's own
`close` does not wait for. A loop that ends before that leaves a socket behind, which is reported much later, in another
test. Connections that nobody closes are none of this module's: they stay, and are reported.
"""

import asyncio
import contextlib
import typing

from kit import wait

_SECONDS = 2.0


async def over() -> None:
    """Return when no connection of the running loop is on its way to be closed, or after two seconds."""
    # asyncio has no public list of them.
    known = getattr(asyncio.get_running_loop(), "_transports", {})

    async def gone() -> bool:
        return not any(_is_leaving(transport) for transport in list(known.values()))

    # A peer that never answers is what some tests are about.
    with contextlib.suppress(wait.NotInTimeError):
        await wait.until_async(gone, within_seconds=_SECONDS, why="closed connections are over", poll_seconds=0.01)


def _is_leaving(transport: typing.Any) -> bool:
    """Return whether a connection is being closed, by itself or by the TLS upon it."""
    if transport._sock is None:
        return False
    upon = transport.get_protocol()
    secured = getattr(upon, "_app_transport", None)
    return bool(transport.is_closing() or (secured is not None and secured.is_closing()))
