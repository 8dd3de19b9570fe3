"""What is claimed of a backlog: what is due and fits, and when there is more; every backend asks here, and reads.

A backend reads what is due in its order (`look`). Where that stops at something that is not due yet, there may be more
behind it that was stored by another time: it is read once more from there (`beyond`, then `look`). Of many it reads
next what they weigh, and then only those that fit (`fitting`); each is offered with all that its message is built from
(`offer`).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Final, TypeAlias

from mailtier.api import notification
from mailtier.sender import ports

DueRecipient: TypeAlias = tuple[int, int]
"""A recipient's number, and when it is due, in a backend's units of time."""

_FEW: Final = 8
"""Fewer of a backlog are read without a look at what they weigh."""

_PART_BYTES: Final = 16 * 1024 * 1024
"""Of payloads, in one answer of a backend that has them all in memory."""


class BacklogChoice:
    """What is chosen for a demand.

    Args:
        demand: What is wanted.
        claimed: The recipients of its backlog that are claimed.
        due_by: That of the demand, in the backend's units; None for whatever its time.
        due_from: Likewise; None for none.
    """

    def __init__(
        self, demand: ports.Demand, claimed: AbstractSet[int], *, due_by: int | None, due_from: int | None
    ) -> None:
        self.demand = demand
        self._due_by = float("inf") if due_by is None else due_by
        self._due_from = due_from
        self.taken: list[ports.Claimed] = []
        self._claimed = claimed
        self._chosen: list[DueRecipient] = []
        self._left: int | None = None
        self._weight_bytes = 0
        self._is_full = False

    @property
    def rows(self) -> int:
        """How many recipients of a kind have to be read: one more than could be chosen tells what is left."""
        return self.demand.limit + len(self._claimed) + 1

    @property
    def count(self) -> int:
        """How many were chosen."""
        return len(self._chosen)

    @property
    def beyond(self) -> int | None:
        """From when on it is to be looked once more: what is due from then on does not wait, and was not reached."""
        is_cut = self._left is not None and len(self._chosen) < self.demand.limit
        return self._due_from if is_cut else None

    @property
    def next_due(self) -> int | None:
        """When the first is due that is not taken; None without any."""
        return self._chosen[len(self.taken)][1] if len(self.taken) < len(self._chosen) else self._left

    def look(self, due: Iterable[DueRecipient]) -> None:
        """Choose of what is due, in its order, up to the first that there is no room for, or that has to wait."""
        for number, due_at in due:
            if number not in self._claimed and not self._choose(number, due_at):
                return

    def numbers(self) -> list[int]:
        """Return all that were chosen."""
        return [number for number, _ in self._chosen]

    def fitting(self, weights: Mapping[int, int]) -> list[int]:
        """Return those of the chosen for which there is room: the first in any case.

        Args:
            weights: Bytes of their payloads; of what was not looked at nothing is known, and it is read.
        """
        found: list[int] = []
        total_bytes = 0
        for number, _ in self._chosen:
            total_bytes += weights.get(number, 0)
            if found and total_bytes > self.demand.limit_bytes:
                break
            found.append(number)
        return found

    def offer(self, claimed: ports.Claimed) -> None:
        """Take the next one, unless it or one before it is too much; the first is taken in any case."""
        fits = not self.taken or self._weight_bytes + claimed.payload_bytes <= self.demand.limit_bytes
        self._is_full = self._is_full or not fits
        if not self._is_full:
            self.taken.append(claimed)
            self._weight_bytes += claimed.payload_bytes

    def _choose(self, number: int, due_at: int) -> bool:
        if len(self._chosen) == self.demand.limit or self._waits(due_at):
            self._left = due_at
            return False
        self._chosen.append((number, due_at))
        return True

    def _waits(self, due_at: int) -> bool:
        return self._due_by < due_at and (self._due_from is None or due_at < self._due_from)


def to_weigh(choices: Iterable[BacklogChoice]) -> Sequence[int]:
    """Return the recipients of which it has to be known what they weigh, as there are many."""
    return [number for choice in choices if choice.count >= _FEW for number in choice.numbers()]


def parts(numbers: Iterable[int], weights: Mapping[int, int]) -> Iterator[Sequence[int]]:
    """Yield recipients in parts that may be read at once, in their order, whatever their payloads are together."""
    part: list[int] = []
    weight_bytes = 0
    for number in numbers:
        weight = weights.get(number, notification.MAXIMUM_TOTAL_BYTES)
        if part and weight_bytes + weight > _PART_BYTES:
            yield part
            part, weight_bytes = [], 0
        part.append(number)
        weight_bytes += weight
    if part:
        yield part


def first_due(first: int, last: int, due_from: int | None) -> int:
    """Return when a backlog has something next: what is due beyond any wait is due at once, and comes first.

    Args:
        first: When the first of its recipients is due, in a backend's units of time.
        last: When the last one is.
        due_from: From when on nothing waits; None for never.
    """
    return last if due_from is not None and last >= due_from else first
