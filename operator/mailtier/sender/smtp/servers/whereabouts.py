"""At which server a destination is: whose limits hold, where its connections count, which logins it may try."""

import contextlib
import dataclasses
import datetime as dt
from collections.abc import Callable, Iterator, Sequence

from mailtier.mail import classify
from mailtier.sender.net import faults, resolver, shares
from mailtier.sender.scheduling import limiter
from mailtier.sender.secrets import credentials, logins
from mailtier.sender.smtp.servers import destination_key, relays, server_room, surroundings
from mailtier.settings import effective, endpoints


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """Where a destination was found to lead, at one look; another look may find something else meanwhile.

    Attributes:
        seat: Where its connections there are counted.
        addresses: Which are to be used.
        is_host_s: Whether it is the host's server, by another name.
    """

    seat: server_room.Seat
    addresses: Sequence[resolver.Address]
    is_host_s: bool


class Whereabouts:
    """What is known of the servers that a destination leads to, and led to as long as it holds something there.

    Args:
        key: The destination's.
        limits: As the settings say.
        around: What all destinations have in common.
        on_free: Told when a slot may have become free.
        on_move: Told when the host's limits hold from now on, or no more.

    Attributes:
        seat: Where further connections are counted, as far as is known.
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
        self._own_limits = limits
        # What the host's limits were read from, and what they are.
        self._host_s: tuple[effective.Delivery, destination_key.DestinationLimits] | None = None
        self._learned: int | None = None
        self._around = around
        self._on_free = on_free
        self._on_move = on_move
        self._seats: dict[server_room.ServerRoom, server_room.Seat] = {}
        self.seat = self._sit(around.host_room(key.endpoint) if key.endpoint.is_host_s else self._named())

    @property
    def seats(self) -> list[server_room.Seat]:
        """Where it has connections, or will have."""
        return list(self._seats.values())

    @property
    def is_host_s(self) -> bool:
        """Whether it leads to the host's server by another name, or still has connections there."""
        return not self.key.endpoint.is_host_s and any(map(self._around.rooms.is_host_s, self._seats))

    def helo_name(self, seat: server_room.Seat) -> str:
        """Return the name for EHLO."""
        there = self._there(seat)
        own = self.key.helo_name if there is None else there.delivery.helo_name
        return own or self._around.helo_name

    def limits(self, seat: server_room.Seat) -> destination_key.DestinationLimits:
        """Return what the owner of the server says of its use."""
        there = self._there(seat)
        if there is None:
            return self._own_limits
        if self._host_s is None or self._host_s[0] is not there.delivery:
            self._host_s = there.delivery, destination_key.limits_of(there.delivery)
        return self._host_s[1]

    def rate(self, seat: server_room.Seat) -> limiter.RateLimiter | None:
        """Return the rate of a server, with what counts the messages there; None without a rate."""
        there = self._there(seat)
        owner = self._own_limits if there is None else there.delivery
        per_minute = owner.endpoint_rate_per_minute
        return None if per_minute is None else limiter.RateLimiter(per_minute, seat.meter)

    def awaited_rate(self) -> int | None:
        """Return how many messages a minute the server gets, where none may go just now; else None."""
        rate = self.rate(self.seat)
        return rate.per_minute if rate is not None and self.seat.is_paced() else None

    def set_limits(self, limits: destination_key.DestinationLimits) -> None:
        """Note what the settings say now."""
        self._own_limits = limits
        if self.key.endpoint.is_host_s:
            self._around.host_room(self.key.endpoint).cap = self.limits(self.seat).max_connections
        for seat in self.seats:
            self._allow(seat)

    def begin_full(self, at: float) -> None:
        """Have as much of its rates used up as may be at a time: another sender may have sent there until then."""
        for seat in self.seats:
            seat.meter.begin_full(at)

    def learn(self, connections: int) -> None:
        """Note how many connections its server was found to take, whatever the settings allow."""
        if connections != self._learned:
            self._learned = connections
            for seat in self.seats:
                self._allow(seat)

    def recall(self, generation: credentials.Generation, refusal: classify.Failure | None) -> None:
        """Note what an earlier process learned of a login: that it was refused, and counted then, or succeeded."""
        state = self._around.auth.get(self.key.endpoint, generation)
        state.refusal, state.is_counted = refusal, refusal is not None
        if refusal is None:
            state.proven.add(self.seat.room.label)

    def forgive(self, generation: credentials.Generation) -> classify.Failure | None:
        """Let one more AUTH be sent with a login that was refused; return why not, if its budget is used up (R12).

        One that was never tried has the same budget, which others of its namespace may have used up.
        """
        state = self._around.auth.get(self.key.endpoint, generation)
        if state.refusal is None and self._is_proven(generation, self.seat):
            return None
        until = self._around.logins.held_until(self.place(generation, self.seat))
        if until is not None and not self._is_host_s_own(generation):
            return _too_many(until)
        state.refusal, state.is_counted = None, False
        return None

    def logins_left(self, generation: credentials.Generation) -> int | None:
        """Return how many logins of its namespace may be refused within the hour; None where that is not counted."""
        if self._is_host_s_own(generation):
            return None
        return self._around.logins.left(self.place(generation, self.seat))

    def login(self, found: credentials.Credentials, seat: server_room.Seat) -> shares.ShareSlot | None:
        """Return leave to log in at a server, or None while others that were never seen to succeed are under way.

        A login that succeeded here before needs none, unless the server could not check it last.
        """
        state = self._around.auth.get(self.key.endpoint, found.generation)
        if state.pause.trouble is None and self._is_proven(found.generation, seat):
            return shares.FREE
        return self._around.logins.begin(self.place(found.generation, seat), at_once=max(1, seat.room.limit // 2))

    def when_login_over(self, seat: server_room.Seat, callback: Callable[[], None]) -> None:
        """Have somebody told, once, when another login may be tried."""
        self._around.logins.when_over(seat.room.label, callback)

    async def find(
        self, addresses: Sequence[resolver.Address], found: credentials.Credentials, barred: str | None
    ) -> Spot:
        """Return where the addresses lead, and have further connections counted there.

        What is held elsewhere stays there: that a name moves ends no connection.

        Raises:
            faults.DeliveryError: They are the host's server's, and may not be used with these settings.
        """
        lead, of_host = await self._lead(addresses, found, barred)
        is_host_s = lead.is_host_s and not self.key.is_trusted
        addresses = lead.addresses
        if self.key.endpoint.is_host_s:
            room = self._around.host_room(self.key.endpoint)
        elif is_host_s:
            room = of_host
        else:
            room, addresses = self._around.rooms.addressed(
                self._named(), addresses, scope=self.key.scope, party=self.key.party
            )
        self._move(room)
        return Spot(seat=self.seat, addresses=addresses, is_host_s=is_host_s)

    async def _lead(
        self, addresses: Sequence[resolver.Address], found: credentials.Credentials, barred: str | None
    ) -> tuple[relays.Lead, server_room.ServerRoom]:
        """Return where the addresses lead, and the room of the one of the host's servers that it is, if it is one.

        Raises:
            faults.DeliveryError: As of `find`.
        """
        endpoint, lead = self.key.endpoint, relays.Lead(addresses=addresses, is_host_s=False)
        for host, _, room in self._around.host_servers():
            if host.endpoint is not None and endpoints.are_same_host(endpoint.host, host.endpoint.host):
                return lead, room
        for host, known, room in self._around.host_servers():
            there = await relays.find(endpoint, addresses, found=found, barred=barred, host=host, known=known)
            if there.is_host_s:
                return there, room
        return lead, self._around.rooms.host

    def tidy(self) -> None:
        """Leave the servers at which nothing is held any more."""
        for room, seat in list(self._seats.items()):
            if seat is not self.seat and not seat.is_needed:
                self._leave(room)

    def leave(self) -> None:
        """Give up the place at all servers; nothing is held there."""
        for seat in self._seats.values():
            seat.room.leave(seat)
        self._seats.clear()

    @contextlib.contextmanager
    def budgeted(self, found: credentials.Credentials, seat: server_room.Seat) -> Iterator[None]:
        """Log in at a server within the budget of refused logins.

        Raises:
            faults.DeliveryError: Too many of its namespace were refused here lately, or may be at this moment.
        """
        if self._is_proven(found.generation, seat):
            yield
            return
        place = self.place(found.generation, seat)
        with self._around.logins.trying(place) as is_free:
            if not is_free:
                raise faults.DeliveryError(classify.Phase.AUTH, _too_many(self._around.logins.held_until(place)))
            yield

    def _is_proven(self, generation: credentials.Generation, seat: server_room.Seat) -> bool:
        """Return whether a login is none, succeeded at a server before, or is the host's own."""
        if not generation.source or seat.room.label in self._around.auth.get(self.key.endpoint, generation).proven:
            return True
        return self._is_host_s_own(generation)

    def is_login_of_its_own(self, generation: credentials.Generation) -> bool:
        """Return whether sessions of a generation are logged in, and not with the host's account."""
        return bool(generation.source) and not self._is_host_s_own(generation)

    def _is_host_s_own(self, generation: credentials.Generation) -> bool:
        secrets = (host.auth.secret for host, _, _ in self._around.host_servers() if host.auth is not None)
        return any(hosts is not None and generation.source[:2] == (hosts.namespace, hosts.name) for hosts in secrets)

    def place(self, generation: credentials.Generation, seat: server_room.Seat) -> logins.LoginPlace:
        """Return whose login a generation is, and where."""
        return logins.LoginPlace(namespace=generation.namespace, server=seat.room.label)

    def _named(self) -> server_room.ServerRoom:
        """Return where the connections of the endpoint are counted, as far as its name tells."""
        return self._around.rooms.named(self.key.scope, self.key.endpoint.host)

    def _move(self, room: server_room.ServerRoom) -> None:
        """Have further connections counted in a room."""
        if room is self.seat.room:
            return
        # Nothing is wanted there any more.
        self.seat.room.want_nothing(self.seat)
        was_host_s = self.is_host_s
        self.seat = self._seats.get(room) or self._sit(room)
        self.tidy()
        if self.is_host_s and not was_host_s:
            self._on_move()

    def _sit(self, room: server_room.ServerRoom) -> server_room.Seat:
        seat = server_room.Seat(
            room,
            party=self.key.party,
            most=self._own_limits.max_connections,
            on_turn=self._on_free,
            is_paced=lambda: self._is_paced(seat),
        )
        self._seats[room] = seat
        self._allow(seat)
        return seat

    def _allow(self, seat: server_room.Seat) -> None:
        most = self.limits(seat).max_connections
        seat.allow(most if self._learned is None else min(most, self._learned))

    def _is_paced(self, seat: server_room.Seat) -> bool:
        rate, now = self.rate(seat), self._around.time.monotonic()
        return rate is not None and rate.allowed_at(now) > now

    def _leave(self, room: server_room.ServerRoom) -> None:
        room.leave(self._seats.pop(room))
        if self._around.rooms.is_host_s(room):
            self._on_move()

    def _there(self, seat: server_room.Seat) -> effective.Effective | None:
        """Return the host's own settings where a seat is at its server, by name or by address; else None."""
        return self._around.host() if self._around.rooms.is_host_s(seat.room) else None


def _too_many(until: dt.datetime | None) -> classify.Failure:
    failure = classify.classify_fault(classify.Phase.AUTH, classify.Fault.TOO_MANY_REFUSED_LOGINS)
    told = failure.text if until is None else f"{failure.text} The next may be tried at {until:%H:%M} UTC."
    return dataclasses.replace(failure, text=told)
