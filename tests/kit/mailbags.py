"""A schedule of the sender with a shorter way to fill and to empty it."""

import datetime as dt

from mailtier.api import vocabulary
from mailtier.mail import reasons
from mailtier.sender import ports
from mailtier.sender.scheduling import lanes, schedule, waits

DESTINATION = "relay"
_NOW = dt.datetime(2026, 11, 24, tzinfo=dt.UTC)
_ALERT = vocabulary.Category.JOB_ALERT


def lane(namespace: str, organization: str = "default") -> ports.LaneKey:
    """Return the key of an organization."""
    return ports.LaneKey(namespace_uid=f"uid-{namespace}", namespace=namespace, organization=organization)


def refused(*, until: float) -> waits.Wait:
    """Return that a lane waits until a time, because its settings were refused."""
    reason = reasons.DeliveryReason.POLICY_REFUSED
    return waits.of(reason, waits.WaitEnd.PERSON, until=until)


def claimed(pending: ports.Pending) -> ports.Claimed:
    """Return a recipient as it is claimed."""
    job = ports.Job(
        recipient_number=pending.recipient_number,
        notification_id=f"ntf-{pending.recipient_number}",
        lane=pending.lane,
        category=pending.category,
        severity=vocabulary.Severity.ERROR,
        locale=vocabulary.Locale.ENGLISH,
        rcpt_to="somebody@example.org",
        subject=None,
        text=None,
        data={},
        accepted_at=_NOW,
        expires_at=pending.expires_at,
        attempts=pending.attempts,
        doubts=0,
        snapshot=None,
    )
    return ports.Claimed(pending=pending, job=job, payload_bytes=100)


class Mail:
    """A schedule with a shorter way to fill and empty it.

    Args:
        connections: How many each destination may have.
    """

    def __init__(self, *, connections: int = 1_000_000) -> None:
        self.schedule = schedule.Schedule(lambda _destination: connections)
        self._number = 0

    def add(
        self,
        lane: ports.LaneKey,
        category: vocabulary.Category = _ALERT,
        *,
        count: int = 1,
        due_at: float = 0.0,
        destination: str | None = DESTINATION,
        rate: int | None = None,
        namespace_rate: int | None = None,
    ) -> int:
        """Offer messages, name their organization's destination and rates, and return the last one's number."""
        for _ in range(count):
            self._number += 1
            pending = ports.Pending(
                recipient_number=self._number,
                lane=lane,
                category=category,
                state=vocabulary.RecipientState.QUEUED,
                due_at=_NOW,
                expires_at=_NOW,
                attempts=0,
            )
            self.schedule.add(claimed(pending), due_at=due_at, expires_at=1e9)
        if destination:
            self.schedule.direct(lane, destination, rates=lanes.Rates(organization=rate, namespace=namespace_rate))
        return self._number

    def take(self, now: float = 0.0, destination: str = DESTINATION) -> lanes.LaneEntry | None:
        """Return the message whose turn it is."""
        self.schedule.advance(now)
        return self.schedule.take(destination, now)

    def drain(self, now: float = 0.0, destination: str = DESTINATION, limit: int = 10_000) -> list[lanes.LaneEntry]:
        """Return everything that may go now, in its order."""
        taken: list[lanes.LaneEntry] = []
        while len(taken) < limit and (entry := self.take(now, destination)) is not None:
            taken.append(entry)
        return taken
