"""One endpoint: its breaker, its addresses, its sessions, and what is known of the credentials used there.

Whoever wants a connection first reserves a slot. A slot carries at most one connection, idle ones have none; slots
and idle sessions together never exceed the limit of the server (`rooms`), however many endpoints and organizations use
it.
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import Final

from mailtier.mail import classify
from mailtier.sender.net import breaker
from mailtier.sender.secrets import auth_states, credentials
from mailtier.sender.smtp import health, session_supply, slots, throttles, turns
from mailtier.sender.smtp.servers import destination_key, pacing, server_room, surroundings, whereabouts
from mailtier.sender.smtp.sessions import session

_TURN_LOST_SECONDS: Final = 1.0
"""After how long whoever waited for a rate asks again, where another had its turn: nobody tells when the rate allows
the next."""


class Destination:
    """The state of one endpoint.

    Args:
        key: What it is.
        limits: As its owner says now.
        around: What it has in common with others.
        on_free: Told when a slot may have become free.
        on_move: Told when it was found to be the host's server, or to be so no more.

    Attributes:
        health: Whether the server is left alone, by whom.
        last_used: When it was last asked for, in seconds of the monotonic clock.
        has_fallback: Whether another server takes its mail while it is dead.
        at: At which server it is, and what holds there.
        throttles: How much the server was found to take, and of whom.
        sessions: What gives slots their sessions.
    """

    def __init__(
        self,
        key: destination_key.DestinationKey,
        *,
        limits: destination_key.DestinationLimits,
        around: surroundings.Surroundings,
        on_free: Callable[[destination_key.DestinationKey], None],
        on_move: Callable[[destination_key.DestinationKey], None],
    ) -> None:
        self.key = key
        self.health = health.ServerHealth(around.time)
        self.last_used = around.time.monotonic()
        self.has_fallback = False
        self._users = 0
        self._on_free = on_free
        self._around = around
        self._clock = around.time
        self.at = whereabouts.Whereabouts(
            key, limits=limits, around=around, on_free=lambda: on_free(key), on_move=lambda: on_move(key)
        )
        self.throttles = throttles.Throttles(
            key.endpoint.host,
            around.time,
            cap=lambda: self.at.limits(self.at.seat).max_connections,
            on_all=self.at.learn,
        )
        self.sessions = session_supply.SessionSupply(
            key, around=around, at=self.at, learned=self.throttles, on_open=self._note_open
        )

    def limits_of(self, slot: slots.Slot) -> destination_key.DestinationLimits:
        """Return what the owner of the server at which a slot is says of its use."""
        return self.at.limits(slot.seat)

    @property
    def busy(self) -> int:
        """How many slots are taken."""
        return sum(seat.busy for seat in self.at.seats)

    @property
    def limit(self) -> int:
        """How many slots there may be."""
        return min(self.at.seat.most, self.at.seat.room.limit)

    @property
    def connections(self) -> int:
        """How many connections there may be at most right now."""
        return sum(seat.busy + seat.idle for seat in self.at.seats)

    def must_yield(self, slot: slots.Slot) -> bool:
        """Return whether whoever has a slot should give it back after the message at hand."""
        if slot.seat is not self.at.seat or slot.seat.room.is_urgent(slot.seat) or slot.seat.is_paced():
            return True
        return turns.is_over(slot, self._clock.monotonic()) and slot.seat.room.must_yield(slot.seat)

    def goes_on(self, slot: slots.Slot) -> bool:
        """Return whether a slot's session is to be used for more of the same, whosever turn it is.

        It is one that nobody but who shares its login can use, and was opened for so little so far. What it carries is
        charged, so that the others catch up.
        """
        if slot.carried is None or not self.at.is_login_of_its_own(slot.carried.generation):
            return False
        return turns.goes_on(slot, self._clock.monotonic())

    def lingers(self, slot: slots.Slot) -> bool:
        """Return whether a slot's session may wait for more of the same while others want its connection."""
        return turns.lingers(slot, self._clock.monotonic())

    def note_login_trouble(self, generation: credentials.Generation, trouble: classify.Failure) -> None:
        """Note that the server answers, and could not check a login that is not the host's: that one waits alone."""
        self.health.note_alive()
        state = self.auth_state(generation)
        state.pause.fail(trouble, self._clock.monotonic(), jitter=self._clock.random())

    def auth_state(self, generation: credentials.Generation) -> auth_states.AuthState:
        """Return what is known of a credential generation at this server."""
        return self._around.auth.get(self.key.endpoint, generation)

    def reserve(self) -> slots.Slot | None:
        """Return a slot if one is free and the breaker lets it be used."""
        now, seat = self._clock.monotonic(), self.at.seat
        if not seat.room.offer(seat):
            return None
        if not self.health.breaker.acquire(now):
            self.want_nothing()
            return None
        seat.room.take(seat)
        return self._new_slot(seat, is_trial=self.health.breaker.state(now) is breaker.BreakerState.HALF_OPEN)

    def again_at(self) -> float:
        """Return when to ask for a slot again that was not to be had just now; in the past where it will be told."""
        rate, now = self.at.rate(self.at.seat), self._clock.monotonic()
        if rate is None:
            return self.health.breaker.retry_at
        allowed_at = rate.allowed_at(now)
        return max(self.health.breaker.retry_at, allowed_at if allowed_at > now else now + _TURN_LOST_SECONDS)

    @property
    def is_in_use(self) -> bool:
        """Whether something is held at its servers, or awaited, or somebody is about to ask for it."""
        return self._users > 0 or any(seat.is_needed for seat in self.at.seats)

    @contextlib.contextmanager
    def in_use(self) -> Iterator[None]:
        """Keep it from being forgotten meanwhile: whoever waits before asking for a slot would have none to get."""
        self._users += 1
        try:
            yield
        finally:
            self._users -= 1

    def end_trial(self, slot: slots.Slot) -> None:
        """Let others have connections as well, where the one that tried the server found that it works."""
        if slot.is_trial and self.health.breaker.state(self._clock.monotonic()) is breaker.BreakerState.CLOSED:
            slot.is_trial = False
            self._on_free(self.key)

    def want_nothing(self) -> None:
        """Leave the line of those who wait for a slot of the server: nothing is ready."""
        self.at.seat.room.want_nothing(self.at.seat)

    async def reserve_for_probe(self, namespace: str) -> slots.Slot:
        """Return a slot as soon as it is a probe's turn. A probe may look behind an open breaker.

        Args:
            namespace: Whose settings are probed; "" for the host's own.
        """
        seat = self.at.seat
        await seat.room.wait(seat, namespace)
        return self._new_slot(seat, is_probe_s=True)

    def give_back_unused(self, slot: slots.Slot) -> None:
        """Give back a slot that has no session."""
        if slot.is_trial:
            self.health.breaker.give_back()
        slot.seat.room.give_back(slot.seat, of_probe=slot.is_probe_s)
        self.at.tidy()

    def leave(self) -> None:
        """Give up the place at the server; nothing is held there."""
        self.at.leave()

    async def give_back(self, slot: slots.Slot) -> None:
        """Give a slot back, and with it its session, which is kept for the next message or ended."""
        if slot.is_trial:
            # How the session ends is nothing to wait for with it.
            self.health.breaker.give_back()
            slot.is_trial = False
        slot.take_back()
        try:
            await self.sessions.put_away(slot)
        finally:
            self.give_back_unused(slot)

    def close_idle(self, spawn: Callable[..., object], *, everything: bool = False) -> bool:
        """End sessions that were idle for too long, or that the server has ended; return whether there were any.

        Args:
            spawn: Runs a coroutine in the background.
            everything: Whether to end all of them.
        """
        now, any_ended = self._clock.monotonic(), False
        for seat in self.at.seats:
            for idle in seat.room.idle_sessions(seat):
                if everything or idle.idle_until <= now or not idle.is_usable:
                    seat.room.wake(idle)
                    seat.room.take(seat)
                    spawn(self._retire(self._new_slot(seat, carried=idle)))
                    any_ended = True
        self.at.tidy()
        return any_ended

    async def _retire(self, slot: slots.Slot) -> None:
        try:
            await self.sessions.end(slot)
        finally:
            self.give_back_unused(slot)

    def _note_open(self, slot: slots.Slot) -> None:
        # What the first message comes to may take minutes, for which nobody else has to wait.
        self.health.note_alive()
        self.end_trial(slot)

    def _new_slot(
        self,
        seat: server_room.Seat,
        *,
        is_trial: bool = False,
        is_probe_s: bool = False,
        carried: session.Session | None = None,
    ) -> slots.Slot:
        self.last_used = self._clock.monotonic()
        pace = pacing.SlotPace(lambda: self.at.rate(seat), self._clock)
        return slots.Slot(
            seat=seat,
            pace=pace,
            is_trial=is_trial,
            is_probe_s=is_probe_s,
            taken_at=self.last_used,
            carried=carried,
        )
