"""How much is queued of whom, as status and people are told it."""

import dataclasses
import datetime as dt

from kit import queues
from mailtier.api import vocabulary
from mailtier.sender import ports

S = vocabulary.RecipientState

_OTHER = dataclasses.replace(queues.LANE, namespace_uid="uid-b", namespace="team-b", organization="other")
_LATER = queues.START + dt.timedelta(minutes=3)


async def _told(queue: queues.WholeQueue) -> dict[tuple[ports.LaneKey, str, str], tuple[int, dt.datetime]]:
    found = await queue.queued()
    told = {
        (each.backlog.lane, each.backlog.category.value, each.state.value): (each.recipients, each.oldest_at)
        for each in found
    }
    assert len(told) == len(found), "each backlog and state once"
    return told


async def test_what_is_queued_is_counted_by_organization_category_and_state(queue: queues.WholeQueue) -> None:
    """Each unfinished recipient counts once, with the time of the oldest; what has its end counts for nothing."""
    assert await _told(queue) == {}
    _, (first, second, third) = await queues.put(queue, recipients=("a@example.org", "b@example.org", "c@example.org"))
    await queues.put(queue, accepted_at=_LATER)
    await queues.put(queue, lane=_OTHER, accepted_at=_LATER, category=vocabulary.Category.PRODUCT_UPDATE)
    await queues.settle(queue, queues.outcome(first, S.DEFERRED))
    await queues.settle(queue, queues.outcome(second, S.ACCEPTED))
    assert await _told(queue) == {
        (queues.LANE, "JobAlert", "queued"): (2, queues.START),
        (queues.LANE, "JobAlert", "deferred"): (1, queues.START),
        (_OTHER, "ProductUpdate", "queued"): (1, _LATER),
    }
    await queues.settle(queue, queues.outcome(third, S.FAILED))
    assert (await _told(queue))[queues.LANE, "JobAlert", "queued"] == (1, _LATER)


async def test_what_is_sent_again_is_as_old_as_it_is(queue: queues.WholeQueue) -> None:
    """What failed and is queued anew is the oldest again, whatever came in meanwhile."""
    id_, (number,) = await queues.put(queue)
    await queues.settle(queue, queues.outcome(number, S.FAILED))
    await queues.put(queue, accepted_at=_LATER)
    until = _LATER + dt.timedelta(days=1)
    await queue.retry(queues.LANE.namespace_uid, id_, at=_LATER, expires_at=until, quota=queues.QUOTA)
    assert await _told(queue) == {(queues.LANE, "JobAlert", "queued"): (2, queues.START)}
