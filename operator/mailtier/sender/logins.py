"""Logins that nobody has seen succeed: few refusals an hour, and one at a time (R12).

Each Secret is another login, and a namespace can have as many Secrets as it likes. Without a budget they are guesses at
a password, a hundred a minute, and a server that counts them locks the account; and each holds a connection for as long
as the server takes to refuse it. A login that once succeeded at a server goes on whatever others of its namespace do.
"""

import collections
import contextlib
import dataclasses
import datetime as dt
import json
from collections.abc import Callable, Iterator
from typing import Final, Protocol, Self

from mailtier.sender import clock
from mailtier.telemetry import logs, share_metrics

REFUSALS: Final = 3
WINDOW: Final = dt.timedelta(hours=1)
"""R12: so many refused logins a namespace may cause at a server within that time."""

_MEMORY: Final = "logins.refused"

_log = logs.get_logger(__name__)


class Memory(Protocol):
    """What is kept from one process to the next."""

    async def remember(self, key: str, text: str) -> None:
        """Keep a text."""

    async def recall(self, key: str) -> str | None:
        """Return a text that was kept; None where there is none."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, order=True)
class LoginPlace:
    """Whose logins are counted, and where.

    Attributes:
        namespace: Of the Secrets.
        server: The name of the server's room.
    """

    namespace: str
    server: str


class Ticket:
    """Leave for one login that was never seen to succeed; given back once."""

    __slots__ = ("_over",)

    def __init__(self, over: Callable[[], None]) -> None:
        self._over: Callable[[], None] | None = over

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.give_back()

    def give_back(self) -> None:
        """Let the next one try."""
        over, self._over = self._over, None
        if over is not None:
            over()


FREE: Final = Ticket(lambda: None)
"""For logins that need no leave."""


class Logins:
    """The budget of all namespaces at all servers.

    Args:
        time: Clocks.
        memory: Where refusals are kept for the next process.
    """

    def __init__(self, time: clock.Clock, memory: Memory) -> None:
        self._clock = time
        self._memory = memory
        self._refused: dict[LoginPlace, list[dt.datetime]] = {}
        self._trying: collections.Counter[LoginPlace] = collections.Counter()
        self._active: set[LoginPlace] = set()
        self._at_server: collections.Counter[str] = collections.Counter()
        self._waiting: dict[str, list[Callable[[], None]]] = {}

    async def load(self) -> None:
        """Remember what earlier processes were refused."""
        try:
            kept = json.loads(await self._memory.recall(_MEMORY) or "[]")
            for namespace, server, times in kept:
                place = LoginPlace(namespace=namespace, server=server)
                earlier = [dt.datetime.fromisoformat(at) for at in times]
                self._refused[place] = sorted(earlier + self._refused.get(place, []))
        except Exception as error:  # noqa: BLE001 - whatever it is, mail goes on without.
            _log.warning("refused logins of earlier processes could not be read", error=type(error).__name__)

    def held_until(self, place: LoginPlace) -> dt.datetime | None:
        """Return when the next login may be tried; None where one may be now."""
        refused = self._recent(place)
        return None if len(refused) < REFUSALS else refused[-REFUSALS] + WINDOW

    @contextlib.contextmanager
    def trying(self, place: LoginPlace) -> Iterator[bool]:
        """Tell whether a login may be tried now, and count it while it is: it may be refused as others were."""
        is_free = len(self._recent(place)) + self._trying[place] < REFUSALS
        self._trying[place] += is_free
        try:
            yield is_free
        finally:
            self._trying[place] -= is_free
            if not self._trying[place]:
                del self._trying[place]

    async def note_refusal(self, place: LoginPlace) -> None:
        """Count a login that was refused."""
        now = self._clock.wall()
        self._refused = {each: recent for each in self._refused if (recent := self._recent(each))}
        self._refused.setdefault(place, []).append(now)
        share_metrics.count_refused_login()
        kept = [(each.namespace, each.server, [at.isoformat() for at in at_]) for each, at_ in self._refused.items()]
        try:
            await self._memory.remember(_MEMORY, json.dumps(kept))
        except Exception as error:  # noqa: BLE001 - what is in memory counts in this process.
            _log.warning("a refused login could not be kept", error=type(error).__name__)

    def begin(self, place: LoginPlace, *, at_once: int) -> Ticket | None:
        """Return leave for a login, or None while the namespace has another one under way, or the server too many.

        Args:
            place: Whose it is, and where.
            at_once: How many there may be at the server at the same time, of all namespaces.
        """
        if place in self._active or self._at_server[place.server] >= at_once:
            return None
        self._active.add(place)
        self._at_server[place.server] += 1
        return Ticket(lambda: self._end(place))

    def when_over(self, server: str, callback: Callable[[], None]) -> None:
        """Have somebody told, once, when a login at a server is over."""
        self._waiting.setdefault(server, []).append(callback)

    def _end(self, place: LoginPlace) -> None:
        self._active.discard(place)
        self._at_server[place.server] -= 1
        if not self._at_server[place.server]:
            del self._at_server[place.server]
        for callback in self._waiting.pop(place.server, []):
            callback()

    def _recent(self, place: LoginPlace) -> list[dt.datetime]:
        oldest = self._clock.wall() - WINDOW
        return [at for at in self._refused.get(place, ()) if at > oldest]
