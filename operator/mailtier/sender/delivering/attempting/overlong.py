"""Ends what holds too many of a server's connections for too long, while others wait for one (R15).

A server may take ten minutes to answer a final dot (RFC 5321 section 4.5.3.2.6), and while nobody else has mail for it,
one namespace may have all of its connections. Whoever comes then would wait for as long. So what a namespace holds over
half of them is broken off after a minute: its own messages are in doubt, and nobody else's are late. So is all that is
held at a server that another sender is to have: until then nothing of anybody's goes there.
"""

import collections
import dataclasses
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from typing import Final

from mailtier.sender import clock, ports
from mailtier.sender.net import breaker
from mailtier.sender.scheduling import lanes, schedule
from mailtier.sender.smtp import destination, destinations, slots
from mailtier.sender.smtp.servers import server_room
from mailtier.telemetry import logs, share_metrics

_LENT_SECONDS: Final = 60.0
"""As long as a password recovery waits for a server, whatever else is wrong there."""

_log = logs.get_logger(__name__)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Holding:
    """A connection that an attempt holds, or is opening."""

    entry: lanes.LaneEntry
    target: destination.Destination
    slot: slots.Slot
    since: float

    @property
    def room(self) -> server_room.ServerRoom:
        return self.slot.seat.room

    @property
    def namespace_uid(self) -> str:
        return self.entry.organization.key.namespace_uid


class Overlong:
    """The attempts that are under way, and for how long.

    Args:
        known: The endpoints in use.
        waiting: What is ready for them.
        is_mine: Whether an organization's mail is this sender's still.
        time: Clocks.
    """

    def __init__(
        self,
        known: destinations.Destinations,
        *,
        waiting: schedule.Schedule,
        is_mine: Callable[[ports.LaneKey], bool],
        time: clock.Clock,
    ) -> None:
        self._destinations = known
        self._schedule = waiting
        self._is_mine = is_mine
        self._clock = time
        self._held: dict[slots.Slot, _Holding] = {}

    def begin(self, entry: lanes.LaneEntry, target: destination.Destination, slot: slots.Slot) -> None:
        """Note that an attempt has a slot."""
        self._held[slot] = _Holding(entry=entry, target=target, slot=slot, since=self._clock.monotonic())

    def end(self, slot: slots.Slot) -> None:
        """Note that it has it no more."""
        del self._held[slot]

    def break_off(self) -> None:
        """End what is held for too long, and another sender is to have; or holds over half, while others wait."""
        latest = self._clock.monotonic() - _LENT_SECONDS
        overdue = sorted((each for each in self._held.values() if each.since <= latest), key=lambda each: each.since)
        if not overdue:
            return
        held = collections.Counter((each.room, each.namespace_uid) for each in self._held.values())
        waiting = self._waiting({each.room for each in overdue})
        for each in overdue:
            if each.slot.carried is None:
                continue
            key = each.room, each.namespace_uid
            if not self._is_mine(each.entry.organization.key):
                why = "another sender is to have the server"
            elif waiting[each.room] - {each.namespace_uid} and 2 * held[key] > self._limit(each.target, each.room):
                why = "others wait for the server, and its namespace holds over half"
            else:
                continue
            held[key] -= 1
            _log.warning(
                "a connection is broken off",
                why=why,
                organization=str(lanes.organization_of(each.entry.organization.key)),
                server=each.target.key.endpoint.host,
            )
            share_metrics.count_broken_off()
            each.slot.carried.break_off()

    def _waiting(self, rooms: AbstractSet[server_room.ServerRoom]) -> Mapping[server_room.ServerRoom, AbstractSet[str]]:
        """Return the namespaces that have something ready for a server, and nothing but its connections to wait for."""
        now = self._clock.monotonic()
        waiting: dict[server_room.ServerRoom, set[str]] = {room: set() for room in rooms}
        for each in self._destinations:
            room = each.at.seat.room
            if room in rooms and each.health.breaker.retry_at <= now and not each.at.seat.is_paced():
                waiting[room] |= self._schedule.rounds.ready_namespaces(each.key)
        return waiting

    def _limit(self, target: destination.Destination, room: server_room.ServerRoom) -> int:
        """Return how many connections there may be; one where it is tried whether the server works again."""
        is_tried = target.health.breaker.state(self._clock.monotonic()) is not breaker.BreakerState.CLOSED
        return 1 if is_tried else room.limit
