"""All endpoints in use, and what they have in common."""

import asyncio
import collections
import datetime as dt
from collections.abc import Callable, Collection, Hashable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import Final

from mailtier.sender import clock
from mailtier.sender.net import resolver
from mailtier.sender.secrets import auth_states, logins
from mailtier.sender.smtp import destination
from mailtier.sender.smtp.remembering import endpoint_memory
from mailtier.sender.smtp.servers import destination_key, relays, rooms, surroundings
from mailtier.sender.smtp.sessions import opening
from mailtier.settings import effective
from mailtier.telemetry import metrics, route_metrics, tasks, throttle_metrics

_OnKey = Callable[[destination_key.DestinationKey], None]

_RATES_COUNT_SECONDS: Final = 120.0
"""Longer than what was sent counts for any rate."""

_ENDS_APART_SECONDS: Final = 0.002

OnRouteChange = Callable[[AbstractSet[destination_key.DestinationKey]], None]


class Destinations:
    """All endpoints in use.

    Args:
        helo_name: The sender's own name for EHLO.
        host: Returns the host's own effective settings, or None.
        memory: What is kept for the next process.
        sender: What this sender is called there, where there may be several; "" where there is one.

    Attributes:
        logins: Which were refused.
        sent_until: Until when an earlier process may have sent, in seconds of the monotonic clock: how much of each
            rate it used up died with it. None without one, and where rooms are taken over.
    """

    _FORGOTTEN_SECONDS: Final = 3600.0
    """Longer than the time between two probes, so that what is in use is never forgotten."""

    _UNUSED_PER_PARTY: Final = 50
    """Each takes some kilobytes, and one that is forgotten is made again where it is needed."""

    def __init__(
        self,
        *,
        helo_name: str,
        names: resolver.Resolver,
        opener: opening.Opener,
        time: clock.Clock,
        host: Callable[[], effective.Effective | None],
        memory: logins.Memory,
        sender: str = "",
    ) -> None:
        self.sent_until = time.monotonic() if memory.was_used else None
        self.logins = logins.Logins(time, memory)
        self._learned = endpoint_memory.EndpointMemory(memory, time, of=sender)
        self._clock = time
        self._known: dict[destination_key.DestinationKey, destination.Destination] = {}
        # The rooms that other senders had before, and until when at most.
        self._taken_over: dict[str, float] = {}
        self._made = 0
        self._on_free: _OnKey = lambda _key: None
        self._on_move: _OnKey = lambda _key: None
        self._on_route_change: list[OnRouteChange] = []
        self._dead: AbstractSet[destination_key.DestinationKey] = frozenset()
        self._around = surroundings.Surroundings(
            helo_name=helo_name,
            names=names,
            opener=opener,
            auth=auth_states.AuthStates(),
            logins=self.logins,
            time=time,
            host=host,
            relay=relays.HostAddresses(names, time, memory),
            fallback_relay=relays.HostAddresses(names, time, memory, kept_as=relays.FALLBACK_MEMORY),
            rooms=rooms.Rooms(sent_until=self.sent_until),
        )

    async def load(self) -> None:
        """Remember what earlier processes, and other senders, learned of logins and of servers.

        To be awaited before anything is delivered, and again before anything is that others delivered before.
        """
        await asyncio.gather(self.logins.load(), self._learned.load())

    async def keep(self, *, is_last: bool = False) -> None:
        """Keep for the next process what is learned of servers, where that is news.

        Args:
            is_last: Whether somebody else reads it next, so that it is not left to whoever is keeping it just now.
        """
        await self._learned.keep(self, is_last=is_last)

    def listen(self, on_free: _OnKey, on_move: _OnKey) -> None:
        """Have somebody told where a slot may be free, and where other limits hold from now on."""
        self._on_free, self._on_move = on_free, on_move

    def __len__(self) -> int:
        """Return how many are known."""
        return len(self._known)

    def __iter__(self) -> Iterator[destination.Destination]:
        return iter(list(self._known.values()))

    def find(self, key: Hashable) -> destination.Destination | None:
        """Return a destination that is in use; None for any other key."""
        return self._known.get(key) if isinstance(key, destination_key.DestinationKey) else None

    def limit(self, key: Hashable) -> int:
        """Return how many connections a destination may have; 1 where it is not in use."""
        found = self.find(key)
        return 1 if found is None else found.limit

    def get(self, settings: effective.Effective) -> destination.Destination:
        """Return the destination that effective settings name, with the limits that they give."""
        key, limits = destination_key.key_of(settings), destination_key.limits_of(settings.delivery)
        found = self._known.get(key)
        if found is None:
            self._made += 1
            found = self._known[key] = destination.Destination(
                key,
                limits=limits,
                around=self._around,
                on_free=self._note_free,
                on_move=self._note_move,
            )
            self._learned.restore(found)
            if (since := self.taken_over_at(key)) is not None:
                found.at.begin_full(since)
        found.at.set_limits(limits)
        found.last_used = self._clock.monotonic()
        return found

    def take_over(self, rooms: Mapping[str, bool]) -> None:
        """Begin anew with rooms that are this sender's from now on.

        Args:
            rooms: Whether another sender may have had each, which may have used up its rates.
        """
        now = self._clock.monotonic()
        self.forget(rooms)
        self._taken_over = {room: at for room, at in self._taken_over.items() if now - at < _RATES_COUNT_SECONDS}
        self._taken_over |= {room: now for room, had_owner in rooms.items() if had_owner}

    def taken_over_at(self, key: destination_key.DestinationKey) -> float | None:
        """Return until when another sender may have sent to a server; None where that counts for no rate any more."""
        return self._taken_over.get(key.room)

    def vacate(self, rooms: Collection[str], spawn: Callable[..., object]) -> set[str]:
        """End sessions that are idle in some rooms; return those rooms in which nothing is held or awaited any more.

        Args:
            rooms: Nothing new begins there.
            spawn: Runs a coroutine in the background.
        """
        needed = set()
        for each in self:
            if each.key.room in rooms:
                # Whoever waited for a slot of the server has nothing for it any more.
                each.want_nothing()
                each.close_idle(spawn, everything=True)
                if each.is_in_use or each.connections:
                    needed.add(each.key.room)
        return set(rooms) - needed

    def forget(self, rooms: Collection[str]) -> None:
        """Forget what is known of rooms in which nothing is held: from now on others learn of them."""
        for each in self:
            if each.key.room in rooms and not each.is_in_use:
                del self._known[each.key]
                each.leave()
                self._around.auth.forget(each.key.endpoint.host, scope=each.key.scope)
        self._around.rooms.prune()

    def in_use(self, settings: effective.Effective) -> effective.Effective:
        """Return settings as they are used now: with the fallback in place of the first server while that is dead."""
        there = settings.at_fallback()
        if there is None or settings.state is not effective.State.ACTIVE:
            return settings
        return settings if self._away_since(settings) is None else there

    def fallback_since(self, settings: effective.Effective) -> dt.datetime | None:
        """Return since when the fallback of settings takes the mail, aware UTC to the second; None where not."""
        since = None if settings.fallback is None else self._away_since(settings)
        return None if since is None else self._clock.wall_at(since).replace(microsecond=0)

    def _away_since(self, settings: effective.Effective) -> float | None:
        first = self.get(settings)
        first.has_fallback = True
        return first.health.route.since(self._clock.monotonic())

    def on_route_change(self, callback: OnRouteChange) -> None:
        """Have somebody told which servers were found to be dead since, or to be there again."""
        self._on_route_change.append(callback)

    def follow_routes(self) -> None:
        """Look which servers with a fallback are dead, and tell of those that are news."""
        now = self._clock.monotonic()
        firsts = (found for found in self._known.values() if found.has_fallback)
        dead = {first.key for first in firsts if first.health.route.since(now) is not None}
        turned, self._dead = dead ^ self._dead, dead
        route_metrics.set_in_use(len(dead))
        if turned:
            for callback in self._on_route_change:
                callback(turned)

    def _note_free(self, key: destination_key.DestinationKey) -> None:
        self._on_free(key)

    def _note_move(self, key: destination_key.DestinationKey) -> None:
        self._on_move(key)

    @property
    def is_crowded(self) -> bool:
        """Whether so many were made since the last `prune` that it should not be waited with."""
        return self._made >= self._UNUSED_PER_PARTY

    def prune(self, *, keep: Collection[Hashable]) -> None:
        """Forget destinations that nobody uses, except those that something waits for.

        Those that nobody has used for an hour go, and those of a party that are too many, the one used longest ago
        first: each edit of an endpoint makes one.
        """
        oldest = self._clock.monotonic() - self._FORGOTTEN_SECONDS
        unused: dict[str, list[destination.Destination]] = collections.defaultdict(list)
        for key, found in self._known.items():
            if key not in keep and not found.is_in_use:
                unused[key.party].append(found)
        for several in unused.values():
            several.sort(key=lambda found: found.last_used, reverse=True)
            for position, found in enumerate(several):
                if position >= self._UNUSED_PER_PARTY or found.last_used < oldest:
                    del self._known[found.key]
                    found.leave()
        self._around.rooms.prune()
        self._around.opener.forget_old()
        self._made = 0

    async def sweep(self, spawn: Callable[..., object]) -> AbstractSet[destination_key.DestinationKey]:
        """Look at all endpoints, some at a time; return those at which a rate lets nothing go just now.

        Idle sessions end, what was learned is forgotten in time, and metrics tell how many are in which state.

        Args:
            spawn: Runs a coroutine in the background.
        """
        paced, states, learned = set[destination_key.DestinationKey](), collections.Counter[str](), 0
        async for each in tasks.unhurried(self):
            now = self._clock.monotonic()
            if each.close_idle(spawn):
                # After a burst to many servers all its sessions are idle for too long at the same moment.
                await asyncio.sleep(_ENDS_APART_SECONDS)
            states[each.health.breaker.state(now).value] += 1
            learned += each.throttles.sweep()
            if each.at.awaited_rate() is not None:
                paced.add(each.key)
        metrics.set_destinations(states)
        throttle_metrics.set_learned(learned)
        return paced
