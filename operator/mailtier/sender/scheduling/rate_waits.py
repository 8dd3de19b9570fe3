"""The parts of namespaces that wait for their rate, outside of the rotations of their destinations; pure."""

from collections.abc import Hashable, Iterator, Sequence

from mailtier.sender.scheduling import lanes


class RateWaits:
    """What of each namespace waits, by destination."""

    def __init__(self) -> None:
        self._parts: dict[str, dict[Hashable, lanes.ReadyNamespace]] = {}

    def __iter__(self) -> Iterator[lanes.ReadyNamespace]:
        return (part for parts in self._parts.values() for part in parts.values())

    def find(self, namespace_uid: str, destination: Hashable) -> lanes.ReadyNamespace | None:
        """Return the part of a namespace that waits to go to a destination; None where none does."""
        return self._parts.get(namespace_uid, {}).get(destination)

    def of(self, namespace_uid: str) -> Sequence[lanes.ReadyNamespace]:
        """Return all parts of a namespace that wait."""
        return tuple(self._parts.get(namespace_uid, {}).values())

    def add(self, part: lanes.ReadyNamespace) -> None:
        """Let a part wait."""
        self._parts.setdefault(part.uid, {})[part.destination] = part

    def remove(self, part: lanes.ReadyNamespace) -> None:
        """Let it wait no more, if it did."""
        parts = self._parts.get(part.uid, {})
        if parts.get(part.destination) is part:
            del parts[part.destination]
            if not parts:
                del self._parts[part.uid]
