"""Whose turn it is of what is in memory: fair turns for each destination; pure, in virtual or real time.

Every destination has a rotation of its own, so that a dead one delays nobody but its users: it is not asked.
Within it, namespaces take turns, then a namespace's organizations, then the classes in their order. Each message
costs constant time, and the logarithm of a heap where it has to wait. A namespace that has used up its rate waits
as a whole, outside of the rotation: a hundred organizations that wait for one message a second are not asked each
second.
"""

import collections
from collections.abc import Callable, Hashable, Iterator
from collections.abc import Set as AbstractSet
from typing import Final

from mailtier.api import timers
from mailtier.sender import ports
from mailtier.sender.scheduling import in_use, lanes, limiter, rate_waits, refusals, rotation

_RATES_COUNT_SECONDS: Final = 120.0
_UNBOUNDED: Final = 1_000_000
_KNOWN: Final = 20_000
"""Recipients in the queue of which something is known that only memory knows; the oldest is forgotten first."""


class Schedule:
    """The active set: recipients that are claimed. Times are seconds of a monotonic clock.

    Args:
        connections: Returns how many connections a destination may have.
    """

    def __init__(self, connections: Callable[[Hashable], int] = lambda _destination: _UNBOUNDED) -> None:
        self.in_use = in_use.ConnectionsInUse(connections)
        self._organizations: dict[ports.LaneKey, lanes.OrganizationLanes] = {}
        self._entries: dict[int, lanes.LaneEntry] = {}
        self._rotations: dict[Hashable, rotation.Rotation[str, lanes.ReadyNamespace]] = {}
        self._due = timers.Timers[lanes.LaneEntry]()
        self._expiring = timers.Timers[lanes.LaneEntry]()
        # Those that take part again at a time: rates or holds keep all of theirs back until then.
        self._waiting = timers.Timers[lanes.OrganizationLanes | lanes.ReadyNamespace]()
        # By the namespace's uid: what it sent, and those of its parts that wait for its rate, by destination.
        self._meters: dict[str, limiter.Meter] = {}
        self._rate_waits = rate_waits.RateWaits()
        self._touched: set[Hashable] = set()
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
            meter = self._meters.setdefault(key.namespace_uid, limiter.Meter())
            organization = self._organizations[key] = lanes.OrganizationLanes(key, meter)
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
            self.wait(key)
            organization.destination = destination
            organization.wait = lanes.NO_WAIT
        self._waiting.remove(organization)
        self._join(organization)
        # It may be another rate: let `take` look again.
        self._end_rate_waits(key.namespace_uid)

    def wait(self, key: ports.LaneKey) -> None:
        """Let an organization's messages wait until `direct` is called; they keep their places."""
        organization = self._organizations[key]
        if organization.destination is None:
            return
        self._leave(organization)
        organization.destination = None

    def hold_lane(self, lane: lanes.Lane, wait: lanes.Wait) -> None:
        """Hold one lane for a while."""
        lane.wait = wait

    def end_hold(self, entry: lanes.LaneEntry) -> None:
        """End the hold of an entry's lane, if it is held."""
        if entry.lane.wait is not lanes.NO_WAIT:
            entry.lane.wait = lanes.NO_WAIT
            self._waiting.remove(entry.organization)
            self._join(entry.organization)

    def wait_until(self, entry: lanes.LaneEntry, wait: lanes.Wait) -> None:
        """Put an entry back, and let its organization wait for a while."""
        entry.organization.wait = wait
        self.put_back(entry)

    def end_waits(self, key: ports.LaneKey) -> None:
        """End what an organization and its lanes wait for: that has changed."""
        organization = self._organizations.get(key)
        if organization is not None:
            organization.end_waits()
            self._waiting.remove(organization)
            self._join(organization)

    def held_lanes(self, now: float) -> Iterator[lanes.Lane]:
        """Yield the lanes that are held."""
        for organization in self._organizations.values():
            yield from organization.held(now)

    def advance(self, now: float) -> None:
        """Let in what has become due, and organizations whose rates or holds have passed."""
        for entry in self._due.due(now):
            self._make_ready(entry)
        for waited in self._waiting.due(now):
            if isinstance(waited, lanes.ReadyNamespace):
                self._end_rate_waits(waited.uid)
            else:
                self._join(waited)

    def next_event(self) -> float | None:
        """Return when `advance` or `expired` has something to do next."""
        firsts = (self._due.next_at(), self._expiring.next_at(), self._waiting.next_at())
        return min((at for at in firsts if at is not None), default=None)

    def expired(self, now: float) -> Iterator[lanes.LaneEntry]:
        """Yield what reaches its expiry by `now`, each once; the caller decides, or calls `watch_expiry` again."""
        return self._expiring.due(now)

    def watch_expiry(self, entry: lanes.LaneEntry, *, at: float) -> None:
        """Have `expired` yield the entry at a time, unless it is final already."""
        if entry.place is not lanes.EntryPlace.GONE:
            self._expiring.set(entry, at)

    def take_touched(self) -> set[Hashable]:
        """Return the destinations for which something became ready since this was asked last."""
        touched, self._touched = self._touched, set()
        return touched

    def has_ready(self, destination: Hashable) -> bool:
        """Return whether something may be ready for a destination."""
        return destination in self._rotations

    def take(self, destination: Hashable, now: float) -> lanes.LaneEntry | None:
        """Take the entry whose turn it is, None if there is none; it is ACTIVE from now on."""
        namespaces = self._rotations.get(destination)
        while namespaces and (namespace := namespaces.turn(self.in_use.sated(destination, namespaces.keys()))):
            organization = namespace.organizations.turn()
            if organization is None:
                namespaces.remove(namespace.uid)
                continue
            if (allowed_at := organization.namespace_allowed_at(now)) > now:
                namespaces.remove(namespace.uid)
                self._wait_for_rate(namespace, until=allowed_at)
                continue
            picked = organization.pick(now)
            if isinstance(picked, lanes.LaneEntry):
                return self._activate(picked, destination, now)
            namespace.organizations.remove(organization.key.organization)
            if picked is not None:
                self._waiting.set(organization, picked)
        self._rotations.pop(destination, None)
        return None

    def take_another(self, entry: lanes.LaneEntry, destination: Hashable, now: float) -> lanes.LaneEntry | None:
        """Take the next entry of the same organization, whosever turn it is; None where none may go."""
        organization, key = entry.organization, entry.organization.key
        namespaces = self._rotations.get(destination)
        namespace = namespaces.get(key.namespace_uid) if namespaces else None
        if not namespaces or not namespace or namespace.organizations.get(key.organization) is not organization:
            return None
        is_sated = namespace.uid in self.in_use.sated(destination, namespaces.keys())
        if is_sated or organization.namespace_allowed_at(now) > now:
            return None
        picked = organization.pick(now)
        return self._activate(picked, destination, now) if isinstance(picked, lanes.LaneEntry) else None

    def has_others(self, entry: lanes.LaneEntry, destination: Hashable) -> bool:
        """Return whether other organizations than an entry's have something ready for a destination."""
        organizations = (one for namespace in self._rotations.get(destination, ()) for one in namespace.organizations)
        return any(one is not entry.organization and one.has_ready for one in organizations)

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
        self._take_credit(entry, of_namespace - expected, of_organization - expected)
        if at is not None:
            self.in_use.give_back(at, entry.organization.key.namespace_uid)
        entry.organization.note_time(seconds)

    def _activate(self, picked: lanes.LaneEntry, destination: Hashable, now: float) -> lanes.LaneEntry:
        organization = picked.organization
        picked.place = lanes.EntryPlace.ACTIVE
        self.in_use.take(destination, organization.key.namespace_uid)
        organization.taken_at = now
        picked.expected_seconds = organization.usual_seconds
        self._take_credit(picked, picked.expected_seconds, picked.expected_seconds)
        return picked

    def _take_credit(self, entry: lanes.LaneEntry, of_namespace: float, of_organization: float) -> None:
        """Charge an entry's namespace and organization seconds of a destination's connections."""
        key = entry.organization.key
        # Also where its namespace waits for its rate meanwhile: its organizations take turns there.
        if (namespace := self._find(entry.organization)) is not None:
            namespace.organizations.charge(key.organization, of_organization)
        if (namespaces := self._rotations.get(entry.organization.destination)) is not None:
            namespaces.charge(key.namespace_uid, of_namespace)

    def defer(self, entry: lanes.LaneEntry, pending: ports.Pending, *, due_at: float) -> None:
        """Let an entry that was taken wait until it is due."""
        entry.pending = pending
        entry.charges = ()
        self._wait(entry, due_at)

    def put_back(self, entry: lanes.LaneEntry) -> None:
        """Let an entry that was taken be the next of its lane again: it was not attempted."""
        entry.place = lanes.EntryPlace.READY
        entry.organization.put_back(entry)
        self._waiting.remove(entry.organization)
        self._join(entry.organization)
        # What it did not use of the namespace's rate another may have.
        self._end_rate_waits(entry.organization.key.namespace_uid)

    def undo_turn(self, entry: lanes.LaneEntry, *, at: Hashable) -> None:
        """Put an entry back whose turn at a destination was taken early, as if it had not come."""
        self.in_use.give_back(at, entry.organization.key.namespace_uid)
        expected, entry.expected_seconds = entry.expected_seconds, 0.0
        self._take_credit(entry, -expected, -expected)
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
            self._leave(self._organizations.pop(key))
        left = {key.namespace_uid for key in self._organizations}
        self._meters = {uid: meter for uid, meter in self._meters.items() if uid in left}
        return empty

    def awaited_rate(self, key: ports.LaneKey) -> int | None:
        """Return the rate of its namespace that an organization waits for, in messages a minute; None if for none."""
        organization = self._organizations.get(key)
        if organization is None or organization.namespace_limiter is None:
            return None
        is_waiting = self._rate_waits.find(key.namespace_uid, organization.destination) is not None
        return organization.namespace_limiter.per_minute if is_waiting else None

    def waiting_for_rate(self) -> int:
        """Return how many organizations have messages that wait for their namespace's rate."""
        return sum(len(part.organizations) for part in self._rate_waits)

    def ready_namespaces(self, destination: Hashable) -> AbstractSet[str]:
        """Return the uids of the namespaces that have messages whose turn may come at a destination."""
        return {namespace.uid for namespace in self._rotations.get(destination, ())}

    def ready_organizations(self, destination: Hashable) -> int:
        """Return how many organizations have messages whose turn may come at a destination."""
        return sum(len(namespace.organizations) for namespace in self._rotations.get(destination, ()))

    def _wait(self, entry: lanes.LaneEntry, due_at: float) -> None:
        entry.place = lanes.EntryPlace.WAITING
        self._due.set(entry, due_at)

    def _make_ready(self, entry: lanes.LaneEntry) -> None:
        entry.place = lanes.EntryPlace.READY
        entry.lane.ready.append(entry)
        # What the organization waits for says nothing of this entry's lane: let `take` look again.
        self._waiting.remove(entry.organization)
        self._join(entry.organization)

    def _join(self, organization: lanes.OrganizationLanes) -> None:
        destination = organization.destination
        if destination is None:
            return
        if organization in self._waiting or not organization.has_ready:
            return
        namespace = self._find(organization)
        if namespace is None:
            namespace = lanes.ReadyNamespace(organization.key.namespace_uid, destination)
            self._add(namespace)
        namespace.organizations.add(organization.key.organization, organization)
        self._touched.add(destination)

    def _leave(self, organization: lanes.OrganizationLanes) -> None:
        self._waiting.remove(organization)
        namespace = self._find(organization)
        if namespace is None:
            return
        namespace.organizations.remove(organization.key.organization)
        if namespace.organizations:
            return
        self._end_rate_wait(namespace)
        namespaces = self._rotations.get(namespace.destination)
        if namespaces is not None:
            namespaces.remove(namespace.uid)
            if not namespaces:
                del self._rotations[namespace.destination]

    def _find(self, organization: lanes.OrganizationLanes) -> lanes.ReadyNamespace | None:
        """Return the part of its namespace that has something ready for the same destination, or waits there."""
        uid, destination = organization.key.namespace_uid, organization.destination
        if (waiting := self._rate_waits.find(uid, destination)) is not None:
            return waiting
        namespaces = self._rotations.get(destination)
        return namespaces.get(uid) if namespaces else None

    def _add(self, namespace: lanes.ReadyNamespace) -> None:
        """Let a namespace take part at its destination, after all others."""
        namespaces = self._rotations.get(namespace.destination)
        if namespaces is None:
            namespaces = self._rotations[namespace.destination] = rotation.Rotation()
        namespaces.add(namespace.uid, namespace)
        self._touched.add(namespace.destination)

    def _wait_for_rate(self, namespace: lanes.ReadyNamespace, *, until: float) -> None:
        """Let a namespace wait for its rate, outside of the rotation."""
        self._rate_waits.add(namespace)
        self._waiting.set(namespace, until)

    def _end_rate_wait(self, namespace: lanes.ReadyNamespace) -> None:
        self._waiting.remove(namespace)
        self._rate_waits.remove(namespace)

    def _end_rate_waits(self, uid: str) -> None:
        """Let a namespace take part again wherever it waits for its rate."""
        for namespace in self._rate_waits.of(uid):
            self._end_rate_wait(namespace)
            self._add(namespace)
