"""One endpoint: its connections, its breaker, its addresses, and what is known of the credentials used there.

Whoever wants a connection first reserves a slot. A slot carries at most one connection, idle ones have none; slots
and idle sessions together never exceed the endpoint's limit, however many organizations use it.
"""

import asyncio
import collections
import contextlib
import dataclasses
import datetime as dt
from collections.abc import Callable
from typing import Final

from mailtier.api import vocabulary
from mailtier.mail import classify
from mailtier.sender import breaker, clock, credentials, faults, opening, relays, resolver, session, shares, witnesses
from mailtier.settings import effective
from mailtier.telemetry import metrics

_IDLE_SECONDS: Final = 5.0
"""How long a session waits for its next message: long enough for a burst, short enough to leave a server its slots."""


_ALIKE: Final = frozenset({classify.Phase.CONNECT, classify.Phase.TLS, classify.Phase.GREETING, classify.Phase.EHLO})
"""Phases in which a server does not know yet with whom it speaks, nor for whom."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class DestinationLimits:
    """What the owner of an endpoint says of its use."""

    max_connections: int
    messages_per_connection: int
    session_timeout: dt.timedelta
    envelope_timeout: dt.timedelta
    message_timeout: dt.timedelta


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class DestinationKey:
    """What makes two organizations users of the same destination.

    Attributes:
        limits: None for the host's endpoint, whose limits may change under the same destination. Organizations
            with an endpoint of their own share one only if they say the same of it: none can lower another's
            limits, or trip its breaker with a HELO name that the server does not take.
    """

    endpoint: effective.Endpoint
    helo_name: str | None
    limits: DestinationLimits | None


def limits_of(delivery: effective.Delivery) -> DestinationLimits:
    """Return the part of the delivery settings that belongs to the endpoint's owner."""
    return DestinationLimits(
        max_connections=delivery.max_connections,
        messages_per_connection=delivery.messages_per_connection,
        session_timeout=delivery.session_timeout,
        envelope_timeout=delivery.envelope_timeout,
        message_timeout=delivery.message_timeout,
    )


def key_of(endpoint: effective.Endpoint, delivery: effective.Delivery) -> DestinationKey:
    """Return the key of the destination that effective settings name."""
    is_host = endpoint.origin is vocabulary.Origin.HOST
    return DestinationKey(
        endpoint=endpoint, helo_name=delivery.helo_name, limits=None if is_host else limits_of(delivery)
    )


class NoRoomError(Exception):
    """A namespace has no slot for another opening just now (R15)."""


@dataclasses.dataclass(slots=True, eq=False)
class Slot:
    """Leave to hold one connection; given back with `Destination.release`.

    Attributes:
        is_trial: Whether it is the one session that a half-open breaker lets through.
        carried: Its connection, while there is one.
    """

    is_trial: bool
    carried: session.Session | None = None


