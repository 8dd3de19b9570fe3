"""What the sender has queued, on its way into status: so often, so much a second, and namespaces in turn.

A backlog is the tenant's to make: one who has thousands of organizations, and has them come and go, is one flow among
all (R15), and all together make no more writes than the API server hardly notices.
"""

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple, NoReturn

from mailtier.api import feed, timers
from mailtier.handlers import fairness, feed_client, keys, store
from mailtier.settings import magnitudes
from mailtier.telemetry import logs

EVERY_SECONDS: Final = 30.0
"""How often the sender is asked, and no status is written more often for what it says."""

PER_SECOND: Final = 20
"""Organizations whose status may change for it; of all namespaces together."""

BacklogOf = Callable[[keys.Key, str, Mapping[str, Any] | None], Mapping[str, Any]]
"""Returns what status says of a backlog, as `BacklogTeller.of`."""

_log = logs.get_logger(__name__)


class BacklogOwner(NamedTuple):
    """Whose backlog it is: an organization's by its namespace's uid, so that a recreated one inherits nothing (R11)."""

    key: keys.Key
    namespace_uid: str


_HOST: Final = BacklogOwner(keys.HOST, "")


class BacklogTeller:
    """What status says of what is queued; until the sender was heard, what stands there.

    Times are seconds of the loop's clock.
    """

    def __init__(
        self,
        objects: store.Store,
        ask: Callable[[], Awaitable[Sequence[feed.QueueShare]]],
        *,
        changed: Callable[[keys.Key], None],
        now: Callable[[], dt.datetime],
    ) -> None:
        """Make one that has heard nothing.

        Args:
            objects: What is there.
            ask: Asks the sender.
            changed: Gets the key of everybody whose status is to change.
            now: The wall clock, aware UTC.
        """
        self._store = objects
        self._ask = ask
        self._changed = changed
        self._now = now
        self._found: dict[BacklogOwner, feed.QueueShare] = {}
        self._told: dict[BacklogOwner, Mapping[str, Any]] | None = None
        self._told_at: dict[BacklogOwner, float] = {}
        self._order = fairness.Order[BacklogOwner](lambda owner: keys.flow(owner.key))
        self._later = timers.Timers[BacklogOwner]()

    def of(self, key: keys.Key, namespace_uid: str, stands: Mapping[str, Any] | None) -> Mapping[str, Any]:
        """Return what status says of a backlog.

        Args:
            key: The host's, or an organization's.
            namespace_uid: Of the organization's namespace; "" for the host.
            stands: The `status.queue` that is there.
        """
        return magnitudes.part(stands) if self._told is None else self._told.get(BacklogOwner(key, namespace_uid), {})

    async def run(self) -> NoReturn:
        """Ask, and have status follow, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            started = loop.time()
            try:
                self.note(await self._ask(), at=started)
            except feed_client.SenderUnavailableError as error:
                _log.debug("the sender did not say what is queued; it is asked again", error=str(error))
            while (at := loop.time()) < started + EVERY_SECONDS:
                following = self.tell_next(at=at)
                await asyncio.sleep(min(following, started + EVERY_SECONDS) - at)

    def note(self, found: Iterable[feed.QueueShare], *, at: float) -> None:
        """Take in what is queued; whose status is to change waits for its turn.

        Args:
            found: What is queued of each organization.
            at: The time.
        """
        if self._told is None:
            self._told = self._read()
        every_one = list(found)
        self._found = {
            BacklogOwner(keys.organization(each.namespace, each.organization), each.namespace_uid): each
            for each in every_one
        }
        if (all_of_it := magnitudes.total(every_one)) is not None:
            self._found[_HOST] = all_of_it
        self._told_at = {owner: told_at for owner, told_at in self._told_at.items() if at < told_at + EVERY_SECONDS}
        for owner in self._found.keys() | self._told.keys():
            if self._wanted(owner) == self._told.get(owner, {}):
                continue
            if (told_at := self._told_at.get(owner)) is None:
                self._order.add(owner, background=False)
            else:
                self._later.set(owner, told_at + EVERY_SECONDS)

    def tell_next(self, *, at: float) -> float:
        """Have the next status changed that waits for it, if any; return when there may be another one.

        Args:
            at: The time.
        """
        for owner in self._later.due(at):
            self._order.add(owner, background=False)
        while len(self._order):
            if self._tell(self._order.take(), at):
                return at + 1 / PER_SECOND
        following = self._later.next_at()
        return float("inf") if following is None else following

    def _tell(self, owner: BacklogOwner, at: float) -> bool:
        """Return whether a status is to change, as it is known by now."""
        assert self._told is not None, "what waits was compared with it"
        wanted = self._wanted(owner)
        if wanted == self._told.get(owner, {}):
            return False
        if wanted:
            self._told[owner] = wanted
        else:
            del self._told[owner]
        self._told_at[owner] = at
        self._changed(owner.key)
        return True

    def _wanted(self, owner: BacklogOwner) -> Mapping[str, Any]:
        assert self._told is not None, "what is wanted depends on it"
        # Where there is no object, there is no status: nothing of it takes a turn.
        found = self._found.get(owner) if self._is_there(owner) else None
        return magnitudes.told(found, before=self._told.get(owner, {}), now=self._now())

    def _is_there(self, owner: BacklogOwner) -> bool:
        if owner == _HOST:
            return self._store.host is not None
        space = self._store.namespaces.get(owner.key.namespace)
        is_same = space is not None and space.uid == owner.namespace_uid
        return is_same and (owner.key.namespace, owner.key.name) in self._store.organizations

    def _read(self) -> dict[BacklogOwner, Mapping[str, Any]]:
        """Return what stands in every status."""
        stands: dict[BacklogOwner, Mapping[str, Any]] = {}
        if self._store.host is not None:
            stands[_HOST] = magnitudes.part(self._store.host.queue)
        for (namespace, name), seen in self._store.organizations.items():
            if seen.queue and (space := self._store.namespaces.get(namespace)) is not None:
                stands[BacklogOwner(keys.organization(namespace, name), space.uid)] = magnitudes.part(seen.queue)
        return {owner: told for owner, told in stands.items() if told}
