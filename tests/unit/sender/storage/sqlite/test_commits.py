"""What is committed together: each comes to what it comes to alone."""

import asyncio
import collections.abc
import pathlib
import sqlite3

import pytest

from kit import queues, wait
from mailtier.api import vocabulary
from mailtier.mail import states
from mailtier.sender.storage.sqlite import embedded

S = vocabulary.RecipientState

_MORE = 200
"""More than one commit takes."""
_PAGE = "x" * 4_000


@pytest.fixture
async def queue(tmp_path: pathlib.Path) -> collections.abc.AsyncIterator[embedded.EmbeddedQueue]:
    """Return an empty queue, which is closed in the end."""
    opened = await embedded.open_queue(tmp_path / "queue", now=queues.Clock(), limits=queues.LIMITS)
    yield opened
    await opened.close()


async def test_one_that_fails_in_a_commit_takes_no_other_with_it(queue: embedded.EmbeddedQueue) -> None:
    """Outcomes, new notifications and whatever else is committed together are done again one by one, and all but it."""
    id_, (first, second) = await queues.put(queue, recipients=("a@x.org", "b@x.org"), source=queues.source())
    async with queues.stalled(queue):
        waiting = [
            queues.settle(queue, queues.outcome(first, S.ACCEPTED)),
            asyncio.ensure_future(queues.put(queue)),
            asyncio.ensure_future(queues.put(queue, id=id_)),
            asyncio.ensure_future(queues.put(queue, recipients=("a@x.org", "b@x.org"))),
            asyncio.ensure_future(queue.remember("key", "text")),
            queues.settle(queue, queues.outcome(first, S.DEFERRED)),
            queues.settle(queue, queues.outcome(second, S.FAILED)),
        ]
        await asyncio.sleep(0)
    found = await asyncio.gather(*waiting, return_exceptions=True)
    assert [number for number, each in enumerate(found) if isinstance(each, Exception)] == [2, 5]
    assert isinstance(found[2], sqlite3.IntegrityError)
    assert isinstance(found[5], states.IllegalTransition)
    assert await queues.states(queue, id_) == ["accepted", "failed"]
    assert await queue.counts() == {S.QUEUED: 3}
    # What was done twice is charged once.
    usage = (
        "SELECT messages, payload_bytes = (SELECT sum(payload_bytes) FROM notifications WHERE unfinished) FROM usage"
    )
    assert await queue._writer.submit(lambda connection: connection.execute(usage).fetchall()) == [(3, 1)]


async def test_a_repeat_is_found_among_those_that_are_committed_with_it(queue: embedded.EmbeddedQueue) -> None:
    """Callers that come at once with the same key, or the same object, hear of one notification."""
    async with queues.stalled(queue):
        waiting = [
            asyncio.ensure_future(queues.put(queue, **named))
            for named in (
                {"idempotency_key": "key", "digest": "d"},
                {"source": queues.source()},
                {"idempotency_key": "key", "digest": "d"},
                {"source": queues.source(object_uid="object-2")},
                {},
            )
        ]
        await asyncio.sleep(0)
    keyed, taken, again, recreated, _ = await asyncio.gather(*waiting)
    assert again == (keyed[0], [])
    assert recreated == (taken[0], [])
    assert [item.object_uid for item in await queues.changed_objects(queue, 0)] == ["object-2"]
    assert await queue.counts() == {S.QUEUED: 3}


async def test_outcomes_of_one_recipient_follow_one_another_in_a_commit(queue: embedded.EmbeddedQueue) -> None:
    """What is reported of a recipient while a commit is under way is stored in its order, each as if alone."""
    id_, (recipient_number,) = await queues.put(queue)
    await queue.note_dot(recipient_number, queues.SNAPSHOT)
    async with queues.stalled(queue):
        waiting = [
            queues.settle(queue, queues.outcome(recipient_number, S.IN_DOUBT)),
            queues.settle(queue, queues.outcome(recipient_number, S.IN_DOUBT, attempted=False)),
            queues.settle(queue, queues.outcome(recipient_number, S.ACCEPTED)),
            queues.settle(queue, queues.outcome(recipient_number, S.FAILED)),
        ]
    found = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(each) for each in found] == [type(None), type(None), type(None), states.IllegalTransition]
    (recipient,) = (await queues.record(queue, id_)).recipients
    assert (recipient.state, recipient.attempts) == (S.ACCEPTED, 2)
    assert await queue.counts() == {}


