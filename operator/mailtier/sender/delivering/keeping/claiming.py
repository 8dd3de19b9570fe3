"""Between the queue and the active set: what is claimed, what goes back, and what stays in the queue."""

import dataclasses
import datetime as dt
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Final

from mailtier.api import patience, vocabulary
from mailtier.mail import states
from mailtier.sender import clock, ports
from mailtier.sender.scheduling import backlogs, lanes, schedule
from mailtier.telemetry import logs

_EXPIRED_AT_ONCE: Final = 500
_RETURNED: Final = dt.timedelta(seconds=5)
"""How long what could not be taken is left in the queue."""

_log = logs.get_logger(__name__)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class WantedRecipients:
    """What is wanted of an organization's backlogs.

    Attributes:
        due_by: Aware UTC time; None: whatever its time.
        states: In which recipients are wanted.
        limit: So many of a backlog at once; None for as many as there is room for.
    """

    due_by: dt.datetime | None
    states: AbstractSet[vocabulary.RecipientState] = states.UNFINISHED
    limit: int | None = None

    @property
    def is_whole(self) -> bool:
        """Whether every state is wanted."""
        return self.states == states.UNFINISHED


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ClaimOrder:
    """A turn of a backlog, and what is wanted of it."""

    turn: backlogs.Turn
    wanted: WantedRecipients


