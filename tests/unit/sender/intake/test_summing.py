"""What is queued of each organization, summed up."""

import dataclasses
import datetime as dt

from kit import queues
from mailtier.api import feed, vocabulary
from mailtier.mail import reasons
from mailtier.sender import ports
from mailtier.sender.between import queued
from mailtier.sender.intake import summing
from mailtier.sender.scheduling import waits

_C = vocabulary.Category
_S = vocabulary.RecipientState
_OTHER = dataclasses.replace(queues.LANE, organization="other")
_WAIT = waits.Wait(reason=reasons.DeliveryReason.CREDENTIALS_REFUSED, message="", ends_with=waits.WaitEnd.EVENT)


def _count(
    state: vocabulary.RecipientState, recipients: int, *, minutes: int = 0, lane: ports.LaneKey = queues.LANE
) -> queued.QueuedCount:
    return queued.QueuedCount(
        backlog=ports.BacklogKey(lane=lane, category=_C.JOB_ALERT),
        state=state,
        recipients=recipients,
        oldest_at=queues.START + dt.timedelta(minutes=minutes),
    )


def _numbers(found: feed.QueueShares) -> dict[str, tuple[int, int, int]]:
    return {each.organization: (each.queued, each.deferred, each.held) for each in found.items}


def test_states_and_categories_are_summed_up_by_organization() -> None:
    """What is in doubt waits for its time as what is deferred; the oldest of all counts."""
    updates = dataclasses.replace(
        _count(_S.QUEUED, 5, minutes=-7),
        backlog=ports.BacklogKey(lane=queues.LANE, category=_C.PRODUCT_UPDATE),
    )
    counts = [
        _count(_S.QUEUED, 1),
        _count(_S.DEFERRED, 2, minutes=-3),
        _count(_S.IN_DOUBT, 3),
        _count(_S.HELD, 4),
        updates,
        _count(_S.QUEUED, 6, lane=_OTHER),
    ]
    found = summing.sum_up(counts, lambda _key, _category=None: None)
    assert _numbers(found) == {queues.LANE.organization: (6, 5, 4), "other": (6, 0, 0)}
    assert found.items[0].oldest_at == queues.START - dt.timedelta(minutes=7)


def test_what_is_held_now_counts_as_held_before_that_is_stored() -> None:
    """A hold of an organization is one of all that waits there, and of no other's."""

    def hold_of(key: ports.LaneKey, category: vocabulary.Category | None = None) -> waits.Wait | None:
        return _WAIT if key == _OTHER and category == _C.JOB_ALERT else None

    counts = [_count(_S.QUEUED, 1), _count(_S.QUEUED, 2, lane=_OTHER), _count(_S.DEFERRED, 3, lane=_OTHER)]
    found = summing.sum_up(counts, hold_of)
    assert _numbers(found) == {queues.LANE.organization: (1, 0, 0), "other": (0, 0, 5)}
