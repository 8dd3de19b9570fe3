"""Connecting to a server that was looked up and checked (R6), at one of its addresses after the other."""

import asyncio
import collections
import dataclasses
import socket
from collections.abc import Sequence
from typing import Final

from mailtier.mail import classify
from mailtier.sender.net import handshakes, resolver

MOST_REACHED: Final = 3
"""Addresses with which more is tried than to connect: each may cost a handshake, and a name has up to sixteen."""

APART_SECONDS: Final = 0.5
"""From one connection to the next that is made in its place, so that such a server costs no more than many others."""

_RESERVE_PART: Final = 1 / 6
"""Of the total: what an address that was connected to leaves to each of those that may follow it."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    """A connection to one of the addresses.

    Attributes:
        sock: Connected and non-blocking; whoever gets it closes it.
        until: When it is the next one's turn, by the loop's clock.
    """

    address: resolver.Address
    sock: socket.socket
    until: float


class Tries:
    """The addresses of one server, which are tried in order within one total.

    Only the time for connecting is divided among all of them. Where somebody listens, a greeting may take its time,
    and the next address is mostly the same server: it would greet no sooner.

    Args:
        addresses: At least one.
        port: The same at all of them.
        seconds: The total, from now on.

    Attributes:
        fault: Why the last one that was not connected to was not.
    """

    def __init__(self, addresses: Sequence[resolver.Address], port: int, *, seconds: float) -> None:
        self._untried = collections.deque(addresses)
        self._port = port
        self._seconds = seconds
        self._ends_at = asyncio.get_running_loop().time() + seconds
        self._earliest = 0.0
        self._more = MOST_REACHED
        self.fault = classify.Fault.TIMED_OUT

    async def reach(self) -> Reached | None:
        """Return a connection to the next address that can be connected to; None where there is none to be tried."""
        loop = asyncio.get_running_loop()
        if not self._untried or not self._more:
            return None
        await asyncio.sleep(self._earliest - loop.time())
        while self._untried and loop.time() < self._ends_at:
            address = self._untried.popleft()
            # One part for each that may have to be connected to, and one for what comes then.
            parts = len(self._untried) + 2
            try:
                async with asyncio.timeout((self._ends_at - loop.time()) / parts):
                    sock = await _connect(address, self._port)
            except OSError as error:
                # TimeoutError is one of them.
                is_late = isinstance(error, TimeoutError)
                self.fault = classify.Fault.TIMED_OUT if is_late else classify.Fault.CONNECTION_FAILED
                continue
            self._more -= 1
            self._earliest = loop.time() + APART_SECONDS
            return Reached(address=address, sock=sock, until=loop.time() + self._kept(self._ends_at - loop.time()))
        return None

    def _kept(self, left: float) -> float:
        """Return how much of the seconds that are left an address keeps: most of them, or as much as any other."""
        others = min(len(self._untried), self._more)
        return max(left - others * self._seconds * _RESERVE_PART, left / (others + 1))


async def expects_tls(address: resolver.Address, port: int) -> bool:
    """Return whether a server that says nothing answers a TLS handshake; it is asked on another connection."""
    try:
        with await _connect(address, port) as asking:
            return await handshakes.is_expected(asking)
    except OSError:
        return False


async def _connect(address: resolver.Address, port: int) -> socket.socket:
    connecting = socket.socket(address.family, socket.SOCK_STREAM)
    connecting.setblocking(False)  # noqa: FBT003 - the standard library's signature.
    try:
        await asyncio.get_running_loop().sock_connect(connecting, (address.literal, port))
    except BaseException:
        connecting.close()
        raise
    return connecting
