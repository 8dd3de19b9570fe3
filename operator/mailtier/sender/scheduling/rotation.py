"""Fair turns: deficit round robin by time."""

import collections
import dataclasses
from collections.abc import Hashable, Iterator
from collections.abc import Set as AbstractSet
from typing import Final, Generic, TypeVar

_K = TypeVar("_K", bound=Hashable)
_V = TypeVar("_V")

QUANTUM_SECONDS: Final = 1 / 32
"""What a turn is granted, and the least that a message is charged: whose messages all go as fast take turns one by one,
and a round is short for whoever comes."""


@dataclasses.dataclass(slots=True)
class _Member(Generic[_V]):
    value: _V
    credit_seconds: float = 0.0


class Rotation(Generic[_K, _V]):
    """Members that have work, in turn.

    A member is granted a quantum of credit when its turn comes, and passes while it is in debt. What something costs,
    the time of a connection, is known only afterwards, so members are charged after the fact; that is the variant of
    deficit round robin that lets credit become negative.

    Source:
        Shreedhar and Varghese, Efficient Fair Queuing Using Deficit Round-Robin (1995).
    """

    __slots__ = ("_members",)

    def __init__(self) -> None:
        self._members: collections.OrderedDict[_K, _Member[_V]] = collections.OrderedDict()

    def __len__(self) -> int:
        return len(self._members)

    def __iter__(self) -> Iterator[_V]:
        return (member.value for member in self._members.values())

    def keys(self) -> AbstractSet[_K]:
        """Return the keys of its members, as they are at any time."""
        return self._members.keys()

    def __contains__(self, key: _K) -> bool:
        return key in self._members

    def add(self, key: _K, value: _V) -> None:
        """Let a member take part, after all others; without effect if it does already."""
        if key not in self._members:
            self._members[key] = _Member(value)

    def remove(self, key: _K) -> None:
        """Leave a member out. Its credit or debt is forgotten: while it has no work it gives way to all."""
        self._members.pop(key, None)

    def get(self, key: _K) -> _V | None:
        """Return a member that takes part."""
        member = self._members.get(key)
        return member.value if member else None

    def turn(self, passing: AbstractSet[_K] = frozenset()) -> _V | None:
        """Return the member whose turn it is, None if there is none; constant time in the long run.

        Args:
            passing: Members that have no turn just now, and are granted nothing meanwhile.
        """
        while not self._members.keys() <= passing:
            for _ in range(len(self._members)):
                key, member = next(iter(self._members.items()))
                if key not in passing:
                    if member.credit_seconds <= 0:
                        member.credit_seconds += QUANTUM_SECONDS
                    if member.credit_seconds > 0:
                        return member.value
                self._members.move_to_end(key)
            self._skip_rounds(passing)
        return None

    def charge(self, key: _K, seconds: float) -> None:
        """Take credit from a member; its turn is over when none is left. Less than nothing is a refund."""
        member = self._members.get(key)
        if member is None:
            return
        had_credit = member.credit_seconds > 0
        member.credit_seconds -= seconds
        if had_credit and member.credit_seconds <= 0:
            self._members.move_to_end(key)

    def _skip_rounds(self, passing: AbstractSet[_K]) -> None:
        """Grant at once what so many rounds would grant in which nobody is served: a debt may be of minutes."""
        taking_part = [member for key, member in self._members.items() if key not in passing]
        debt_seconds = -max(member.credit_seconds for member in taking_part)
        granted_seconds = debt_seconds // QUANTUM_SECONDS * QUANTUM_SECONDS
        for member in taking_part:
            member.credit_seconds += granted_seconds
