"""Probes that wait for a connection of a server: namespaces in turn, and those of each in their order (R15)."""

import asyncio
import collections
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

_Seat = TypeVar("_Seat")


class ProbeLine(Generic[_Seat]):
    """Who waits, and for which seat's connection.

    One line for all would be as long for a namespace with one probe as for that with hundreds.
    """

    def __init__(self) -> None:
        self._waiting: collections.OrderedDict[str, dict[asyncio.Future[None], _Seat]] = collections.OrderedDict()

    def __iter__(self) -> Iterator[_Seat]:
        """Return the seats of those that wait."""
        for line in self._waiting.values():
            for turn, seat in line.items():
                if not turn.done():
                    yield seat

    def join(self, namespace: str, seat: _Seat) -> asyncio.Future[None]:
        """Return what is done when a probe of a namespace, of the host's own settings with "", has its connection."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(namespace, {})[turn] = seat
        return turn

    def leave(self, namespace: str, turn: asyncio.Future[None]) -> None:
        """Note that a probe does not wait any more."""
        line = self._waiting.get(namespace, {})
        line.pop(turn, None)
        if not line:
            self._waiting.pop(namespace, None)

    def take(self, may: Callable[[_Seat], bool]) -> tuple[asyncio.Future[None], _Seat] | None:
        """Take out the next one that may have a connection, whose namespace is the last from now on; None for none."""
        for namespace, line in self._waiting.items():
            for turn, seat in line.items():
                if not turn.done() and may(seat):
                    self._waiting.move_to_end(namespace)
                    self.leave(namespace, turn)
                    return turn, seat
        return None
