"""How many connections one server may have, and whose turn it is to hold one (R15).

A destination has its own idea of an endpoint: port, TLS, name. A server has one idea of how many connections it takes.
So destinations of one server sit in one room, whatever their settings say, and known by name or by address. Breakers,
sessions and addresses stay with each destination: that two names lead to one server says nothing of who broke it.

In a room a party is the host with its inherited endpoint, or a namespace with endpoints of its own. While another party
waits, no namespace holds more than half of the connections, and all that name the host's server themselves hold
together no more than half while the host's own mail waits.

Probes wait for a slot, and deliveries look whether there is one. While a delivery wants one, every second slot at most
goes to a probe, and probes hold no more than half of them: neither keeps the other from the server, however many wait.
"""

import asyncio
import collections
import contextlib
import itertools
from collections.abc import Callable, Iterator
from typing import Final

from mailtier.sender.scheduling import limiter
from mailtier.sender.smtp.servers import probe_line
from mailtier.sender.smtp.sessions import session

HOST: Final = ""
"""The party of the host's own endpoint; no namespace has this name."""


class Seat:
    """A destination's place in a room; what is counted there is at that server, wherever its name leads later.

    Args:
        room: Where it sits.
        party: Whose it is: HOST or a namespace.
        most: How many connections its settings allow it.
        on_turn: Told when it may try to take a slot again.
        is_paced: Returns whether it waits for the rate of its server; then it keeps its turn, and nobody waits for it.

    Attributes:
        busy: How many slots it holds.
        handed: How many of them were handed to probes that have not looked yet whether a session is idle.
        meter: What is counted of the messages that go there, for all whom the same owner's rate holds.
    """

    __slots__ = ("busy", "handed", "is_paced", "meter", "most", "on_turn", "party", "room")

    def __init__(
        self,
        room: "ServerRoom",
        *,
        party: str,
        most: int,
        on_turn: Callable[[], None],
        is_paced: Callable[[], bool] = lambda: False,
    ) -> None:
        self.room = room
        self.is_paced = is_paced
        self.meter = room.meter(party)
        self.party = party
        self.most = most
        self.on_turn = on_turn
        self.busy = 0
        self.handed = 0
        room.enter(self)

    @property
    def idle(self) -> int:
        """How many idle sessions it has."""
        return self.room.idle_of(self)

    @property
    def is_needed(self) -> bool:
        """Whether something is held here, or awaited."""
        return self.busy > 0 or self.idle > 0 or self.room.is_awaited(self)

    def allow(self, most: int) -> None:
        """Change how many connections its settings allow it."""
        if most != self.most:
            self.most = most
            self.room.recount()


