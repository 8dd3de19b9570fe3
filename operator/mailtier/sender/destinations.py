"""All endpoints in use, with what they share: what is known of credentials, and who opens sessions."""

import collections
from collections.abc import Callable, Collection, Hashable, Iterator
from typing import Final

from mailtier.sender import clock, destination, opening, resolver
from mailtier.settings import effective
from mailtier.telemetry import metrics


class Destinations:
    """All endpoints in use.

    Args:
        helo_name: The sender's own name for EHLO.
        host: Returns the host's own effective settings, or None.
    """

    _FORGOTTEN_SECONDS: Final = 3600.0
    """Longer than the time between two probes, so that what is in use is never forgotten."""

    def __init__(
        self,
        *,
        helo_name: str,
        names: resolver.Resolver,
        opener: opening.Opener,
        time: clock.Clock,
        host: Callable[[], effective.Effective | None],
    ) -> None:
        self._helo_name = helo_name
        self._resolver = names
        self._opener = opener
        self._clock = time
        self._host = host
        self._known: dict[destination.DestinationKey, destination.Destination] = {}
        self._auth = opening.AuthStates()
        self._listener: Callable[[destination.DestinationKey], None] | None = None

    def listen(self, on_free: Callable[[destination.DestinationKey], None]) -> None:
        """Have somebody told of every slot that becomes free."""
        self._listener = on_free

    def __iter__(self) -> Iterator[destination.Destination]:
        return iter(list(self._known.values()))

    def find(self, key: destination.DestinationKey) -> destination.Destination | None:
        """Return a destination that is in use."""
        return self._known.get(key)

    def get(self, endpoint: effective.Endpoint, delivery: effective.Delivery) -> destination.Destination:
        """Return the destination that effective settings name, with the limits that they give."""
        key, limits = destination.key_of(endpoint, delivery), destination.limits_of(delivery)
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = destination.Destination(
                key,
                limits=limits,
                helo_name=self._helo_name,
                names=self._resolver,
                opener=self._opener,
                auth=self._auth,
                time=self._clock,
                host=self._host,
                on_free=self._note_free,
            )
        found.limits = limits
        found.last_used = self._clock.monotonic()
        return found

    def _note_free(self, key: destination.DestinationKey) -> None:
        if self._listener is not None:
            self._listener(key)

    def prune(self, *, keep: Collection[Hashable]) -> None:
        """Forget destinations that nobody has used for an hour, except those that something waits for."""
        oldest = self._clock.monotonic() - self._FORGOTTEN_SECONDS
        for key, each in list(self._known.items()):
            if key not in keep and each.last_used < oldest and each.connections == 0:
                del self._known[key]

    def tell_metrics(self) -> None:
        """Export how many endpoints are in which breaker state."""
        now = self._clock.monotonic()
        counts = collections.Counter(each.breaker.state(now).value for each in self._known.values())
        metrics.set_destinations(counts)
