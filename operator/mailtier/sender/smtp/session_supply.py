"""Sessions for the slots of one endpoint: the slot's own, one that is idle, or one that is opened; kept or ended."""

from collections.abc import Callable
from typing import Final

from mailtier.mail import classify
from mailtier.sender.net import faults, known_name, shares
from mailtier.sender.secrets import credentials
from mailtier.sender.smtp import slots, throttles
from mailtier.sender.smtp.servers import destination_key, server_room, surroundings, whereabouts
from mailtier.sender.smtp.sessions import opening, session
from mailtier.telemetry import metrics

_IDLE_SECONDS: Final = 10.0
"""How long a session waits for its next message: long enough for a burst, short enough to leave a server its slots."""

_SESSION_SECONDS: Final = 300.0
"""How old a session becomes: a server's others, such as those behind one name, have their part of the mail in time."""


class SessionSupply:
    """Gives slots their sessions.

    Args:
        key: The endpoint.
        around: What it has in common with others.
        at: At which server it is.
        learned: How much the server was found to take.
        on_open: Told of a slot to which a session was opened.
    """

    def __init__(
        self,
        key: destination_key.DestinationKey,
        *,
        around: surroundings.Surroundings,
        at: whereabouts.Whereabouts,
        learned: throttles.Throttles,
        on_open: Callable[[slots.Slot], None],
    ) -> None:
        self._key = key
        self._around = around
        self._clock = around.time
        self._at = at
        self._throttles = learned
        self._on_open = on_open
        self._name = known_name.KnownName(key.endpoint, around.names, around.time)

    def has(self, slot: slots.Slot, generation: credentials.Generation) -> bool:
        """Return whether `get` would find one that is open, the slot's own or an idle one."""
        if self.may_follow(slot, generation):
            return True
        idle = slot.seat.room.idle_sessions(slot.seat)
        return any(each.generation == generation and self._is_fit(slot.seat, each) for each in idle)

    def may_follow(self, slot: slots.Slot, generation: credentials.Generation, barred: str | None = None) -> bool:
        """Return whether a slot's session may carry another message of a login."""
        held = slot.carried
        return held is not None and held.generation == generation and self._is_fit(slot.seat, held, barred)

    async def get(
        self,
        slot: slots.Slot,
        found: credentials.Credentials,
        *,
        payer: str | None,
        room: shares.ShareSlot | None = None,
        barred: str | None = None,
        progress: opening.OpeningProgress | None = None,
        fresh: bool = False,
    ) -> session.Session:
        """Return a session for a message: the slot's own if it fits, else an idle one, else a new one.

        Args:
            slot: Whose session it is from now on.
            found: What the session has to be authenticated with.
            payer: The namespace whose share an opening takes (R15); None for the host.
            room: Its slot of that share, where the caller holds one.
            barred: What forbids it on the host's server by another name; None for nothing.
            progress: Of the opening, if it comes to one.
            fresh: Whether it has to be a new one.

        Raises:
            slots.MovedError: It takes a slot of another server, in its turn there: the name leads elsewhere by now.
            slots.NoRoomError: It takes an opening, for which the namespace has no slot just now; nobody should wait for
                one with a connection that others could use.
            faults.DeliveryError: No session came about.
        """
        if slot.carried is not None and (fresh or not self.may_follow(slot, found.generation, barred)):
            await self.end(slot)
        had_session = slot.carried is not None
        if slot.carried is None and not fresh:
            slot.carried = self._reuse(slot.seat, found.generation, barred)
        if slot.carried is None:
            taken = room or self._around.opener.shares.try_take(payer)
            if taken is None:
                raise slots.NoRoomError
            try:
                slot.carried = await self._open(
                    slot, found, progress or opening.OpeningProgress(), barred=barred, payer=payer
                )
            finally:
                if room is None:
                    taken.give_back()
        if not had_session:
            slot.session_turns, slot.session_at = 0, self._clock.monotonic()
        slot.session_turns += 1
        return slot.carried

    async def put_away(self, slot: slots.Slot) -> None:
        """Keep a slot's session for the next message, or end it."""
        if slot.carried is not None and not self._keep(slot, slot.carried):
            await self.end(slot)

    async def end(self, slot: slots.Slot) -> None:
        """End a slot's session, if it has one."""
        ending, slot.carried = slot.carried, None
        if ending is None:
            return
        try:
            await (ending.quit() if ending.is_usable else ending.abort())
        finally:
            metrics.add_sessions(-1)

    def _is_fit(self, seat: server_room.Seat, held: session.Session, barred: str | None = None) -> bool:
        is_barred = held.is_at_host_s and barred is not None
        is_young = self._clock.monotonic() - held.opened_at < _SESSION_SECONDS
        has_more = held.messages < self._at.limits(seat).messages_per_connection
        return held.is_usable and not is_barred and has_more and is_young

    def _keep(self, slot: slots.Slot, carried: session.Session) -> bool:
        seat = slot.seat
        alike = sum(idle.generation == carried.generation for idle in seat.room.idle_sessions(seat))
        is_wanted = self._is_fit(seat, carried) and self._throttles.may_keep(slot.user, idle=alike)
        if not is_wanted or not seat.room.keep(seat, carried):
            return False
        carried.idle_until = self._clock.monotonic() + _IDLE_SECONDS
        return True

    def _reuse(
        self, seat: server_room.Seat, generation: credentials.Generation, barred: str | None
    ) -> session.Session | None:
        """Return an idle session of a credential generation, the one used last."""
        for idle in reversed(seat.room.idle_sessions(seat)):
            if idle.generation == generation and self._is_fit(seat, idle, barred):
                seat.room.wake(idle)
                return idle
        return None

    async def take_room(self, payer: str | None) -> shares.ShareSlot:
        """Return a namespace's slot for an opening as soon as it has one."""
        return await self._around.opener.shares.take(payer)

    def tell_of_room(self, payer: str, then: Callable[[], None]) -> None:
        """Have somebody told when a namespace has a slot for an opening, which is kept for a moment."""
        self._around.opener.shares.tell(payer, then)

    async def _open(
        self,
        slot: slots.Slot,
        found: credentials.Credentials,
        progress: opening.OpeningProgress,
        *,
        barred: str | None,
        payer: str | None,
    ) -> session.Session:
        spot = await self._at.find(await self._name.resolve(payer), found, barred)
        if spot.seat is not slot.seat:
            # Neither its turn, nor its rates, nor its leave to log in were that server's.
            raise slots.MovedError
        while (surplus := spot.seat.room.surplus(spot.seat)) is not None:
            # The slot holds the connection while it is being closed, so that it goes on to count.
            spot.seat.room.wake(surplus)
            slot.carried = surplus
            await self.end(slot)
        state = self._around.auth.get(self._key.endpoint, found.generation)
        # Again, for whoever follows the phases: the name is resolved.
        progress.phase = classify.Phase.CONNECT
        limits = self._at.limits(spot.seat)
        plan = opening.OpeningPlan(
            endpoint=self._key.endpoint,
            addresses=self._name.in_order(spot.addresses),
            credentials=found,
            helo_name=self._at.helo_name(spot.seat),
            total=limits.session_timeout,
            ehlo_ignore=limits.ehlo_ignore,
            auth=state,
            owner=self._key.party,
        )
        started = self._clock.monotonic()
        with self._at.budgeted(found, spot.seat):
            try:
                opened = await self._around.opener.open(plan, progress)
            except faults.DeliveryError as error:
                if error.phase is classify.Phase.CONNECT:
                    self._name.forget()
                if state.refusal is not None and not state.is_counted:
                    state.is_counted = True
                    await self._around.logins.note_refusal(self._at.place(found.generation, spot.seat))
                raise
        self._on_open(slot)
        opened.is_at_host_s, opened.opened_at = spot.is_host_s, self._clock.monotonic()
        self._name.note_used(progress.address, first=plan.addresses[0])
        state.proven.add(spot.seat.room.label)
        state.pause.succeed()
        metrics.observe_phase(phase=classify.Phase.CONNECT, seconds=self._clock.monotonic() - started)
        metrics.add_sessions(1)
        return opened
