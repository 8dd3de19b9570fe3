"""What is queued of each organization and category, and how much of that may be in memory; pure.

The queue holds it all. Here is known of each backlog only when its next recipient is due, and what of it is in
memory: the active set, which is as large however much is queued. Where it is full, namespaces have even shares of it:
who has less than its share is let in, and of whoever has most it is unclaimed what waits (R15).
"""

import collections
import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from mailtier.api import timers
from mailtier.sender import ports

RECIPIENTS: Final = 20_000
"""In memory at most, by default."""
MEMORY_BYTES: Final = 64 * 1024 * 1024
"""Of their payloads at most, by default."""

_BACKLOG_SHARE: Final = 64
"""A backlog has that part of the active set at most; it is filled again once it has less than half of it."""
_AT_ONCE: Final = 64
"""Backlogs in one turn of claiming."""


@dataclasses.dataclass(slots=True, eq=False)
class Backlog:
    """What is known of one backlog. Times are seconds of a monotonic clock.

    Attributes:
        next_due: When the first that is not in memory is due; infinity where nothing is known to be left.
        active: Recipients in memory.
        weight_bytes: What they are charged of the active set.
        is_claiming: Whether it is being claimed from.
        rung: How often something was said to be there; an answer that was asked for before says nothing of it.
        is_kept: Whether something may be left that was not asked for, in other states.
    """

    key: ports.BacklogKey
    next_due: float = float("inf")
    active: int = 0
    weight_bytes: int = 0
    is_claiming: bool = False
    rung: int = 0
    is_kept: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether nothing is known of it, in memory or in the queue."""
        return not (self.active or self.is_claiming or self.is_kept) and self.next_due == float("inf")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """A backlog whose turn it is to be claimed from.

    Attributes:
        room_bytes: What it may be charged at most.
        rung: As it was when its turn came.
    """

    backlog: Backlog
    room_bytes: int
    rung: int


class Backlogs:
    """All backlogs that are known, and the active set's books.

    Args:
        recipients: In memory at most.
        memory_bytes: Of their payloads at most.
    """

    def __init__(self, *, recipients: int = RECIPIENTS, memory_bytes: int = MEMORY_BYTES) -> None:
        # Each recipient is charged at least so much: one sum then bounds both.
        self._least_bytes = max(memory_bytes // recipients, 1)
        self._total_bytes = memory_bytes
        self._share_bytes = max(memory_bytes // _BACKLOG_SHARE, self._least_bytes)
        self._used_bytes = 0
        self._reserved_bytes = 0
        self._lanes: dict[ports.LaneKey, dict[ports.BacklogKey, Backlog]] = {}
        # By the namespace's uid: what it is charged, and its backlogs whose turn is to come.
        self._charged: collections.Counter[str] = collections.Counter()
        self._wanted: collections.OrderedDict[str, dict[Backlog, None]] = collections.OrderedDict()
        self._due = timers.Timers[Backlog]()

    def __iter__(self) -> Iterator[Backlog]:
        return (backlog for lane in self._lanes.values() for backlog in lane.values())

    def __contains__(self, lane: ports.LaneKey) -> bool:
        return lane in self._lanes

    @property
    def used_bytes(self) -> int:
        """What the active set is charged."""
        return self._used_bytes

    def weight(self, payload_bytes: int) -> int:
        """Return what a recipient is charged."""
        return max(payload_bytes, self._least_bytes)

    def room(self, turn: Turn) -> int:
        """Return how many recipients a turn has room for."""
        return max(turn.room_bytes // self._least_bytes, 1)

    def ring(self, key: ports.BacklogKey, at: float) -> Backlog:
        """Note that something is in the queue that is due at a time; return its backlog."""
        backlog = self._lanes.setdefault(key.lane, {}).get(key)
        if backlog is None:
            backlog = self._lanes[key.lane][key] = Backlog(key)
        backlog.rung += 1
        if at < backlog.next_due:
            backlog.next_due = at
            self._due.set(backlog, at)
        return backlog

    def reopen(self, lane: ports.LaneKey, *, now: float, anew: bool) -> None:
        """Let the backlogs of an organization have their turns again that `turns` has passed over.

        Args:
            anew: Whether other states or times are wanted than before, so that nothing is known of what is left.
        """
        for backlog in self._lanes.get(lane, {}).values():
            if anew:
                self.ring(backlog.key, now)
            if backlog.next_due <= now:
                self._want(backlog)

    def turns(self, now: float, *, may: Callable[[ports.LaneKey], bool]) -> Sequence[Turn]:
        """Return the backlogs to be claimed from now; each is claiming until it is `answered` or `gave_up`.

        Args:
            now: Seconds of the monotonic clock.
            may: Whether an organization's may be; those that may not are passed over until `reopen`.
        """
        for due in self._due.due(now):
            self._want(due)
        found: list[Turn] = []
        passed: list[Backlog] = []
        while len(found) < _AT_ONCE and (backlog := self._take()) is not None:
            if backlog.is_claiming or backlog.weight_bytes * 2 > self._share_bytes or not may(backlog.key.lane):
                continue
            room_bytes = min(self._share_bytes - backlog.weight_bytes, self._free_bytes)
            if room_bytes < self._least_bytes:
                passed.append(backlog)
                break
            backlog.is_claiming = True
            self._reserved_bytes += room_bytes
            found.append(Turn(backlog=backlog, room_bytes=room_bytes, rung=backlog.rung))
        for backlog in passed:
            self._want(backlog, first=True)
        return found

    def excess(self) -> tuple[str, int] | None:
        """Return of which namespace how much is to be unclaimed, for the next one to be let in; None for nothing.

        That is so where the active set is full, and a namespace that waits has less than an even share of it.
        """
        if self._free_bytes >= self._least_bytes or not self._wanted:
            return None
        (largest, charged), *_ = self._charged.most_common(1) or [("", 0)]
        share_bytes = self._total_bytes // len(self._charged.keys() | self._wanted.keys())
        claimant = next((uid for uid in self._wanted if self._charged[uid] < share_bytes), None)
        if claimant is None or charged <= share_bytes:
            return None
        self._wanted.move_to_end(claimant, last=False)
        return largest, min(self._share_bytes, charged - share_bytes)

    def answered(self, turn: Turn, next_due: float | None, *, is_whole: bool) -> None:
        """Note what the queue said.

        Args:
            next_due: When the first is due that was left of what was asked for; None if nothing was.
            is_whole: Whether it was asked for whatever has no final state.
        """
        backlog = turn.backlog
        self._end(turn)
        backlog.is_kept = not is_whole
        if backlog.rung != turn.rung:
            # What was said to be there meanwhile is not in the answer.
            self._want(backlog)
            return
        backlog.next_due = float("inf")
        self._due.remove(backlog)
        if next_due is not None:
            self.ring(backlog.key, next_due)
        self._drop(backlog)

    def gave_up(self, turn: Turn, *, until: float) -> None:
        """Note that the queue did not answer; it is asked again at a time."""
        self._end(turn)
        turn.backlog.next_due = float("inf")
        self.ring(turn.backlog.key, until)

    def enter(self, key: ports.BacklogKey, weight_bytes: int) -> None:
        """Note that a recipient is in memory."""
        backlog = self._lanes[key.lane][key]
        backlog.active += 1
        self._charge(backlog, weight_bytes)

    def leave(self, key: ports.BacklogKey, weight_bytes: int, *, now: float) -> None:
        """Note that a recipient is in memory no longer."""
        backlog = self._lanes[key.lane][key]
        backlog.active -= 1
        self._charge(backlog, -weight_bytes)
        if backlog.next_due <= now:
            self._want(backlog)
        self._drop(backlog)

    def next_event(self, now: float) -> float | None:
        """Return when `turns` has something next."""
        return now if self._wanted and self._free_bytes >= self._least_bytes else self._due.next_at()

    def correct(self, known: dict[ports.BacklogKey, float], *, since: dict[Backlog, int]) -> None:
        """Bring in line with the queue what is known here: a bell may be lost, and what is empty is forgotten.

        Args:
            known: Every backlog of the queue, and when its first recipient is due, claimed or not.
            since: Each backlog here, with how often it had been rung before the queue was asked.
        """
        for key, at in known.items():
            backlog = self._lanes.get(key.lane, {}).get(key)
            # What is due first may be in memory: then the next claim says when the rest is.
            if backlog is None or (not backlog.is_claiming and at < backlog.next_due):
                self.ring(key, at)
        for backlog, rung in since.items():
            if backlog.key not in known and backlog.rung == rung and not backlog.is_claiming:
                backlog.next_due, backlog.is_kept = float("inf"), False
                self._due.remove(backlog)
                self._drop(backlog)

    @property
    def _free_bytes(self) -> int:
        return self._total_bytes - self._used_bytes - self._reserved_bytes

    def _want(self, backlog: Backlog, *, first: bool = False) -> None:
        uid = backlog.key.lane.namespace_uid
        self._wanted.setdefault(uid, {})[backlog] = None
        if first:
            self._wanted.move_to_end(uid, last=False)

    def _take(self) -> Backlog | None:
        """Return the next backlog, in turns of namespaces."""
        if not self._wanted:
            return None
        uid, backlogs = next(iter(self._wanted.items()))
        backlog = next(iter(backlogs))
        del backlogs[backlog]
        if backlogs:
            self._wanted.move_to_end(uid)
        else:
            del self._wanted[uid]
        return backlog

    def _end(self, turn: Turn) -> None:
        turn.backlog.is_claiming = False
        self._reserved_bytes -= turn.room_bytes

    def _charge(self, backlog: Backlog, weight_bytes: int) -> None:
        uid = backlog.key.lane.namespace_uid
        backlog.weight_bytes += weight_bytes
        self._used_bytes += weight_bytes
        self._charged[uid] += weight_bytes
        if not self._charged[uid]:
            del self._charged[uid]

    def _drop(self, backlog: Backlog) -> None:
        if not backlog.is_empty:
            return
        self._due.remove(backlog)
        lane = self._lanes.get(backlog.key.lane, {})
        if lane.get(backlog.key) is backlog:
            del lane[backlog.key]
            if not lane:
                del self._lanes[backlog.key.lane]
        wanted = self._wanted.get(backlog.key.lane.namespace_uid, {})
        wanted.pop(backlog, None)
        if not wanted:
            self._wanted.pop(backlog.key.lane.namespace_uid, None)