class Claimer:
    """Fills the active set, and unclaims what leaves it for the queue.

    Args:
        queue: What is claimed from.
        waiting: The active set.
        known: Its books.
        time: Clocks.
    """

    def __init__(
        self, queue: ports.DeliveryQueue, *, waiting: schedule.Schedule, known: backlogs.Backlogs, time: clock.Clock
    ) -> None:
        self._queue = queue
        self._schedule = waiting
        self._backlogs = known
        self._clock = time
        # What the monotonic clock is behind the wall clock's seconds, as of the last claim.
        self._behind_seconds = self._look_at_clocks()

    def ring(self, key: ports.BacklogKey, due_at: dt.datetime) -> None:
        """Note that something is in the queue."""
        self._backlogs.ring(key, self._at(key.category, due_at))

    def reopen(self, lane: ports.LaneKey, *, anew: bool) -> None:
        """Let an organization's backlogs have their turns; anew where something else is wanted of them than before."""
        self._backlogs.reopen(lane, now=self._clock.monotonic(), anew=anew)

    def namespaces(self) -> set[str]:
        """Return the uids of the namespaces for which something is queued."""
        return {backlog.key.lane.namespace_uid for backlog in self._backlogs}

    def has(self, lane: ports.LaneKey) -> bool:
        """Return whether something is queued for an organization."""
        return lane in self._backlogs

    async def correct(self) -> Sequence[ports.LaneKey]:
        """Read which backlogs there are, forget others, and return the organizations of those that there are."""
        since = {backlog: backlog.rung for backlog in self._backlogs}
        found = await self._queue.backlogs({category: self._beyond(category) for category in vocabulary.Category})
        known = {key: self._at(key.category, due_at) for key, due_at in found.items()}
        self._backlogs.correct(known, since=since)
        return list(dict.fromkeys(key.lane for key in found))

    def orders(self, now: float, wanted: Callable[[ports.LaneKey], WantedRecipients | None]) -> Sequence[ClaimOrder]:
        """Return what is to be claimed now.

        Args:
            now: Seconds of the monotonic clock.
            wanted: Returns what is wanted of an organization's backlogs; None for nothing, until they are reopened.
        """
        found: dict[ports.LaneKey, WantedRecipients | None] = {}

        def may(lane: ports.LaneKey) -> bool:
            if lane not in found:
                found[lane] = wanted(lane)
            return found[lane] is not None

        if (excess := self._backlogs.excess()) is not None:
            self._make_room(*excess)
        turns = self._backlogs.turns(now, may=may)
        return [
            ClaimOrder(turn=turn, wanted=wish) for turn in turns if (wish := found[turn.backlog.key.lane]) is not None
        ]

    def next_event(self, now: float) -> float | None:
        """Return when there is something to be claimed."""
        return self._backlogs.next_event(now)

    async def claim(self, orders: Sequence[ClaimOrder]) -> Sequence[ports.Claimed]:
        """Return what was claimed; it is to be taken in, settled, or unclaimed."""
        demands = [
            ports.Demand(
                backlog=order.turn.backlog.key,
                due_by=order.wanted.due_by,
                due_from=self._beyond(order.turn.backlog.key.category),
                states=order.wanted.states,
                limit=order.wanted.limit or self._backlogs.room(order.turn),
                limit_bytes=order.turn.room_bytes,
            )
            for order in orders
        ]
        claimed: Sequence[ports.Claimed] = ()
        try:
            claims = await self._queue.claim(demands)
            claimed = claims.claimed
            self._behind_seconds = self._look_at_clocks()
            times = [self._next_at(order, claims.next_due) for order in orders]
        except BaseException:
            self._queue.unclaim([each.pending.recipient_number for each in claimed])
            again_at = self._clock.monotonic() + 1.0
            for order in orders:
                self._backlogs.gave_up(order.turn, until=again_at)
            raise
        for order, at in zip(orders, times, strict=True):
            self._backlogs.answered(order.turn, at, is_whole=order.wanted.is_whole)
        return claimed

    async def claim_expired(self) -> tuple[Sequence[ports.Pending], dt.datetime | None]:
        """Return what reached its max age in the queue, to be settled, and when there is more of that."""
        now = self._clock.wall()
        found, next_at = await self._queue.claim_expired(now=now, limit=_EXPIRED_AT_ONCE)
        return found, now if len(found) == _EXPIRED_AT_ONCE else next_at

    async def claim_these(self, recipient_numbers: Sequence[int]) -> Sequence[ports.Pending]:
        """Return those of some recipients that are in the queue alone, to be settled or unclaimed."""
        return await self._queue.claim_these(recipient_numbers)

    def hand_on(self, pending: ports.Pending, take: Callable[[], None]) -> bool:
        """Have taken what was claimed; return whether it was.

        Else it goes back for a moment: claimed and in no memory, it would be nobody's until the process ends.
        """
        try:
            take()
        except Exception:  # noqa: BLE001 - whatever it is, those that were claimed with it are taken.
            _log.exception("what was claimed could not be taken", recipient_number=pending.recipient_number)
            if pending.recipient_number not in self._schedule:
                self.unclaim_pending(pending, self._clock.wall() + _RETURNED)
            return False
        return True

    async def hasten(self, lane: ports.LaneKey) -> int:
        """Have the deferred recipients of an organization be due now; return how many were not."""
        hastened = await self._queue.hasten(lane, now=self._clock.wall())
        if hastened:
            self.reopen(lane, anew=True)
        return hastened

    def take_in(self, claimed: ports.Claimed) -> None:
        """Let what was claimed wait for its turn in memory."""
        pending = claimed.pending
        # By one look at the clocks: what is due at the same moment keeps its order.
        entry = self._schedule.add(
            claimed,
            due_at=self._explained(pending.category, pending.due_at.timestamp() - self._behind_seconds),
            expires_at=pending.expires_at.timestamp() - self._behind_seconds,
        )
        if entry is not None:
            # It may be forgotten meanwhile, where nothing else was left of it.
            self._backlogs.ring(entry.backlog, float("inf"))
            self._backlogs.enter(entry.backlog, self._weight(entry))

    def end(self, entry: lanes.LaneEntry) -> None:
        """Forget an entry whose final state is about to be stored; its claim ends with that."""
        self._schedule.remove(entry)
        self._leave(entry)

    def unclaim(self, entry: lanes.LaneEntry, due_at: dt.datetime) -> None:
        """Let an entry go on in the queue, where it is due at a time."""
        self._schedule.unclaim(entry)
        self.unclaim_pending(entry.pending, due_at)
        self._leave(entry)

    def unclaim_pending(self, pending: ports.Pending, due_at: dt.datetime) -> None:
        """End the claim of a recipient that is not final, and is due at a time."""
        self._queue.unclaim((pending.recipient_number,))
        self.ring(ports.BacklogKey(lane=pending.lane, category=pending.category), due_at)

    def unclaim_ready(self, organization: lanes.OrganizationLanes) -> None:
        """Unclaim what of an organization waits for its turn: it may wait for long."""
        self._unclaim_all(organization.pop_ready())

    def _make_room(self, namespace_uid: str, weight_bytes: int) -> None:
        entries = self._schedule.pop_ready(namespace_uid)
        least = self._backlogs.weight(0)
        freed_bytes = 0
        while freed_bytes < weight_bytes and (entry := next(entries, None)) is not None:
            freed_bytes += max(self._weight(entry), least)
            self._unclaim_all((entry,))

    def _unclaim_all(self, entries: Iterable[lanes.LaneEntry]) -> None:
        for entry in entries:
            self.unclaim(entry, entry.pending.due_at)

    def _next_at(self, order: ClaimOrder, next_due: Mapping[ports.BacklogKey, dt.datetime | None]) -> float | None:
        """Return when there is more of what was asked for, on the monotonic clock."""
        due_at = next_due[order.turn.backlog.key]
        if due_at is None:
            return None
        # Where whatever there is was wanted, what is left is wanted now.
        return (
            self._clock.monotonic()
            if order.wanted.due_by is None
            else self._at(order.turn.backlog.key.category, due_at)
        )

    def _beyond(self, category: vocabulary.Category) -> dt.datetime:
        """Return from when on nothing waits: what is due then was stored by another time."""
        return self._clock.wall() + patience.POLICIES[category].longest_wait

    def _at(self, category: vocabulary.Category, due_at: dt.datetime) -> float:
        """Return when something is due, on the monotonic clock; what no wait explains is due now."""
        return self._explained(category, self._clock.monotonic_at(due_at))

    def _explained(self, category: vocabulary.Category, at: float) -> float:
        now = self._clock.monotonic()
        return at if at - now < patience.POLICIES[category].longest_wait.total_seconds() else now

    def _leave(self, entry: lanes.LaneEntry) -> None:
        self._backlogs.leave(entry.backlog, self._weight(entry), now=self._clock.monotonic())

    def _look_at_clocks(self) -> float:
        return self._clock.wall().timestamp() - self._clock.monotonic()

    def _weight(self, entry: lanes.LaneEntry) -> int:
        return self._backlogs.weight(entry.payload_bytes)
