"""Carrying messages over slots: one after the other over a connection, until there is none or others should have it."""

import asyncio
import contextlib
import functools
from collections.abc import Hashable, Iterator
from typing import Final

from mailtier.api import timers
from mailtier.sender import clock
from mailtier.sender.delivering.attempting import announcing, attempt
from mailtier.sender.scheduling import lanes, schedule
from mailtier.sender.smtp import destination, slots
from mailtier.sender.smtp.servers import destination_key
from mailtier.sender.smtp.sessions import session
from mailtier.telemetry import tasks

_LINGER_SECONDS: Final = 0.05
"""How long a session waits for more of its login while another login wants its connection: far less than to open one,
and so few messages of two that come in turns are not as many sessions."""

_TRIALS_APART_SECONDS: Final = 0.01
"""From one server that is tried again after a pause to the next: many that died together come due together, and opening
a session takes some milliseconds of the loop in which everybody's mail goes (R15)."""

_PROMPT_SECONDS: Final = 1.0
_QUICK_SECONDS: Final = 0.005
_ROUND_TRIPS: Final = 3
"""Where the reply to a message took longer than the first of these, or than the second and so many times what the
envelope took, the next one is not announced behind another: it would save little of the time, and whoever comes
meanwhile would wait for two messages instead of one."""


