"""Which recipients this process has claimed: in memory, as a claim ends with the process."""

from collections.abc import Iterable
from collections.abc import Set as AbstractSet

from mailtier.sender import ports


class ClaimBook:
    """Claims in force, by backlog."""

    def __init__(self) -> None:
        self._backlogs: dict[int, ports.BacklogKey] = {}
        self._numbers: dict[ports.BacklogKey, set[int]] = {}

    def __contains__(self, recipient_number: int) -> bool:
        return recipient_number in self._backlogs

    def of(self, backlog: ports.BacklogKey) -> AbstractSet[int]:
        """Return the recipients of a backlog that are claimed."""
        return frozenset(self._numbers.get(backlog, ()))

    def all(self) -> AbstractSet[int]:
        """Return all recipients that are claimed."""
        return frozenset(self._backlogs)

    def lanes(self) -> AbstractSet[ports.LaneKey]:
        """Return the organizations of which something is claimed."""
        return {backlog.lane for backlog in self._numbers}

    def add(self, claimed: Iterable[ports.Pending]) -> None:
        """Note claims."""
        for each in claimed:
            backlog = ports.BacklogKey(lane=each.lane, category=each.category)
            self._backlogs[each.recipient_number] = backlog
            self._numbers.setdefault(backlog, set()).add(each.recipient_number)

    def end(self, recipient_numbers: Iterable[int]) -> None:
        """Note that claims are over; those that were not claimed are left out."""
        for each in recipient_numbers:
            backlog = self._backlogs.pop(each, None)
            if backlog is None:
                continue
            others = self._numbers[backlog]
            others.discard(each)
            if not others:
                del self._numbers[backlog]
