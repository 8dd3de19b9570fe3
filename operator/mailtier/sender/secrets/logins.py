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
from collections.abc import Callable, Iterator, Mapping
from typing import Final, Protocol

from mailtier.sender import clock
from mailtier.sender.net import shares
from mailtier.telemetry import logs, share_metrics

REFUSALS: Final = 3
WINDOW: Final = dt.timedelta(hours=1)
"""R12: so many refused logins a namespace may cause at a server within that time."""
SERVERS: Final = 64
"""R15: at so many servers a namespace may have been refused within that time; at others its logins wait."""

_MEMORY: Final = "logins.refused/"
"""A namespace's refusals at a server are kept under this and both names: what one costs is no concern of others, and no
two senders write the same."""

_NEVER: Final = dt.datetime.min.replace(tzinfo=dt.UTC)

_log = logs.get_logger(__name__)


class Memory(Protocol):
    """What is kept from one process to the next."""

    @property
    def was_used(self) -> bool:
        """Whether an earlier process may have sent a moment ago; of senders that share a queue its rooms say so."""

    async def remember(self, key: str, text: str) -> None:
        """Keep a text."""

    async def recall(self, key: str) -> str | None:
        """Return a text that was kept; None where there is none."""

    async def recall_all(self, prefix: str) -> Mapping[str, str]:
        """Return the texts that were kept under keys with a beginning."""

    async def strike(self, key: str, member: str) -> None:
        """Keep a member of the JSON object under a key no longer, if one is kept, and the key with its last one."""

    async def forget(self, key: str) -> None:
        """Keep a text no longer, if one is kept."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, order=True)
class LoginPlace:
    """Whose logins are counted, and where.

    Attributes:
        namespace: Of the Secrets.
        server: The name of the server's room.
    """

    namespace: str
    server: str


class Logins:
    """The budget of all namespaces at all servers.

    Args:
        time: Clocks.
        memory: Where refusals are kept for the next process.
    """

    def __init__(self, time: clock.Clock, memory: Memory) -> None:
        self._clock = time
        self._memory = memory
        # By namespace and server; whose last refusal is the latest stands at the end.
        self._refused: collections.OrderedDict[str, dict[str, list[dt.datetime]]] = collections.OrderedDict()
        self._trying: collections.Counter[LoginPlace] = collections.Counter()
        self._active: set[LoginPlace] = set()
        self._at_server: collections.Counter[str] = collections.Counter()
        self._waiting: dict[str, list[Callable[[], None]]] = {}

    async def load(self) -> None:
        """Remember what earlier processes, and other senders, were refused; again where that may be more by now."""
        kept: Mapping[str, str] = {}
        with _surviving("refused logins of earlier processes could not be read"):
            kept = await self._memory.recall_all(_MEMORY)
        for key, text in kept.items():
            with _surviving("refused logins of a namespace could not be read"):
                # Those of a version that kept all servers of a namespace together have no second name.
                namespace, _, _ = key.removeprefix(_MEMORY).partition("/")
                at_servers = self._refused.setdefault(namespace, {})
                for server, times in json.loads(text).items():
                    earlier = {dt.datetime.fromisoformat(at) for at in times}
                    at_servers[server] = sorted(earlier.union(at_servers.get(server, ())))
        self._refused = collections.OrderedDict(sorted(self._refused.items(), key=lambda each: _last(each[1])))
        await self._forget_old()

    def held_until(self, place: LoginPlace) -> dt.datetime | None:
        """Return when the next login may be tried; None where one may be now."""
        refused = self._recent(place)
        if len(refused) >= REFUSALS:
            return refused[-REFUSALS] + WINDOW
        others = self._servers(place.namespace)
        if refused or len(others) < SERVERS:
            return None
        return sorted(times[-1] for times in others.values())[-SERVERS] + WINDOW

    def left(self, place: LoginPlace) -> int:
        """Return how many logins may be refused until the next ones have to wait."""
        return max(REFUSALS - len(self._recent(place)) - self._trying[place], 0) if self._has_room(place) else 0

    @contextlib.contextmanager
    def trying(self, place: LoginPlace) -> Iterator[bool]:
        """Tell whether a login may be tried now, and count it while it is: it may be refused as others were."""
        is_free = len(self._recent(place)) + self._trying[place] < REFUSALS and self._has_room(place)
        self._trying[place] += is_free
        try:
            yield is_free
        finally:
            self._trying[place] -= is_free
            if not self._trying[place]:
                del self._trying[place]

    async def note_refusal(self, place: LoginPlace) -> None:
        """Count a login that was refused."""
        former = self._refused.get(place.namespace, {})
        at_servers = self._refused[place.namespace] = self._servers(place.namespace)
        at_servers[place.server] = [*at_servers.get(place.server, ()), self._clock.wall()]
        self._refused.move_to_end(place.namespace)
        share_metrics.count_refused_login()
        kept = json.dumps({place.server: [at.isoformat() for at in at_servers[place.server]]})
        with _surviving("a refused login could not be kept"):
            await self._memory.remember(_memory_key(place.namespace, place.server), kept)
            for server in former.keys() - at_servers.keys():
                await self._memory.forget(_memory_key(place.namespace, server))
        await self._forget_old()

    def begin(self, place: LoginPlace, *, at_once: int) -> shares.ShareSlot | None:
        """Return leave for a login, or None while the namespace has another one under way, or the server too many.

        Args:
            place: Whose it is, and where.
            at_once: How many there may be at the server at the same time, of all namespaces.
        """
        if place in self._active or self._at_server[place.server] >= at_once:
            return None
        self._active.add(place)
        self._at_server[place.server] += 1
        return shares.ShareSlot(lambda: self._end(place))

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

    def _has_room(self, place: LoginPlace) -> bool:
        """Return whether a server is one of those where its namespace may be refused, whatever is under way."""
        known = set(self._servers(place.namespace))
        known |= {each.server for each, count in self._trying.items() if count and each.namespace == place.namespace}
        return place.server in known or len(known) < SERVERS

    async def _forget_old(self) -> None:
        """Keep nothing of namespaces without a refusal within the window."""
        oldest = self._clock.wall() - WINDOW
        while self._refused and _last(next(iter(self._refused.values()))) <= oldest:
            namespace, at_servers = self._refused.popitem(last=False)
            with _surviving("refused logins that are over could not be forgotten"):
                await self._memory.forget(_MEMORY + namespace)
                for server in at_servers:
                    await self._memory.forget(_memory_key(namespace, server))

    def _servers(self, namespace: str) -> dict[str, list[dt.datetime]]:
        """Return the refusals of a namespace within the window, by server."""
        oldest = self._clock.wall() - WINDOW
        at_servers = self._refused.get(namespace, {})
        recent = {server: [at for at in times if at > oldest] for server, times in at_servers.items()}
        return {server: times for server, times in recent.items() if times}

    def _recent(self, place: LoginPlace) -> list[dt.datetime]:
        oldest = self._clock.wall() - WINDOW
        return [at for at in self._refused.get(place.namespace, {}).get(place.server, ()) if at > oldest]


def _memory_key(namespace: str, server: str) -> str:
    return f"{_MEMORY}{namespace}/{server}"


def _last(at_servers: Mapping[str, list[dt.datetime]]) -> dt.datetime:
    """Return when a namespace was refused last."""
    return max((times[-1] for times in at_servers.values() if times), default=_NEVER)


@contextlib.contextmanager
def _surviving(told: str) -> Iterator[None]:
    """Tell of what goes wrong with what is kept, and go on: what is in memory counts in this process."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - whatever it is, mail goes on without.
        _log.warning(told, error=type(error).__name__)