class ServerRoom:
    """The connections of one server.

    Args:
        label: What the server is known by; the same in the next process.
        is_one_owner_s: Whether the host alone says how it is used; otherwise each party does for itself.
        sent_until: Until when an earlier process may have used up its rates; None where there was none.

    Attributes:
        cap: How many there may be, where one owner says so: the host, for its server. None for the most that any of
            those who name the server says; each is held to its own number besides.
        busy: How many slots are taken.
    """

    def __init__(self, label: str, *, is_one_owner_s: bool = False, sent_until: float | None = None) -> None:
        self.label = label
        self._is_one_owner_s = is_one_owner_s
        self._sent_until = sent_until
        self._meters: dict[str, limiter.Meter] = {}
        self.cap: int | None = None
        self.busy = 0
        self._seats: dict[Seat, None] = {}
        self._caps: dict[str, int] = {}
        self._taken: collections.Counter[str] = collections.Counter()
        self._idle: dict[session.Session, Seat] = {}
        # Who wants a slot and found none, by party, in the order of their turns.
        self._wanting: collections.OrderedDict[str, dict[Seat, None]] = collections.OrderedDict()
        # Who found none because others of the same party have them all.
        self._crowded: dict[str, dict[Seat, None]] = {}
        # Who found none because it has all that it may have itself.
        self._full: dict[Seat, None] = {}
        self._probes = probe_line.ProbeLine[Seat]()
        self._probing = 0
        self._handed = 0
        self._host_s_turn = True
        self._probe_s_turn = True

    def __len__(self) -> int:
        """Return how many destinations sit here."""
        return len(self._seats)

    @property
    def limit(self) -> int:
        """How many connections there may be at the same time."""
        return self.cap if self.cap is not None else max(self._caps.values(), default=0)

    @property
    def connections(self) -> int:
        """How many connections there may be at most right now: slots, each with one, and idle sessions."""
        return self.busy + len(self._idle)

    def meter(self, party: str) -> limiter.Meter:
        """Return what counts the messages of a party; on the host's server those of all parties."""
        return self._meters.setdefault(HOST if self._is_one_owner_s else party, limiter.Meter(self._sent_until))

    def offer(self, seat: Seat) -> bool:
        """Return whether a destination may take a slot now; where others are in the way, it gets its turn."""
        if not self._has_own_place(seat):
            self.want_nothing(seat)
            if seat.busy < seat.most:
                self._crowded.setdefault(seat.party, {})[seat] = None
            else:
                self._full[seat] = None
            return False
        self._full.pop(seat, None)
        self._leave_crowd(seat)
        self._wanting.setdefault(seat.party, {})[seat] = None
        if self.busy >= self.limit:
            return False
        following = self._next()
        if following is not None and following is not seat:
            # It may want nothing any more; then it says so, and the next one is told.
            following.on_turn()
        return following is seat

    def want_nothing(self, seat: Seat) -> None:
        """Note that a destination wants nothing any more."""
        self._full.pop(seat, None)
        was_wanting = self._forget(seat)
        self._serve()
        if was_wanting:
            self._give_turn()

    def take(self, seat: Seat) -> None:
        """Count one more slot of a destination's deliveries, whoever else waits."""
        self._forget(seat)
        if seat.party in self._wanting:
            self._wanting.move_to_end(seat.party)
        self._host_s_turn = seat.party != HOST
        seat.busy += 1
        self._count(seat, 1)
        self._probe_s_turn = True
        self._serve()

    def give_back(self, seat: Seat, *, of_probe: bool = False) -> None:
        """Count one slot less, of a delivery or of a probe, and pass it on."""
        seat.busy -= 1
        self._count(seat, -1)
        self._probing -= of_probe
        self._serve()
        self._give_turn()
        for other in self._crowded.pop(seat.party, {}):
            other.on_turn()
        seat.on_turn()

    async def wait(self, seat: Seat, namespace: str) -> None:
        """Take a slot for a probe as soon as there is one.

        Args:
            seat: Of the destination that is probed.
            namespace: Whose settings are probed; "" for the host's own.
        """
        turn = self._probes.join(namespace, seat)
        self._serve()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                self._probes.leave(namespace, turn)
            else:
                # The slot was handed over in the moment in which nobody wanted it any more.
                self._hand(seat, -1)
                self.give_back(seat, of_probe=True)
            raise
        self._hand(seat, -1)

    def is_awaited(self, seat: Seat) -> bool:
        """Return whether a probe waits for a slot of a destination."""
        return any(waiting is seat for waiting in self._probes)

    def is_urgent(self, seat: Seat) -> bool:
        """Return whether a delivery's slot is one too many, or the turn of a probe that waits for it."""
        if self.busy > self.limit or seat.busy > seat.most or self._taken[seat.party] > self._caps[seat.party]:
            return True
        return self._is_probe_due() and any(
            waiting.party == seat.party or self._has_own_place(waiting) for waiting in self._probes
        )

    def must_yield(self, seat: Seat) -> bool:
        """Return whether it is somebody else's turn to have a slot that a destination holds."""
        if not self._wanting:
            return False
        with self._without_one(seat):
            following = self._next()
        return following is not None and following is not seat

    def keep(self, seat: Seat, idle: session.Session) -> bool:
        """Return whether a session that is not in use may stay open, and count it if so.

        A slot that was just handed to a probe has no connection yet, and is about to look for this very session.
        """
        if self.connections - self._handed > self.limit or seat.busy - seat.handed + seat.idle > seat.most:
            return False
        self._idle[idle] = seat
        return True

    def idle_of(self, seat: Seat) -> int:
        """Return how many idle sessions a destination has."""
        return sum(owner is seat for owner in self._idle.values())

    def idle_sessions(self, seat: Seat) -> list[session.Session]:
        """Return the idle sessions of a destination, the one used last at the end."""
        return [idle for idle, owner in self._idle.items() if owner is seat]

    def wake(self, idle: session.Session) -> None:
        """Note that a session is not idle any more: a slot carries it."""
        del self._idle[idle]

    def surplus(self, seat: Seat) -> session.Session | None:
        """Return an idle session that has to end before a destination opens another one; None for none."""
        mine = self.idle_sessions(seat)
        if mine and seat.busy + len(mine) > seat.most:
            return mine[0]
        if self._idle and self.connections > self.limit:
            return next(iter(self._idle))
        return None

    def enter(self, seat: Seat) -> None:
        """Let a destination sit down."""
        self._seats[seat] = None
        self.recount()

    def leave(self, seat: Seat) -> None:
        """Note that a destination is gone; it holds nothing."""
        del self._seats[seat]
        self._leave_crowd(seat)
        self.want_nothing(seat)
        self.recount()

    def recount(self) -> None:
        """Look again at what each party's settings allow it."""
        self._caps = {}
        for seat in self._seats:
            self._caps[seat.party] = max(self._caps.get(seat.party, 0), seat.most)
        crowded, self._crowded = self._crowded, {}
        for seat in itertools.chain(*crowded.values(), self._full):
            seat.on_turn()
        self._serve()
        self._give_turn()

    def _count(self, seat: Seat, number: int) -> None:
        self.busy += number
        self._taken[seat.party] += number
        if not self._taken[seat.party]:
            del self._taken[seat.party]

    def _hand(self, seat: Seat, number: int) -> None:
        seat.handed += number
        self._handed += number

    def _has_own_place(self, seat: Seat) -> bool:
        return seat.busy < seat.most and self._taken[seat.party] < self._caps[seat.party]

    def _serve(self) -> None:
        """Pass slots to probes that wait for one, as far as deliveries leave them any."""
        while self.busy < self.limit and (self._is_probe_due() or not self._is_wanted()):
            taken = self._probes.take(self._has_own_place)
            if taken is None:
                return
            turn, seat = taken
            seat.busy += 1
            self._count(seat, 1)
            self._probing += 1
            self._hand(seat, 1)
            self._probe_s_turn = False
            turn.set_result(None)

    def _is_probe_due(self) -> bool:
        """Return whether a probe may have the next slot though a delivery wants one."""
        return self._probe_s_turn and self._probing < max(1, self.limit // 2)

    def _is_wanted(self) -> bool:
        """Return whether a delivery wants a slot, and may have it."""
        return self._next() is not None or any(self._has_own_place(seat) for seat in self._full)

    def _leave_crowd(self, seat: Seat) -> None:
        crowd = self._crowded.get(seat.party, {})
        crowd.pop(seat, None)
        if not crowd:
            self._crowded.pop(seat.party, None)

    def _give_turn(self) -> None:
        if self.busy >= self.limit:
            return
        following = self._next()
        if following is not None:
            following.on_turn()

    def _forget(self, seat: Seat) -> bool:
        seats = self._wanting.get(seat.party)
        if seats is None or seat not in seats:
            return False
        del seats[seat]
        if not seats:
            del self._wanting[seat.party]
        return True

    def _next(self) -> Seat | None:
        """Return the destination whose turn it is: the host's and the others in turn, and these among themselves."""
        for party in self._in_turn():
            if self._is_due(party):
                for seat in self._wanting[party]:
                    if self._has_own_place(seat) and not seat.is_paced():
                        return seat
        return None

    def _in_turn(self) -> Iterator[str]:
        guests = (party for party in self._wanting if party != HOST)
        if HOST in self._wanting and self._host_s_turn:
            yield HOST
        yield from guests
        if HOST in self._wanting and not self._host_s_turn:
            yield HOST

    def _is_due(self, party: str) -> bool:
        """Return whether a party may hold one more, considering who else waits."""
        if party == HOST:
            return True
        half = max(1, self.limit // 2)
        if HOST in self._wanting and self.busy - self._taken[HOST] >= half:
            return False
        return self._taken[party] < half or not self._has_rivals(party)

    def _has_rivals(self, party: str) -> bool:
        """Return whether another party waits for a slot, and not for its rate."""
        others = (seats for other, seats in self._wanting.items() if other != party)
        return any(not seat.is_paced() for seats in others for seat in seats)

    @contextlib.contextmanager
    def _without_one(self, seat: Seat) -> Iterator[None]:
        """Look at the room as it were without one slot of a destination."""
        seat.busy -= 1
        self._count(seat, -1)
        try:
            yield
        finally:
            seat.busy += 1
            self._count(seat, 1)
