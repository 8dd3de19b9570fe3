"""Commits of batches take turns, and nobody else waits for more than one of them."""

import asyncio
import typing

from kit import queues, ways_in
from mailtier.api import notification
from mailtier.sender import ports
from mailtier.sender.intake import taking

_NEIGHBOUR = "neighbour"


class _Watched:
    """A queue that notes in which order whose notifications were committed, and how many recipients each commit had."""

    def __init__(self, queue: ports.Queue) -> None:
        self._queue = queue
        self.order: list[tuple[str, int]] = []

    async def enqueue(self, added: ports.NewNotification, *, quota: ports.QueueQuota) -> ports.Enqueued:
        """Store one."""
        found = await queues.enqueue(self._queue, added, quota=quota)
        self.order.append((added.lane.namespace, len(found.pending)))
        return found

    async def enqueue_all(
        self, added: typing.Sequence[tuple[ports.NewNotification, ports.QueueQuota]]
    ) -> typing.Sequence[ports.Enqueued | ports.Unqueued]:
        """Store several."""
        found = await self._queue.enqueue_all(added)
        count = sum(len(each.pending) for each in found if isinstance(each, ports.Enqueued))
        self.order.append((added[0][0].lane.namespace, count))
        return found


def _content(recipients: int = 1) -> notification.NotificationRequest:
    return notification.NotificationRequest.model_validate(
        {"category": "JobAlert", "text": "it failed", "recipients": ways_in.crowd(recipients)}
    )


def _batch(count: int, *, recipients: int = 1) -> list[tuple[notification.Content, taking.HttpsRequest]]:
    return [(_content(recipients), taking.HttpsRequest(caller="tester", key=None)) for _ in range(count)]


async def test_a_neighbour_waits_for_one_commit_of_batches(queue: queues.WholeQueue) -> None:
    """However many batches are under way, between a notification and its commit comes one of theirs at most (R15)."""
    watched = _Watched(queue)
    taker = ways_in.taker(typing.cast("ports.Queue", watched), ways_in.Handed())
    teams = [f"team-{number}" for number in range(5)]
    storing = [asyncio.create_task(taker.take_all(_batch(500), ways_in.settings(team))) for team in teams]
    waited = []
    while not all(task.done() for task in storing):
        before = len(watched.order)
        await taker.take(_content(), ways_in.settings(_NEIGHBOUR), taking.HttpsRequest(caller="tester", key=None))
        waited.append([namespace for namespace, _ in watched.order[before:]].index(_NEIGHBOUR))
    assert max(waited) <= 1
    theirs = [entry for entry in watched.order if entry[0] != _NEIGHBOUR]
    assert max(count for _, count in theirs) == taking.COMMIT_RECIPIENTS
    assert sum(count for _, count in theirs) == 5 * 500
    # In turns: none is a commit ahead of another before that has its own.
    rounds = [namespace for namespace, _ in theirs]
    assert [sorted(rounds[at : at + 5]) for at in range(0, len(rounds), 5)] == [teams] * 8


async def test_a_commit_is_counted_in_recipients(queue: queues.WholeQueue) -> None:
    """Notifications to twenty each go three into a commit, not sixty-four."""
    watched = _Watched(queue)
    taker = ways_in.taker(typing.cast("ports.Queue", watched), ways_in.Handed())
    await taker.take_all(_batch(7, recipients=20), ways_in.settings())
    assert [count for _, count in watched.order] == [60, 60, 20]
