"""What is queued of each organization, summed up for the operator: pure."""

import dataclasses
import datetime as dt
from collections.abc import Iterable
from typing import Final, Protocol

from mailtier.api import feed, vocabulary
from mailtier.mail import states
from mailtier.sender import ports
from mailtier.sender.between import queued
from mailtier.sender.scheduling import waits

_S: Final = vocabulary.RecipientState


class HoldOf(Protocol):
    """Why messages are held."""

    def __call__(self, key: ports.LaneKey, category: vocabulary.Category | None = None) -> waits.Wait | None:
        """Return why an organization's messages of a category are held; None where they are not."""


@dataclasses.dataclass(slots=True)
class _Sum:
    oldest_at: dt.datetime
    queued: int = 0
    deferred: int = 0
    held: int = 0


def sum_up(counts: Iterable[queued.QueuedCount], hold_of: HoldOf) -> feed.QueueShares:
    """Return what is queued of each organization.

    What is held now counts as held, though it is stored so only little by little.

    Args:
        counts: What the queue holds.
        hold_of: Returns why an organization's messages of a category are held; None where they are not.
    """
    sums: dict[ports.LaneKey, _Sum] = {}
    for count in counts:
        lane = count.backlog.lane
        found = sums.setdefault(lane, _Sum(count.oldest_at))
        found.oldest_at = min(found.oldest_at, count.oldest_at)
        if count.state == _S.HELD or hold_of(lane, count.backlog.category) is not None:
            found.held += count.recipients
        elif count.state in states.TIMED:
            found.deferred += count.recipients
        else:
            found.queued += count.recipients
    return feed.QueueShares(
        items=tuple(
            feed.QueueShare(
                namespace=lane.namespace,
                namespace_uid=lane.namespace_uid,
                organization=lane.organization,
                queued=found.queued,
                deferred=found.deferred,
                held=found.held,
                oldest_at=found.oldest_at,
            )
            for lane, found in sums.items()
        )
    )