class Carriers:
    """Carries what is ready for a destination over its free slots.

    Args:
        attempts: Carries out one message.
        preparer: Prepares the one after it.
        waiting: The active set.
        time: Clocks.
        background: Where the work runs.
    """

    def __init__(
        self,
        *,
        attempts: attempt.Attempts,
        preparer: announcing.Preparer,
        waiting: schedule.Schedule,
        time: clock.Clock,
        background: tasks.Background,
    ) -> None:
        self.background = background
        self._attempts = attempts
        self._announcer = preparer
        self._schedule = waiting
        self._clock = time
        # Destinations to look at although nothing new is ready for them, and when.
        self._retries = timers.Timers[destination_key.DestinationKey]()
        # Who waits, with a session in hand, until something becomes ready for its destination.
        self._lingering: dict[Hashable, list[asyncio.Future[None]]] = {}
        self._followers: dict[announcing.Follower, destination_key.DestinationKey] = {}
        self._is_stopping = False
        self._next_trial_at = float("-inf")

    def stop(self) -> None:
        """Begin nothing further."""
        self._is_stopping = True

    def due(self, now: float) -> Iterator[destination_key.DestinationKey]:
        """Yield the destinations that are to be looked at again."""
        return self._retries.due(now)

    def next_event(self) -> float | None:
        """Return when there is one."""
        return self._retries.next_at()

    def start(self, target: destination.Destination, now: float) -> None:
        """Use each free slot, as long as there is something for it."""
        while self._schedule.rounds.has_ready(target.key):
            if target.health.breaker.awaits_trial(now) and not self._is_in_turn(target, now):
                break
            slot = target.reserve()
            if slot is None:
                self._retry(target, now)
                return
            entry = self._schedule.take(target.key, now)
            if entry is None:
                target.want_nothing()
                target.give_back_unused(slot)
                return
            # At once: the next slot is had only if the rate allows another message.
            slot.pace.count()
            self.background.spawn(self._carry(target, slot, entry))
        # Others at the same server do not wait for it.
        target.want_nothing()

    def end_lingering(self, key: Hashable) -> None:
        """Have sessions look whether what became ready is for them."""
        for ready in self._lingering.pop(key, ()):
            if not ready.done():
                ready.set_result(None)

    def withdraw(self, now: float) -> None:
        """Let others have who was announced behind a message whose reply does not come; the connection ends then."""
        for follower in self._followers:
            if follower.entry is not None and now - follower.at >= announcing.PATIENCE_SECONDS:
                self._undo_turn(follower)

    def _is_in_turn(self, target: destination.Destination, now: float) -> bool:
        """Return whether a server may be tried now after its pause; else it is looked at again when it may."""
        health = target.health
        if health.trial_at is None:
            health.trial_at = self._next_trial_at = max(self._next_trial_at + _TRIALS_APART_SECONDS, now)
        if health.trial_at > now:
            self._retries.set(target.key, health.trial_at)
            return False
        health.trial_at = None
        return True

    def _retry(self, target: destination.Destination, now: float) -> None:
        """Have a destination looked at again when breaker and rate let somebody through; one reminder is enough."""
        at = target.again_at()
        known = self._retries.at(target.key)
        if now < at and (known is None or at < known):
            self._retries.set(target.key, at)

    async def _carry(self, target: destination.Destination, slot: slots.Slot, entry: lanes.LaneEntry) -> None:
        """Deliver one message after the other over one slot, until there is none or others should have it."""
        follower = announcing.Follower(
            entry,
            choose=functools.partial(self._choose, target=target, slot=slot),
            prepare=functools.partial(self._announcer.prepare, target=target, slot=slot),
            time=self._clock,
        )
        self._followers[follower] = target.key
        following: lanes.LaneEntry | None = entry
        try:
            while following is not None:
                await self._carry_one(following, target, slot, follower)
                if self._is_stopping or target.health.breaker.retry_at > self._clock.monotonic():
                    break
                # Who was announced goes first: else the connection would end with its turn.
                if not slot.is_promised and target.must_yield(slot):
                    break
                following = follower.take() or await self._following(following, target, slot)
                if following is not None:
                    slot.pace.count()
        finally:
            self._undo_turn(follower)
            del self._followers[follower]
            await target.give_back(slot)

    async def _carry_one(
        self,
        entry: lanes.LaneEntry,
        target: destination.Destination,
        slot: slots.Slot,
        follower: announcing.Follower,
    ) -> None:
        follower.behind, slot.turns = entry, slot.turns + 1
        began = self._clock.monotonic()
        await self._attempts.carry_out(entry, target, slot, follower)
        slot.pace.refund()
        # Who has a server be slow shall not have it more than others who share it.
        seconds = self._clock.monotonic() - began
        self._schedule.charge(entry, seconds, at=target.key, pace_seconds=slot.pace.seconds)
        if follower.entry is None:
            # What was announced had no turn after all.
            slot.take_back()
        target.end_trial(slot)

    def _undo_turn(self, follower: announcing.Follower) -> None:
        entry = follower.withdraw()
        if entry is not None:
            self._schedule.undo_turn(entry, at=self._followers[follower])

    def _choose(
        self, entry: lanes.LaneEntry, target: destination.Destination, slot: slots.Slot
    ) -> lanes.LaneEntry | None:
        """Return whose turn it is behind the message at hand, if the slot is certainly used for another one."""
        now = self._clock.monotonic()
        is_last = self._is_stopping or target.health.breaker.retry_at > now or target.must_yield(slot)
        is_slow = slot.carried is None or _is_slow(slot.carried)
        # A trial is one message, and so is the first of a server; with a rate of the server it is that which is waited
        # for.
        if is_last or is_slow or slot.is_trial or not target.health.has_served or slot.pace.seconds:
            return None
        # Its connection is free by then.
        self._schedule.rounds.in_use.give_back(target.key, entry.organization.key.namespace_uid)
        try:
            return self._another(entry, target) if target.goes_on(slot) else self._schedule.take(target.key, now)
        finally:
            self._schedule.rounds.in_use.take(target.key, entry.organization.key.namespace_uid)

    async def _following(
        self, entry: lanes.LaneEntry, target: destination.Destination, slot: slots.Slot
    ) -> lanes.LaneEntry | None:
        """Return what follows an entry on a slot: more that its session is fit for, until others have their turn."""
        if target.goes_on(slot):
            another = self._another(entry, target)
            if another is None and target.lingers(slot) and self._schedule.rounds.has_others(entry, target.key):
                another = await self._linger(entry, target)
            if another is not None:
                return another
        return self._schedule.take(target.key, self._clock.monotonic())

    def _another(self, entry: lanes.LaneEntry, target: destination.Destination) -> lanes.LaneEntry | None:
        return self._schedule.take_another(entry, target.key, self._clock.monotonic())

    async def _linger(self, entry: lanes.LaneEntry, target: destination.Destination) -> lanes.LaneEntry | None:
        """Return more of the same that comes at once; None where nothing does."""
        another: lanes.LaneEntry | None = None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LINGER_SECONDS):
                while another is None:
                    ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                    self._lingering.setdefault(target.key, []).append(ready)
                    await ready
                    another = self._another(entry, target)
        return another


def _is_slow(carried: session.Session) -> bool:
    """Return whether it is the server that takes its time with a message, and not the network."""
    waited = carried.wait_seconds
    return waited > _PROMPT_SECONDS or waited > max(_QUICK_SECONDS, _ROUND_TRIPS * carried.envelope_seconds)