class Destination:
    """The state of one endpoint.

    Args:
        key: What it is.
        limits: As its owner says now.
        helo_name: The sender's own name for EHLO, where the settings have none.
        auth: What is known of credentials, here and at other destinations.
        host: Returns the host's own effective settings, or None.
        on_free: Told when a slot became free.

    Attributes:
        limits: Replaced when the owner changes them.
        breaker: Whether the server is left alone.
        served_at: When it last did what it was asked to; seconds of the monotonic clock.
        busy: How many slots are taken.
        last_used: When it was last asked for, in seconds of the monotonic clock.
    """

    def __init__(
        self,
        key: DestinationKey,
        *,
        limits: DestinationLimits,
        helo_name: str,
        names: resolver.Resolver,
        opener: opening.Opener,
        auth: opening.AuthStates,
        time: clock.Clock,
        host: Callable[[], effective.Effective | None],
        on_free: Callable[[DestinationKey], None],
    ) -> None:
        self.key = key
        self.limits = limits
        self.breaker = breaker.Breaker()
        self.served_at = float("-inf")
        self._witnesses = witnesses.Witnesses()
        self.busy = 0
        self.last_used = time.monotonic()
        self._helo_name = key.helo_name or helo_name
        self._resolver = names
        self._opener = opener
        self._clock = time
        self._host = host
        self._on_free = on_free
        self._idle: list[session.Session] = []
        self._waiting: collections.deque[asyncio.Future[None]] = collections.deque()
        self._auth = auth
        self._resolution: resolver.ResolvedName | None = None
        self._resolved_until = 0.0
        self._resolving = asyncio.Lock()

    @property
    def connections(self) -> int:
        """How many connections there may be at most right now."""
        return self.busy + len(self._idle)

    @property
    def must_yield(self) -> bool:
        """Whether whoever has a slot should give it back after the message at hand."""
        return bool(self._waiting) or self.busy > self.limits.max_connections

    def retry_at(self, namespace: str) -> float:
        """Return when a namespace may use the server again; in the past where nothing keeps it from that."""
        return max(self.breaker.retry_at, self._witnesses.retry_at(namespace))

    def note_served(self, namespace: str | None) -> None:
        """Note that the server did, for a namespace or for the host, what a server does."""
        self.breaker.succeed()
        self.served_at = self._clock.monotonic()
        if namespace is not None:
            self._witnesses.acquit(namespace)

    def note_fault(self, phase: classify.Phase, *, namespace: str | None) -> None:
        """Note a fault, and leave the server alone if it is the server's.

        Args:
            phase: In which it came; whoever connects meets the same until EHLO is answered.
            namespace: Whose credentials they were at AUTH, whose message or sender address afterwards; None for the
                host's.
        """
        now, jitter = self._clock.monotonic(), self._clock.random()
        is_for_all = namespace is None or phase in _ALIKE
        if is_for_all or self._witnesses.testify(str(namespace), now, jitter=jitter):
            self.breaker.fail(now, jitter=jitter)
        else:
            self.breaker.note_alive()

    def auth_state(self, generation: credentials.Generation) -> opening.AuthState:
        """Return what is known of a credential generation at this server."""
        return self._auth.get(self.key.endpoint, generation)

    def reserve(self) -> Slot | None:
        """Return a slot if one is free and the breaker lets it be used."""
        now = self._clock.monotonic()
        if self._waiting or self.busy >= self.limits.max_connections or not self.breaker.acquire(now):
            return None
        return self._take(is_trial=self.breaker.state(now) is breaker.BreakerState.HALF_OPEN)

    async def reserve_for_probe(self) -> Slot:
        """Return a slot as soon as one is free; deliveries give way. A probe may look behind an open breaker."""
        if self.busy < self.limits.max_connections and not self._waiting:
            return self._take(is_trial=False)
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                # `_hand_on` may have passed over it already.
                with contextlib.suppress(ValueError):
                    self._waiting.remove(turn)
            else:
                # The slot was handed over in the moment in which nobody wanted it any more.
                self._hand_on()
            raise
        return Slot(is_trial=False)

    def give_back(self, slot: Slot) -> None:
        """Give back a slot that has no session."""
        if slot.is_trial:
            self.breaker.release()
        self._hand_on()

    async def release(self, slot: Slot) -> None:
        """Give a slot back, and with it its session, which is kept for the next message or ended."""
        try:
            if slot.carried is not None and not self._keep(slot.carried):
                await self._end(slot)
        finally:
            self.give_back(slot)

    def has_session(self, slot: Slot, generation: credentials.Generation) -> bool:
        """Return whether `session_for` would find one that is open, the slot's own or an idle one."""
        held = (slot.carried, *self._idle)
        return any(each is not None and each.generation == generation and self._is_fit(each) for each in held)

    async def session_for(
        self,
        slot: Slot,
        found: credentials.Credentials,
        *,
        payer: str | None,
        room: shares.ShareSlot | None = None,
        progress: opening.OpeningProgress | None = None,
        fresh: bool = False,
    ) -> session.Session:
        """Return a session for a message: the slot's own if it fits, else an idle one, else a new one.

        Args:
            slot: Whose session it is from now on.
            found: What the session has to be authenticated with.
            payer: The namespace whose share an opening takes (R15); None for the host.
            room: Its slot of that share, where the caller holds one.
            progress: Of the opening, if it comes to one.
            fresh: Whether it has to be a new one.

        Raises:
            NoRoomError: It takes an opening, for which the namespace has no slot just now; nobody should wait for one
                with a connection that others could use.
            faults.DeliveryError: No session came about.
        """
        held = slot.carried
        if held is not None and (fresh or held.generation != found.generation or not self._is_fit(held)):
            await self._end(slot)
        if slot.carried is None and not fresh:
            slot.carried = self._reuse(found.generation)
        if slot.carried is None:
            taken = room or self._opener.shares.try_take(payer)
            if taken is None:
                raise NoRoomError
            try:
                slot.carried = await self._open(slot, found, progress or opening.OpeningProgress(), payer)
            finally:
                if room is None:
                    taken.release()
        return slot.carried

    def close_idle(self, spawn: Callable[..., object], *, everything: bool = False) -> None:
        """End sessions that were idle for too long, or that the server has ended.

        Args:
            spawn: Runs a coroutine in the background.
            everything: Whether to end all of them.
        """
        now = self._clock.monotonic()
        for idle in list(self._idle):
            if everything or idle.idle_until <= now or not idle.is_usable:
                self._idle.remove(idle)
                slot = self._take(is_trial=False)
                slot.carried = idle
                spawn(self._retire(slot))

    def _hand_on(self) -> None:
        """Pass a slot to whoever waits for one, or have one less taken."""
        while self._waiting and self.busy <= self.limits.max_connections:
            turn = self._waiting.popleft()
            # One that was cancelled stays in line until its task runs.
            if not turn.done():
                turn.set_result(None)
                return
        self.busy -= 1
        self._on_free(self.key)

    async def _retire(self, slot: Slot) -> None:
        try:
            await self._end(slot)
        finally:
            self.give_back(slot)

    async def _end(self, slot: Slot) -> None:
        ending, slot.carried = slot.carried, None
        if ending is None:
            return
        try:
            await (ending.quit() if ending.is_usable else ending.abort())
        finally:
            metrics.add_sessions(-1)

    def _is_fit(self, held: session.Session) -> bool:
        return held.is_usable and held.messages < self.limits.messages_per_connection

    def _keep(self, carried: session.Session) -> bool:
        if not self._is_fit(carried) or self.connections > self.limits.max_connections:
            return False
        carried.idle_until = self._clock.monotonic() + _IDLE_SECONDS
        self._idle.append(carried)
        return True

    def _reuse(self, generation: credentials.Generation) -> session.Session | None:
        """Return an idle session of a credential generation, the one used last."""
        for position in range(len(self._idle) - 1, -1, -1):
            if self._idle[position].generation == generation and self._is_fit(self._idle[position]):
                return self._idle.pop(position)
        return None

    async def take_room(self, payer: str | None) -> shares.ShareSlot:
        """Return a namespace's slot for an opening as soon as it has one."""
        return await self._opener.shares.take(payer)

    def tell_of_room(self, payer: str, then: Callable[[], None]) -> None:
        """Have somebody told when a namespace has a slot for an opening, which is kept for a moment."""
        self._opener.shares.tell(payer, then)

    async def _open(
        self, slot: Slot, found: credentials.Credentials, progress: opening.OpeningProgress, payer: str | None
    ) -> session.Session:
        while self._idle and self.connections > self.limits.max_connections:
            # The slot holds the connection while it is being closed, so that it goes on to count.
            slot.carried = self._idle.pop(0)
            await self._end(slot)
        state = self.auth_state(found.generation)
        resolution = await self._resolve(payer)
        await relays.require_apart(
            self.key.endpoint,
            resolution.addresses,
            found=found,
            host=self._host(),
            names=self._resolver,
            payer=payer,
        )
        # Again, for whoever follows the phases: the name is resolved.
        progress.phase = classify.Phase.CONNECT
        plan = opening.OpeningPlan(
            endpoint=self.key.endpoint,
            addresses=resolution.addresses,
            credentials=found,
            helo_name=self._helo_name,
            total=self.limits.session_timeout,
            auth=state,
        )
        started = self._clock.monotonic()
        try:
            opened = await self._opener.open(plan, progress)
        except faults.DeliveryError as error:
            if error.phase is classify.Phase.CONNECT:
                # The name may have moved.
                self._resolution = None
            raise
        metrics.observe_phase(phase=classify.Phase.CONNECT, seconds=self._clock.monotonic() - started)
        metrics.add_sessions(1)
        return opened

    def _take(self, *, is_trial: bool) -> Slot:
        self.busy += 1
        self.last_used = self._clock.monotonic()
        return Slot(is_trial)

    async def _resolve(self, payer: str | None) -> resolver.ResolvedName:
        async with self._resolving:
            if self._resolution is None or self._clock.monotonic() >= self._resolved_until:
                self._resolution = None
                self._resolution = await self._resolver.resolve(
                    self.key.endpoint.host, self.key.endpoint.addresses, payer=payer
                )
                self._resolved_until = self._clock.monotonic() + self._resolution.ttl_seconds
            return self._resolution
