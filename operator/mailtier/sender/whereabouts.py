"""At which server a destination is: whose limits hold, where its connections count, which logins it may try."""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Sequence

from mailtier.mail import classify
from mailtier.sender import credentials, destination_key, faults, logins, relays, resolver, rooms, surroundings
from mailtier.settings import effective
from mailtier.settings.providers import catalogue


class Whereabouts:
    """What is known of the server that a destination leads to.

    Args:
        key: The destination's.
        limits: As the settings say.
        around: What all destinations have in common.
        on_free: Told when a slot may have become free.
        on_move: Told when the server was found to be the host's, or to be so no more.

    Attributes:
        seat: Where the connections are counted.
        is_host_s: Whether its addresses are the host's server's, by another name.
    """

    def __init__(
        self,
        key: destination_key.DestinationKey,
        *,
        limits: destination_key.DestinationLimits,
        around: surroundings.Surroundings,
        on_free: Callable[[], None],
        on_move: Callable[[], None],
    ) -> None:
        self.key = key
        self.is_host_s = False
        self._own_limits = limits
        self._around = around
        self._on_move = on_move
        self.seat = rooms.Seat(self._room(), party=key.party, most=limits.max_connections, on_turn=on_free)

    @property
    def helo_name(self) -> str:
        """The name for EHLO."""
        there = self._there()
        own = self.key.helo_name if there is None else there.delivery.helo_name
        return own or self._around.helo_name

    @property
    def limits(self) -> destination_key.DestinationLimits:
        """What the owner of the server says of its use."""
        there = self._there()
        return self._own_limits if there is None else destination_key.limits_of(there.delivery)

    def set_limits(self, limits: destination_key.DestinationLimits) -> None:
        """Note what the settings say now."""
        self._own_limits = limits
        if self.key.endpoint.is_host_s:
            self._around.rooms.host.cap = self.limits.max_connections
        self.seat.allow(self.limits.max_connections)

    def recall(self, generation: credentials.Generation, refusal: classify.Failure | None) -> None:
        """Note what an earlier process learned of a login: that it was refused, and counted then, or succeeded."""
        state = self._around.auth.get(self.key.endpoint, generation)
        state.refusal, state.is_counted = refusal, refusal is not None
        if refusal is None:
            state.proven.add(self.seat.room.label)

    def login(self, found: credentials.Credentials) -> logins.Ticket | None:
        """Return leave to log in, or None while others that were never seen to succeed are under way.

        A login that succeeded here before needs none.
        """
        if self._is_proven(found.generation):
            return logins.FREE
        return self._around.logins.begin(self.place(found.generation), at_once=max(1, self.seat.room.limit // 2))

    def when_login_over(self, callback: Callable[[], None]) -> None:
        """Have somebody told, once, when another login may be tried."""
        self._around.logins.when_over(self.seat.room.label, callback)

    async def find(
        self, addresses: Sequence[resolver.Address], found: credentials.Credentials, barred: str | None
    ) -> Sequence[resolver.Address]:
        """Sit where the connections of the addresses' server are counted, and return which of them are to be used.

        Raises:
            faults.DeliveryError: They are the host's server's, and may not be used with these settings.
        """
        lead = await relays.find(
            self.key.endpoint,
            addresses,
            found=found,
            barred=barred,
            host=self._around.host(),
            known=self._around.relay,
        )
        is_host_s = lead.is_host_s and not self.key.is_trusted
        if is_host_s != self.is_host_s:
            self.is_host_s = is_host_s
            self.seat.allow(self.limits.max_connections)
            self._on_move()
        room = self._room()
        if is_host_s:
            addresses = lead.addresses
        elif not self.key.endpoint.is_host_s:
            room, addresses = self._around.rooms.addressed(room, addresses, scope=self._scope(), party=self.key.party)
        if room is not self.seat.room:
            self.seat.move(room)
            if room.busy > room.limit:
                # The server has as many connections as it takes: the slot is given up for another one there.
                room.give_back(self.seat)
                await room.wait(self.seat)
        return addresses

    @contextlib.contextmanager
    def budgeted(self, found: credentials.Credentials) -> Iterator[None]:
        """Log in within the budget of refused logins.

        Raises:
            faults.DeliveryError: Too many of its namespace were refused here lately, or may be at this moment.
        """
        if self._is_proven(found.generation):
            yield
            return
        place = self.place(found.generation)
        with self._around.logins.trying(place) as is_free:
            if not is_free:
                failure = classify.classify_fault(classify.Phase.AUTH, classify.Fault.TOO_MANY_REFUSED_LOGINS)
                until = self._around.logins.held_until(place)
                told = failure.text if until is None else f"{failure.text} The next may be tried at {until:%H:%M} UTC."
                raise faults.DeliveryError(classify.Phase.AUTH, dataclasses.replace(failure, text=told))
            yield

    def _is_proven(self, generation: credentials.Generation) -> bool:
        """Return whether a login is none, succeeded at this server before, or is the host's own."""
        if not generation.source or self.seat.room.label in self._around.auth.get(self.key.endpoint, generation).proven:
            return True
        host = self._around.host()
        hosts = host.auth.secret if host is not None and host.auth is not None else None
        return hosts is not None and generation.source[:2] == (hosts.namespace, hosts.name)

    def place(self, generation: credentials.Generation) -> logins.LoginPlace:
        """Return whose login a generation is, and where."""
        namespace = generation.source[0] if generation.source else ""
        return logins.LoginPlace(namespace=namespace, server=self.seat.room.label)

    def _scope(self) -> str:
        """Return the namespace where a provider counts connections by account, "" where a server counts clients."""
        provider = catalogue.find(self.key.endpoint.host)
        is_by_account = self.key.is_trusted or (provider is not None and provider.binds_from.value)
        return self.key.party if is_by_account else ""

    def _room(self) -> rooms.ServerRoom:
        """Return where the connections of the endpoint are counted, as far as its name tells, or what was found."""
        if self.key.endpoint.is_host_s or self.is_host_s:
            return self._around.rooms.host
        return self._around.rooms.named(self._scope(), self.key.endpoint.host)

    def _there(self) -> effective.Effective | None:
        """Return the host's own settings where the endpoint is its server, by name or by address; else None."""
        return self._around.host() if self.is_host_s or self.key.endpoint.is_host_s else None
