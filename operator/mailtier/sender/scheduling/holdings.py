"""How many connections of each destination its namespaces hold, and who has enough while others wait (R15); pure."""

import collections
from collections.abc import Callable, Hashable
from collections.abc import Set as AbstractSet


class Holdings:
    """What messages that were taken hold.

    Args:
        limit: Returns how many connections a destination may have.
    """

    def __init__(self, limit: Callable[[Hashable], int]) -> None:
        self._limit = limit
        self._held: dict[Hashable, collections.Counter[str]] = {}

    def take(self, destination: Hashable, namespace_uid: str) -> None:
        """Count one more connection of a namespace."""
        self._held.setdefault(destination, collections.Counter())[namespace_uid] += 1

    def give_back(self, destination: Hashable, namespace_uid: str) -> None:
        """Count one connection less."""
        held = self._held[destination]
        held[namespace_uid] -= 1
        if not held[namespace_uid]:
            del held[namespace_uid]
            if not held:
                del self._held[destination]

    def sated(self, destination: Hashable, ready: AbstractSet[str]) -> AbstractSet[str]:
        """Return the namespaces that take no further connection, since others wait that hold less than half of them.

        Args:
            destination: Whose connections they are.
            ready: The namespaces that have something ready for it.
        """
        held = self._held.get(destination)
        if held is None or len(ready) < 2:  # noqa: PLR2004 - who is alone keeps nobody waiting.
            return frozenset()
        half = max(1, self._limit(destination) // 2)
        found = {namespace for namespace, number in held.items() if number >= half and namespace in ready}
        return found if len(found) < len(ready) else frozenset()
