"""Whose turn it is at each destination: namespaces in rounds, then a namespace's organizations, then their lanes; pure.

An organization takes part where it has something ready and waits for nothing. A namespace that has used up its rate
waits as a whole, outside of the rotation: a hundred organizations that wait for one message a second are not asked each
second.
"""

from collections.abc import Callable, Hashable, Iterator, Sequence
from collections.abc import Set as AbstractSet

from mailtier.api import timers
from mailtier.sender.scheduling import in_use, lanes, rotation


class Rounds:
    """Rotations of all destinations. Times are seconds of a monotonic clock.

    Args:
        connections: Returns how many connections a destination may have.

    Attributes:
        in_use: How many connections of each destination its namespaces use.
    """

    def __init__(self, connections: Callable[[Hashable], int]) -> None:
        self.in_use = in_use.ConnectionsInUse(connections)
        self._rotations: dict[Hashable, rotation.Rotation[str, lanes.ReadyNamespace]] = {}
        # Those that take part again at a time: rates or holds keep all of theirs back until then.
        self._waiting = timers.Timers[lanes.OrganizationLanes | lanes.ReadyNamespace]()
        # Of each namespace those of its parts that wait for its rate, by destination.
        self._rate_waits = _RateWaits()
        self._touched: set[Hashable] = set()

    def enter(self, organization: lanes.OrganizationLanes) -> None:
        """Let an organization take part where it is directed to, if it has something ready: `pick` sees if it waits."""
        self._waiting.remove(organization)
        self._join(organization)

    def leave(self, organization: lanes.OrganizationLanes) -> None:
        """Let an organization take no part."""
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

    def advance(self, now: float) -> None:
        """Let in whose rates or waits have passed."""
        for waited in self._waiting.due(now):
            if isinstance(waited, lanes.ReadyNamespace):
                self.end_rate_waits(waited.uid)
            else:
                self._join(waited)

    def next_event(self) -> float | None:
        """Return when `advance` has something to do next."""
        return self._waiting.next_at()

    def take_touched(self) -> set[Hashable]:
        """Return the destinations for which something became ready since this was asked last."""
        touched, self._touched = self._touched, set()
        return touched

    def has_ready(self, destination: Hashable) -> bool:
        """Return whether something may be ready for a destination."""
        return destination in self._rotations

    def pick(self, destination: Hashable, now: float) -> lanes.LaneEntry | None:
        """Take the entry whose turn it is out of its lane, and return it; None if there is none."""
        namespaces = self._rotations.get(destination)
        while namespaces and (namespace := namespaces.turn(self.in_use.sated(destination, namespaces.keys()))):
            organization = namespace.organizations.turn()
            if organization is None:
                namespaces.remove(namespace.uid)
                continue
            if (allowed_at := organization.namespace_allowed_at(now)) > now:
                namespaces.remove(namespace.uid)
                self._rate_waits.add(namespace)
                self._waiting.set(namespace, allowed_at)
                continue
            picked = organization.pick(now)
            if isinstance(picked, lanes.LaneEntry):
                return picked
            namespace.organizations.remove(organization.key.organization)
            if picked is not None:
                self._waiting.set(organization, picked)
        self._rotations.pop(destination, None)
        return None

    def pick_another(self, entry: lanes.LaneEntry, destination: Hashable, now: float) -> lanes.LaneEntry | None:
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
        return picked if isinstance(picked, lanes.LaneEntry) else None

    def has_others(self, entry: lanes.LaneEntry, destination: Hashable) -> bool:
        """Return whether other organizations than an entry's have something ready for a destination."""
        organizations = (one for namespace in self._rotations.get(destination, ()) for one in namespace.organizations)
        return any(one is not entry.organization and one.has_ready for one in organizations)

    def charge(self, organization: lanes.OrganizationLanes, of_namespace: float, of_organization: float) -> None:
        """Charge an organization and its namespace seconds of their destination's connections."""
        key = organization.key
        # Also where its namespace waits for its rate meanwhile: its organizations take turns there.
        if (namespace := self._find(organization)) is not None:
            namespace.organizations.charge(key.organization, of_organization)
        if (namespaces := self._rotations.get(organization.destination)) is not None:
            namespaces.charge(key.namespace_uid, of_namespace)

    def end_rate_waits(self, namespace_uid: str) -> None:
        """Let a namespace take part again wherever it waits for its rate: `pick` sees whether it still does."""
        for namespace in self._rate_waits.of(namespace_uid):
            self._end_rate_wait(namespace)
            self._add(namespace)

    def waits_for_rate(self, organization: lanes.OrganizationLanes) -> bool:
        """Return whether an organization waits for its namespace's rate."""
        return self._rate_waits.find(organization.key.namespace_uid, organization.destination) is not None

    def waiting_for_rate(self) -> int:
        """Return how many organizations have messages that wait for their namespace's rate."""
        return sum(len(part.organizations) for part in self._rate_waits)

    def ready_namespaces(self, destination: Hashable) -> AbstractSet[str]:
        """Return the uids of the namespaces that have messages whose turn may come at a destination."""
        return {namespace.uid for namespace in self._rotations.get(destination, ())}

    def ready_organizations(self, destination: Hashable) -> int:
        """Return how many organizations have messages whose turn may come at a destination."""
        return sum(len(namespace.organizations) for namespace in self._rotations.get(destination, ()))

    def _join(self, organization: lanes.OrganizationLanes) -> None:
        destination = organization.destination
        if destination is None or not organization.has_ready:
            return
        namespace = self._find(organization)
        if namespace is None:
            namespace = lanes.ReadyNamespace(organization.key.namespace_uid, destination)
            self._add(namespace)
        namespace.organizations.add(organization.key.organization, organization)
        self._touched.add(destination)

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

    def _end_rate_wait(self, namespace: lanes.ReadyNamespace) -> None:
        self._waiting.remove(namespace)
        self._rate_waits.remove(namespace)


class _RateWaits:
    """The parts of namespaces that wait for their rate, by destination."""

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
