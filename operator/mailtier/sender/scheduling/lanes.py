"""What was claimed and waits for its turn: recipients in lanes, lanes in organizations, organizations in namespaces.

A lane is organization x class. It keeps its order, and can be held alone; rates are the organization's. The scheduler
(`schedule`) decides whose turn it is; nothing here knows of connections.
"""

import collections
import dataclasses
import enum
from collections.abc import Hashable, Iterator
from typing import Final

from mailtier.api import vocabulary
from mailtier.sender import ports
from mailtier.sender.scheduling import limiter, refusals, rotation, waits
from mailtier.settings import effective


class LaneClass(enum.IntEnum):
    """The classes of an organization's messages, most urgent first. They order within the organization only."""

    PASSWORD = 0
    ALERT = 1
    LICENSE = 2
    UPDATE = 3


CLASSES: Final = {
    vocabulary.Category.PASSWORD_RECOVERY: LaneClass.PASSWORD,
    vocabulary.Category.JOB_ALERT: LaneClass.ALERT,
    vocabulary.Category.ROBOT_ALERT: LaneClass.ALERT,
    vocabulary.Category.LICENSE_STATUS: LaneClass.LICENSE,
    vocabulary.Category.PRODUCT_UPDATE: LaneClass.UPDATE,
}


_EXPECTED_SECONDS: Final = 1.0
"""The longest time that is charged before it has passed: one message that hangs says little of the next."""


def organization_of(key: ports.LaneKey) -> effective.OrganizationKey:
    """Return the organization that a lane key belongs to."""
    return effective.OrganizationKey(namespace=key.namespace, name=key.organization)


class EntryPlace(enum.Enum):
    """Where an entry is."""

    WAITING = enum.auto()
    """Its time has not come."""
    READY = enum.auto()
    """In its lane."""
    ACTIVE = enum.auto()
    """Being attempted, or its outcome being stored."""
    GONE = enum.auto()
    """Out of the scheduler's hands; its lane may still name it."""


@dataclasses.dataclass(slots=True, eq=False)
class LaneEntry:
    """One recipient in memory.

    Attributes:
        pending: What the queue says of it, replaced when that changes.
        job: What its message is built from, as it was claimed.
        payload_bytes: Of its notification.
        crashes: How often building its message crashed.
        losses: How often the server broke off at it.
        id_domain: Of the Message-ID that it was built with last.
        charges: What the rates took for it when it was picked last, until it is clear that it goes.
        expected_seconds: What its turn was charged before it was known how long it takes.
        backlog: The backlog it was claimed from.
        lane: The lane it belongs to.
    """

    pending: ports.Pending
    job: ports.Job
    payload_bytes: int
    organization: "OrganizationLanes"
    place: EntryPlace = EntryPlace.WAITING
    crashes: int = 0
    losses: refusals.Losses = refusals.NO_LOSSES
    id_domain: str | None = None
    charges: tuple[limiter.Charge, ...] = ()
    expected_seconds: float = 0.0
    backlog: ports.BacklogKey = dataclasses.field(init=False)
    lane: "Lane" = dataclasses.field(init=False)

    def __post_init__(self) -> None:
        self.backlog = ports.BacklogKey(lane=self.pending.lane, category=self.pending.category)
        self.lane = self.organization.lane(CLASSES[self.pending.category])


class Lane:
    """The messages of one class of one organization, in the order in which they became due."""

    __slots__ = ("ready", "refusals", "wait")

    def __init__(self) -> None:
        self.ready: collections.deque[LaneEntry] = collections.deque()
        self.wait: waits.Wait | None = None
        self.refusals = refusals.NO_REFUSALS

    def head(self) -> LaneEntry | None:
        """Return the next entry; those that left meanwhile are dropped on the way."""
        while self.ready:
            if self.ready[0].place is EntryPlace.READY:
                return self.ready[0]
            self.ready.popleft()
        return None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """How many messages a minute an organization's settings allow; None without a limit.

    Attributes:
        organization: For itself: `delivery.ratePerMinute`.
        namespace: For all organizations of its namespace together, through the host's endpoint: the host's quota.
    """

    organization: int | None = None
    namespace: int | None = None


UNLIMITED: Final = Rates()


