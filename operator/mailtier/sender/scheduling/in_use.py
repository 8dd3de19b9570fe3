"""How many connections of each destination its namespaces use, and who has enough while others wait (R15); pure."""

import collections
from collections.abc import Callable, Hashable
from collections.abc import Set as AbstractSet


class ConnectionsInUse:
    """The connections that messages use whose turn was taken.

    Args:
        limit: Returns how many connections a destination may have.
    """

    def __init__(self, limit: Callable[[Hashable], int]) -> None:
        self._limit = limit
        self._used: dict[Hashable, collections.Counter[str]] = {}

    def take(self, destination: Hashable, namespace_uid: str) -> None:
        """Count one more connection of a namespace."""
        self._used.setdefault(destination, collections.Counter())[namespace_uid] += 1

    def give_back(self, destination: Hashable, namespace_uid: str) -> None:
        """Count one connection less."""
        used = self._used[destination]
        used[namespace_uid] -= 1
        if not used[namespace_uid]:
            del used[namespace_uid]
            if not used:
                del self._used[destination]

    def sated(self, destination: Hashable, ready: AbstractSet[str]) -> AbstractSet[str]:
        """Return the namespaces that take no further connection, since others wait that use less than half of them.

        Args:
            destination: Whose connections they are.
            ready: The namespaces that have something ready for it.
        """
        used = self._used.get(destination)
        if used is None or len(ready) < 2:  # noqa: PLR2004 - who is alone keeps nobody waiting.
            return frozenset()
        half = max(1, self._limit(destination) // 2)
        found = {namespace for namespace, number in used.items() if number >= half and namespace in ready}
        return found if len(found) < len(ready) else frozenset()
