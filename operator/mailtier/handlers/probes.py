"""What the sender's probes found, and whose settings each result speaks of.

Organizations that share endpoint, credentials and envelope share one probe: ten thousand that inherit the host's are
one entry here.
"""

import collections
from collections.abc import Callable, Collection
from typing import Final

from mailtier.api import feed
from mailtier.handlers import keys

_KEPT_UNUSED: Final = 1_000
"""Results that are kept though nobody asks for them: settings that come back find theirs."""


class Probes:
    """The latest results by probe key."""

    def __init__(self, changed: Callable[[keys.Key], None]) -> None:
        """Make an empty table.

        Args:
            changed: Gets the key of everybody whom a new result concerns.
        """
        self._changed = changed
        self._results: dict[str, feed.Probe] = {}
        self._unused: collections.OrderedDict[str, None] = collections.OrderedDict()
        self._users: dict[str, set[keys.Key]] = {}
        self._keys: dict[keys.Key, tuple[str, ...]] = {}

    def take(self, probe: feed.Probe) -> Collection[keys.Key]:
        """Take in a result; users look again only if it says something new, and are returned then."""
        old = self._results.get(probe.key)
        self._results[probe.key] = probe
        if probe.key not in self._users:
            self._let_go(probe.key)
        if old is not None and old.model_copy(update={"probed_at": probe.probed_at}) == probe:
            return ()
        users = tuple(self._users.get(probe.key, ()))
        for user in users:
            self._changed(user)
        return users

    def find(self, user: keys.Key, *probe_keys: str) -> list[feed.Probe | None]:
        """Return the latest results for probe keys, in their order, and remember who asked."""
        if self._keys.get(user) != probe_keys:
            self.release(user)
            self._keys[user] = probe_keys
            for probe_key in probe_keys:
                self._users.setdefault(probe_key, set()).add(user)
                self._unused.pop(probe_key, None)
        return [self._results.get(probe_key) for probe_key in probe_keys]

    def release(self, user: keys.Key) -> None:
        """Forget a user that is gone or has nothing to probe."""
        for old in set(self._keys.pop(user, ())):
            users = self._users[old]
            users.discard(user)
            if not users:
                del self._users[old]
                self._let_go(old)

    def _let_go(self, probe_key: str) -> None:
        """Keep a result that nobody asks for only while few others are."""
        self._unused[probe_key] = None
        if len(self._unused) > _KEPT_UNUSED:
            oldest, _ = self._unused.popitem(last=False)
            self._results.pop(oldest, None)
