"""The active set: what is in memory, when it is due, and what it waits for; pure, in virtual or real time.

Every destination has a rotation of its own (`rounds`), so that a dead one delays nobody but its users: it is not asked.
Each message costs constant time, and the logarithm of a heap where it has to wait.
"""

import collections
from collections.abc import Callable, Hashable, Iterator
from typing import Final

from mailtier.api import timers
from mailtier.sender import ports
from mailtier.sender.scheduling import lanes, limiter, refusals, rotation, rounds, waits

_RATES_COUNT_SECONDS: Final = 120.0
_UNBOUNDED: Final = 1_000_000
_KNOWN: Final = 20_000
"""Recipients in the queue of which something is known that only memory knows; the oldest is forgotten first."""


class Schedule:
    """The active set: recipients that are claimed. Times are seconds of a monotonic clock.

    Args:
        connections: Returns how many connections a destination may have.
        sent_until: Until when an earlier process may have used up the rates; None where there was none.

    Attributes:
        rounds: Whose turn it is.
    """

    def __init__(
        self,
        connections: Callable[[Hashable], int] = lambda _destination: _UNBOUNDED,
        *,
        sent_until: float | None = None,
    ) -> None:
        self.rounds = rounds.Rounds(connections)
        self._sent_until = sent_until
        self._organizations: dict[ports.LaneKey, lanes.OrganizationLanes] = {}
        self._entries: dict[int, lanes.LaneEntry] = {}
        self._due = timers.Timers[lanes.LaneEntry]()
        self._expiring = timers.Timers[lanes.LaneEntry]()
        # By the namespace's uid: what it sent.
        self._meters: dict[str, limiter.Meter] = {}
        # What is known of recipients that went back into the queue: how often a server broke off at them, and so on.
        self._known: collections.OrderedDict[int, tuple[refusals.Losses, int]] = collections.OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, recipient_number: int) -> bool:
        return recipient_number in self._entries

    def organization(self, key: ports.LaneKey) -> lanes.OrganizationLanes | None:
        """Return an organization that has or had messages; None if it is not known."""
        return self._organizations.get(key)

    def organizations(self) -> Iterator[lanes.OrganizationLanes]:
        """Yield every organization that is known."""
        yield from self._organizations.values()

    def open(self, key: ports.LaneKey) -> lanes.OrganizationLanes:
        """Return an organization, made known if it was not; it waits until `direct` names a destination."""
        organization = self._organizations.get(key)
        if organization is None:
            shared = self._meters.setdefault(key.namespace_uid, limiter.Meter(self._sent_until))
            organization = lanes.OrganizationLanes(key, limiter.Meter(self._sent_until), shared)
            self._organizations[key] = organization
        return organization

    def add(self, claimed: ports.Claimed, *, due_at: float, expires_at: float) -> lanes.LaneEntry | None:
        """Take a claimed recipient in; None if it is here already."""
        pending = claimed.pending
        if pending.recipient_number in self._entries:
            return None
        organization = self.open(pending.lane)
        entry = lanes.LaneEntry(
            pending=pending, job=claimed.job, payload_bytes=claimed.payload_bytes, organization=organization
        )
        entry.losses, entry.crashes = self._known.pop(pending.recipient_number, (entry.losses, entry.crashes))
        self._entries[pending.recipient_number] = entry
        organization.entries[pending.recipient_number] = entry
        self.watch_expiry(entry, at=expires_at)
        self._wait(entry, due_at)
        return entry

    def direct(self, key: ports.LaneKey, destination: Hashable, *, rates: lanes.Rates = lanes.UNLIMITED) -> None:
        """Let an organization's messages go to a destination; in place of the former, if there was one."""
        organization = self._organizations[key]
        organization.set_rates(rates)
        if organization.destination != destination:
            self.halt(key)
            organization.destination = destination
            organization.wait = None
        self.rounds.enter(organization)
        # It may be another rate.
        self.rounds.end_rate_waits(key.namespace_uid)

    def halt(self, key: ports.LaneKey) -> None:
        """Let an organization's messages go nowhere until `direct` is called; they keep their places."""
        organization = self._organizations[key]
        if organization.destination is None:
            return
        self.rounds.leave(organization)
        organization.destination = None

    def wait(self, entry: lanes.LaneEntry, wait: waits.Wait) -> None:
        """Put an entry back, and let its organization wait: until a time, or until `direct` is called."""
        organization = entry.organization
        organization.wait = wait
        if wait.is_told:
            self.halt(organization.key)
        self.put_back(entry)

    def hold_lane(self, lane: lanes.Lane, wait: waits.Wait) -> None:
        """Hold one lane for a while."""
        lane.wait = wait

    def end_hold(self, entry: lanes.LaneEntry) -> None:
        """End the hold of an entry's lane, if it is held."""
        if entry.lane.wait is not None:
            entry.lane.wait = None
            self.rounds.enter(entry.organization)

    def end_waits(self, key: ports.LaneKey) -> None:
        """End what an organization and its lanes wait for: that has changed."""
        organization = self._organizations.get(key)
        if organization is not None:
            organization.end_waits()
            self.rounds.enter(organization)

    def advance(self, now: float) -> None:
        """Let in what has become due, and organizations whose rates or holds have passed."""
        for entry in self._due.due(now):
            self._make_ready(entry)
        self.rounds.advance(now)

    def next_event(self) -> float | None:
        """Return when `advance` or `expired` has something to do next."""
        firsts = (self._due.next_at(), self._expiring.next_at(), self.rounds.next_event())
        return min((at for at in firsts if at is not None), default=None)

    def expired(self, now: float) -> Iterator[lanes.LaneEntry]:
        """Yield what reaches its expiry by `now`, each once; the caller decides, or calls `watch_expiry` again."""
        return self._expiring.due(now)

    def watch_expiry(self, entry: lanes.LaneEntry, *, at: float) -> None:
        """Have `expired` yield the entry at a time, unless it is final already."""
        if entry.place is not lanes.EntryPlace.GONE:
            self._expiring.set(entry, at)

    def take(self, destination: Hashable, now: float) -> lanes.LaneEntry | None:
        """Take the entry whose turn it is, None if there is none; it is ACTIVE from now on."""
        picked = self.rounds.pick(destination, now)
        return None if picked is None else self._activate(picked, destination, now)

    def take_another(self, entry: lanes.LaneEntry, destination: Hashable, now: float) -> lanes.LaneEntry | None:
        """Take the next entry of the same organization, whosever turn it is; None where none may go."""
        picked = self.rounds.pick_another(entry, destination, now)
        return None if picked is None else self._activate(picked, destination, now)

    def charge(self, entry: lanes.LaneEntry, seconds: float, *, at: Hashable = None, pace_seconds: float = 0.0) -> None:
        """Charge the time for which an entry that was taken kept a connection, in place of what was expected.

        Where a rate bounds what goes, it is the rate that is shared: a message costs no less than that gives it.

        Args:
            entry: It is ACTIVE, or was.
            seconds: How long.
            at: The destination that it was taken for, whose connection is free for another; None where that is so
                already.
            pace_seconds: How long the rate of the server makes a message wait for the one before; 0 without a rate.
        """
        least = max(rotation.QUANTUM_SECONDS, pace_seconds)
        of_namespace = max(seconds, least)
        of_organization = max(of_namespace, entry.organization.pace_seconds)
        expected, entry.expected_seconds = entry.expected_seconds, 0.0
        self.rounds.charge(entry.organization, of_namespace - expected, of_organization - expected)
        if at is not None:
            self.rounds.in_use.give_back(at, entry.organization.key.namespace_uid)
        entry.organization.note_time(seconds)

    def _activate(self, picked: lanes.LaneEntry, destination: Hashable, now: float) -> lanes.LaneEntry:
        organization = picked.organization
        picked.place = lanes.EntryPlace.ACTIVE
        self.rounds.in_use.take(destination, organization.key.namespace_uid)
        organization.taken_at = now
        picked.expected_seconds = organization.usual_seconds
        self.rounds.charge(organization, picked.expected_seconds, picked.expected_seconds)
        return picked

    def defer(self, entry: lanes.LaneEntry, pending: ports.Pending, *, due_at: float) -> None:
        """Let an entry that was taken wait until it is due."""
        entry.pending = pending
        entry.charges = ()
        self._wait(entry, due_at)

    def put_back(self, entry: lanes.LaneEntry) -> None:
        """Let an entry that was taken be the next of its lane again: it was not attempted."""
        entry.place = lanes.EntryPlace.READY
        entry.organization.put_back(entry)
        self.rounds.enter(entry.organization)
        # What it did not use of the namespace's rate another may have.
        self.rounds.end_rate_waits(entry.organization.key.namespace_uid)

    def undo_turn(self, entry: lanes.LaneEntry, *, at: Hashable) -> None:
        """Put an entry back whose turn at a destination was taken early, as if it had not come."""
        self.rounds.in_use.give_back(at, entry.organization.key.namespace_uid)
        expected, entry.expected_seconds = entry.expected_seconds, 0.0
        self.rounds.charge(entry.organization, -expected, -expected)
        self.put_back(entry)

    def remove(self, entry: lanes.LaneEntry) -> None:
        """Forget an entry: its state is final."""
        entry.place = lanes.EntryPlace.GONE
        self._entries.pop(entry.pending.recipient_number, None)
        organization = entry.organization
        organization.entries.pop(entry.pending.recipient_number, None)
        # What is final would otherwise stay in memory until its max age, which is up to a week.
        self._expiring.remove(entry)
        self._due.remove(entry)

    def unclaim(self, entry: lanes.LaneEntry) -> None:
        """Forget an entry that goes on in the queue, but for what only memory knows of it."""
        self.remove(entry)
        if entry.crashes or entry.losses != refusals.NO_LOSSES:
            self._known[entry.pending.recipient_number] = entry.losses, entry.crashes
            if len(self._known) > _KNOWN:
                self._known.popitem(last=False)

    def pop_ready(self, namespace_uid: str) -> Iterator[lanes.LaneEntry]:
        """Take out of their lanes and yield what of a namespace waits for its turn; the caller unclaims it."""
        for organization in self._organizations.values():
            if organization.key.namespace_uid == namespace_uid:
                yield from organization.pop_ready()

    def prune(self, now: float, *, keep: Callable[[ports.LaneKey], bool] = lambda _key: False) -> list[ports.LaneKey]:
        """Forget organizations without messages; return which.

        One whose rates may still count is kept: it would get a fresh minute.

        Args:
            keep: Returns whether there is something in the queue for an organization.
        """
        empty = [
            key
            for key, organization in self._organizations.items()
            if not organization.entries and not keep(key) and organization.taken_at + _RATES_COUNT_SECONDS <= now
        ]
        for key in empty:
            self.rounds.leave(self._organizations.pop(key))
        left = {key.namespace_uid for key in self._organizations}
        self._meters = {uid: meter for uid, meter in self._meters.items() if uid in left}
        return empty

    def awaited_rate(self, key: ports.LaneKey) -> int | None:
        """Return the rate of its namespace that an organization waits for, in messages a minute; None if for none."""
        organization = self._organizations.get(key)
        if organization is None or organization.namespace_limiter is None:
            return None
        return organization.namespace_limiter.per_minute if self.rounds.waits_for_rate(organization) else None

    def _wait(self, entry: lanes.LaneEntry, due_at: float) -> None:
        entry.place = lanes.EntryPlace.WAITING
        self._due.set(entry, due_at)

    def _make_ready(self, entry: lanes.LaneEntry) -> None:
        entry.place = lanes.EntryPlace.READY
        entry.lane.ready.append(entry)
        # What the organization waits for says nothing of this entry's lane: let `take` look again.
        self.rounds.enter(entry.organization)
