"""Messages in doubt at a server that does not take their organization's mail now: they are resent there all the same.

An organization with a fallback sends to one of its two servers at a time. What was lost after its final dot at the
other one may have been taken there, and only that server can know it.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Final

from mailtier.sender import clock, settings_source
from mailtier.sender.delivering import builder
from mailtier.sender.scheduling import lanes, schedule
from mailtier.sender.smtp import destination, destinations, slots
from mailtier.sender.smtp.servers import destination_key, routing

AGAIN_SECONDS: Final = 15.0
"""When it is looked again whether there is a connection for such a message; it keeps nobody else waiting."""

CarryOut = Callable[[lanes.LaneEntry, destination.Destination, slots.Slot], Awaitable[None]]


class Detours:
    """Sends what is in doubt elsewhere.

    Args:
        carry_out: Makes an attempt at a server that is not the organization's present one.
        settings: Effective settings of every organization.
        destinations: The endpoints in use.
        waiting: The active set.
        spawn: Runs a coroutine in the background.
        time: Clocks.
    """

    def __init__(
        self,
        *,
        carry_out: CarryOut,
        settings: settings_source.KnownSettings,
        destinations: destinations.Destinations,
        waiting: schedule.Schedule,
        spawn: Callable[..., Any],
        time: clock.Clock,
    ) -> None:
        self._carry_out = carry_out
        self._settings = settings
        self._destinations = destinations
        self._schedule = waiting
        self._spawn = spawn
        self._clock = time

    def take(self, entry: lanes.LaneEntry, target: destination.Destination) -> bool:
        """Return whether an entry is in doubt at another server than a target; then it is sent there, or waits."""
        other = self._other(entry, target)
        if other is None:
            return False
        slot = other.reserve()
        if slot is None:
            other.want_nothing()
            self.defer(entry, self._clock.monotonic() + AGAIN_SECONDS)
        else:
            slot.pace.count()
            self._spawn(self._send(entry, other, slot))
        return True

    def defer(self, entry: lanes.LaneEntry, due_at: float) -> None:
        """Let an entry wait as it is, and not its organization, whose other messages have another way."""
        self._schedule.defer(entry, entry.pending, due_at=due_at)

    def _other(self, entry: lanes.LaneEntry, target: destination.Destination) -> destination.Destination | None:
        if entry.job.snapshot is None:
            return None
        settings = self._settings.get(lanes.organization_of(entry.organization.key))
        if settings is None or settings.fallback is None:
            return None
        there = routing.pinned(settings, builder.server_of(entry.job.snapshot))
        if there is None or destination_key.key_of(there) == target.key:
            return None
        return self._destinations.get(there)

    async def _send(self, entry: lanes.LaneEntry, other: destination.Destination, slot: slots.Slot) -> None:
        began = self._clock.monotonic()
        try:
            await self._carry_out(entry, other, slot)
            slot.pace.refund()
            self._schedule.charge(entry, self._clock.monotonic() - began, pace_seconds=slot.pace.seconds)
        finally:
            await other.give_back(slot)