class OrganizationLanes:
    """The lanes of one organization, and the destination that its settings name now.

    Attributes:
        destination: None where its messages go nowhere, or not yet.
        limiter: Its effective ratePerMinute.
        namespace_limiter: The rate that its settings allow its namespace, whose organizations share the meter.
        wait: What all of it waits for; None for nothing.
        taken_at: When a message was taken last.
        usual_seconds: How long one of its messages keeps a connection, as the last ones did.
    """

    __slots__ = (
        "_lanes",
        "_meter",
        "_namespace_meter",
        "destination",
        "entries",
        "key",
        "limiter",
        "namespace_limiter",
        "taken_at",
        "usual_seconds",
        "wait",
    )

    def __init__(self, key: ports.LaneKey, meter: limiter.Meter, namespace_meter: limiter.Meter) -> None:
        self.key = key
        self._meter = meter
        self._namespace_meter = namespace_meter
        self.destination: Hashable | None = None
        self.limiter: limiter.RateLimiter | None = None
        self.namespace_limiter: limiter.RateLimiter | None = None
        self.wait: waits.Wait | None = None
        self.taken_at = float("-inf")
        self.usual_seconds = rotation.QUANTUM_SECONDS
        self.entries: dict[int, LaneEntry] = {}
        self._lanes: dict[LaneClass, Lane] = {}

    def lane(self, lane_class: LaneClass) -> Lane:
        """Return the lane of a class."""
        lane = self._lanes.get(lane_class)
        if lane is None:
            lane = self._lanes[lane_class] = Lane()
        return lane

    def end_waits(self) -> None:
        """End what all of it and its lanes wait for: that has changed."""
        self.wait = None
        for lane in self._lanes.values():
            lane.wait = None
            lane.refusals = refusals.NO_REFUSALS

    def held(self, now: float) -> Iterator[Lane]:
        """Yield those of its lanes that are held."""
        return (lane for lane in self._lanes.values() if waits.end(lane.wait) > now)

    def wait_of(self, category: vocabulary.Category, now: float) -> waits.Wait | None:
        """Return what messages of a category wait for that may last; None for nothing."""
        lane = self._lanes.get(CLASSES[category])
        several = (self.wait, None if lane is None else lane.wait)
        lasting = (wait for wait in several if wait and wait.until > now and not wait.is_brief)
        return max(lasting, key=waits.end, default=None)

    def brief_wait(self, now: float) -> waits.Wait | None:
        """Return what its messages wait for that is over soon, beside rates that others share; None for nothing."""
        if self.wait is not None and self.wait.until > now:
            return self.wait if self.wait.is_brief and self.entries else None
        if self.limiter is None or self.limiter.allowed_at(now) <= now or not self.has_ready:
            return None
        told = f"The message waits for the organization's rate of {self.limiter.per_minute} a minute"
        return waits.for_rate(f"{told} (delivery.ratePerMinute).", until=self.limiter.allowed_at(now))

    def begin_full(self, at: float) -> None:
        """Have as much of its rates used up as may be at a time: another sender may have sent for it until then."""
        self._meter.begin_full(at)
        self._namespace_meter.begin_full(at)

    def set_rates(self, rates: Rates) -> None:
        """Set the rates; what was sent so far still counts, or whoever edits settings had a fresh minute each time."""
        self.limiter = _limiter(rates.organization, self._meter)
        self.namespace_limiter = _limiter(rates.namespace, self._namespace_meter)

    def pop_ready(self) -> Iterator[LaneEntry]:
        """Take out and yield what waits for nothing but its turn: what is least urgent, and would be last, first."""
        for lane_class in reversed(LaneClass):
            ready = self.lane(lane_class).ready
            while ready:
                entry = ready.pop()
                if entry.place is EntryPlace.READY:
                    yield entry

    @property
    def has_ready(self) -> bool:
        """Whether any lane has an entry."""
        return any(lane.head() for lane in self._lanes.values())

    @property
    def pace_seconds(self) -> float:
        """How long the rate of its namespace makes a message wait for the one before; 0 without a rate."""
        return self.namespace_limiter.pace_seconds if self.namespace_limiter else 0.0

    def note_time(self, seconds: float) -> None:
        """Note how long a message kept a connection."""
        usual = (self.usual_seconds + max(seconds, rotation.QUANTUM_SECONDS)) / 2
        self.usual_seconds = min(usual, _EXPECTED_SECONDS)

    def put_back(self, entry: LaneEntry) -> None:
        """Let an entry that was picked be the next of its lane again, and count it for no rate."""
        entry.lane.ready.appendleft(entry)
        for charge in entry.charges:
            charge.refund()
        entry.charges = ()

    def namespace_allowed_at(self, now: float) -> float:
        """Return when the rate of its namespace lets the next message go."""
        return self.namespace_limiter.allowed_at(now) if self.namespace_limiter else now

    def pick(self, now: float) -> LaneEntry | float | None:
        """Take the next entry out of the most urgent lane that may go, and count it against the rates.

        The namespace's rate is not asked: it is not for one organization to wait for it (`namespace_allowed_at`).

        Returns:
            The entry; or when one may go, where rates and holds keep all back; or None without any entry.
        """
        allowed_at, organization_at = float("inf"), waits.end(self.wait)
        for lane_class in LaneClass:
            lane = self._lanes.get(lane_class)
            if lane is None or (entry := lane.head()) is None:
                continue
            lane_at = max(organization_at, waits.end(lane.wait), self.limiter.allowed_at(now) if self.limiter else now)
            if lane_at <= now:
                lane.ready.popleft()
                entry.charges = tuple(limit.take(now) for limit in self._limits())
                return entry
            allowed_at = min(allowed_at, lane_at)
        return allowed_at if allowed_at < float("inf") else None

    def _limits(self) -> Iterator[limiter.RateLimiter]:
        return (limit for limit in (self.limiter, self.namespace_limiter) if limit)


def _limiter(per_minute: int | None, meter: limiter.Meter) -> limiter.RateLimiter | None:
    return None if per_minute is None else limiter.RateLimiter(per_minute, meter)


@dataclasses.dataclass(slots=True, eq=False)
class ReadyNamespace:
    """The organizations of one namespace that have something ready for one destination."""

    uid: str
    destination: Hashable
    organizations: rotation.Rotation[str, OrganizationLanes] = dataclasses.field(default_factory=rotation.Rotation)
