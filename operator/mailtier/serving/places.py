"""Who has a place among a port's connections, and who gives one up when there is none left (R15).

A newcomer is let in: whoever has the most gives up a place, the one that waited longest. Turning newcomers away
instead would let a few addresses that hold what they have shut out everybody else.
"""

import collections
import dataclasses
import enum
from collections.abc import Callable, Iterator
from typing import Final

from mailtier.telemetry import callers

REMEMBERED_SECONDS: Final = 600.0
"""How long an address counts as one that was authenticated lately."""
_REMEMBERED: Final = 4_096


class Stage(enum.Enum):
    """What a connection is at, as far as its place matters."""

    OPENING = "opening"
    """Nothing of it is known: its handshake, and the head of its first request until somebody was let in."""
    IDLE = "idle"
    """A request was answered, and there may be another."""
    READING = "reading"
    """Somebody was let in and sends a body."""
    BUSY = "busy"
    """A request is worked on: that does not end for a newcomer."""


@dataclasses.dataclass(slots=True, kw_only=True, eq=False)
class HeldPlace:
    """One connection's.

    Attributes:
        client: The address that it counts for.
        leave: Ends the connection; its place is given back by whoever took it.
    """

    client: str
    leave: Callable[[], None]
    stage: Stage = Stage.OPENING


class Places:
    """The places of one port.

    Args:
        total: Connections at the same time.
        reserve: How many of them only addresses have that were authenticated lately.
        per_client: The most of one address, while there is room.
        monotonic: Returns seconds of a clock that never jumps.
        port: What metrics call it.
    """

    def __init__(
        self, *, total: int, reserve: int, per_client: int, monotonic: Callable[[], float], port: callers.Port
    ) -> None:
        if not 0 <= reserve < total:
            raise ValueError("the reserve is a part of all places, and not the whole")
        self._total = total
        self._strangers = total - reserve
        self._per_client = per_client
        self._monotonic = monotonic
        self._port = port
        # In the order in which they came, by address.
        self._taken: dict[str, dict[HeldPlace, None]] = {}
        self._ages: dict[HeldPlace, int] = {}
        self._arrivals = 0
        self._known: collections.OrderedDict[str, float] = collections.OrderedDict()

    def __len__(self) -> int:
        """Return how many places are taken."""
        return len(self._ages)

    def take(self, client: str, leave: Callable[[], None]) -> HeldPlace | None:
        """Return a place for a connection of an address, or None where nobody can give one up.

        Args:
            client: The address.
            leave: Ends the connection, if it has to give up its place; may not call back at once.
        """
        if self._is_full(client):
            victim = self._victim(client)
            if victim is None:
                callers.count_connection_ended(port=self._port, cause="refused")
                return None
            # It counts no more from now on, however long its end takes.
            self.give_back(victim)
            callers.count_connection_ended(port=self._port, cause="evicted")
            victim.leave()
        place = HeldPlace(client=client, leave=leave)
        self._taken.setdefault(client, {})[place] = None
        self._arrivals += 1
        self._ages[place] = self._arrivals
        callers.set_connections(port=self._port, count=len(self))
        return place

    def prove(self, place: HeldPlace) -> None:
        """Remember that somebody was authenticated on this connection."""
        self._known[place.client] = self._monotonic() + REMEMBERED_SECONDS
        self._known.move_to_end(place.client)
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)

    def give_back(self, place: HeldPlace) -> None:
        """Free a place; nothing where it is free already."""
        if self._ages.pop(place, None) is None:
            return
        taken = self._taken[place.client]
        del taken[place]
        if not taken:
            del self._taken[place.client]
        callers.set_connections(port=self._port, count=len(self))

    def _is_full(self, client: str) -> bool:
        return (
            len(self) >= self._total
            or len(self._taken.get(client, ())) >= self._per_client
            or (not self._is_known(client) and self._count_strangers() >= self._strangers)
        )

    def _victim(self, client: str) -> HeldPlace | None:
        own = self._taken.get(client, {})
        if len(own) >= self._per_client:
            return _longest_waiting(own)
        strangers_only = not self._is_known(client) and self._count_strangers() >= self._strangers
        return self._of_the_greediest(client, strangers_only=strangers_only)

    def _is_known(self, client: str) -> bool:
        return self._known.get(client, float("-inf")) > self._monotonic()

    def _count_strangers(self) -> int:
        return sum(len(taken) for client, taken in self._taken.items() if not self._is_known(client))

    def _of_the_greediest(self, newcomer: str, *, strangers_only: bool) -> HeldPlace | None:
        """Return the connection that gives up its place: of the address with the most, else of whoever waits longest.

        The newcomer's own count includes the place that it wants, so that nobody takes from who has no more.
        """
        best: tuple[int, bool, int] | None = None
        found: HeldPlace | None = None
        for client, taken in self._taken.items():
            known = self._is_known(client)
            if strangers_only and known:
                continue
            victim = _longest_waiting(taken)
            if victim is None:
                continue
            rank = (len(taken) + (client == newcomer), not known, -self._ages[victim])
            if best is None or rank > best:
                best, found = rank, victim
        return found


def _longest_waiting(places: dict[HeldPlace, None]) -> HeldPlace | None:
    return next(_evictable(places), None)


def _evictable(places: dict[HeldPlace, None]) -> Iterator[HeldPlace]:
    """Yield what may end, first what nothing is known of, then idle ones, then bodies that are still arriving."""
    for stage in (Stage.OPENING, Stage.IDLE, Stage.READING):
        yield from (place for place in places if place.stage is stage)