async def test_a_claim_that_ended_costs_no_memory(queue: embedded.EmbeddedQueue) -> None:
    """With its final outcome a recipient is no longer noted as claimed, and with none before."""
    _, (first, second) = await queues.put(queue, recipients=("a@x.org", "b@x.org"))
    await queues.claim(queue)
    await queues.settle(queue, queues.outcome(first, S.DEFERRED))
    await queues.settle(queue, queues.outcome(second, S.ACCEPTED))
    assert queue._claims.all() == {first}
    await queues.settle(queue, queues.outcome(first, S.FAILED))
    assert queue._claims.all() == set()
    assert queue._claims._backlogs == {}


async def test_outcomes_that_come_together_come_each_to_its_own(queue: embedded.EmbeddedQueue) -> None:
    """More outcomes than a commit takes are stored in their order, and it is told of each in its place."""
    recipients = [number for _ in range(_MORE) for number in (await queues.put(queue))[1]]
    outcomes = [queues.outcome(number, S.DEFERRED) for number in recipients]
    outcomes[7:7] = [queues.outcome(recipients[0], S.ACCEPTED), queues.outcome(recipients[0], S.FAILED)]
    outcomes += [queues.outcome(number, S.ACCEPTED) for number in recipients[1:]]
    found = await queue.settle(outcomes)
    assert [place for place, each in enumerate(found) if each is not None] == [8]
    assert isinstance(found[8], states.IllegalTransition)
    assert await queue.counts() == {}
    attempts = "SELECT attempts, count(*) FROM recipients GROUP BY attempts"
    assert await queue._writer.submit(lambda connection: connection.execute(attempts).fetchall()) == [(2, _MORE)]


def _needs_a_page_each(connection: sqlite3.Connection, items: collections.abc.Sequence[int]) -> list[int]:
    """Return the items; each takes a page of the file until all are done."""
    connection.executemany("INSERT INTO memories (key, body) VALUES (?, ?)", ((str(item), _PAGE) for item in items))
    connection.executemany("DELETE FROM memories WHERE key = ?", ((str(item),) for item in items))
    return list(items)


def _give_pages(connection: sqlite3.Connection) -> None:
    (used,) = connection.execute("PRAGMA page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count = {used + 8}")


async def test_what_does_not_fit_at_once_is_stored_in_parts(queue: embedded.EmbeddedQueue) -> None:
    """What was given together is parted where it needs more room than there is, and stored in its order."""
    await queue._writer.submit(_give_pages)
    stored: list[int] = []
    queue._writer.submit_items(
        _needs_a_page_each, range(_MORE), lambda _items, found: stored.extend(found), essential=True
    )
    try:
        await wait.until_async(lambda: len(stored) >= _MORE, within_seconds=30, why="all of it is stored")
    finally:
        # What is essential is tried for ever, also while the queue is closed.
        await asyncio.to_thread(queue._writer._connection.execute, "PRAGMA max_page_count = 1000000")
    assert stored == list(range(_MORE))


async def test_outcomes_of_a_commit_share_their_statements(queue: embedded.EmbeddedQueue) -> None:
    """However many end in one commit, a table takes a few statements."""
    recipients = [number for _ in range(128) for number in (await queues.put(queue))[1]]
    said: list[str] = []
    await queue._writer.submit(lambda connection: connection.set_trace_callback(said.append))
    assert await queue.settle([queues.outcome(number, S.ACCEPTED) for number in recipients]) == [None] * 128
    await queue._writer.submit(lambda connection: connection.set_trace_callback(None))
    assert await queue.counts() == {}
    # BEGIN and COMMIT of this and of the last, what is stored and the cursors are read; four tables, 64 rows at once.
    assert len(said) < 16, said
