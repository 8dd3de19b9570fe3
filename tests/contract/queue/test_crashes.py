"""What a queue knows after its process was killed: everything that it said it had stored."""

import pathlib
import random
import sys
import time

import pytest

from kit import backends, postgres, processes, queues, wait
from mailtier.api import vocabulary

S = vocabulary.RecipientState

_ROUNDS = 5


def _said(log: pathlib.Path) -> dict[str, set[str]]:
    said: dict[str, set[str]] = {"queued": set(), "dot": set(), "accepted": set()}
    # The last line may be torn.
    for line in log.read_text(encoding="utf-8").split("\n")[:-1]:
        word, _, id_ = line.partition(" ")
        assert word in said, f"unexpected output of the child: {line}"
        said[word].add(id_)
    return said


@pytest.mark.parametrize("round_", range(_ROUNDS))
async def test_sigkill_loses_nothing(queue_factory: queues.Factory, tmp_path: pathlib.Path, round_: int) -> None:
    """Whatever was acknowledged before SIGKILL is there, and whatever was taken is recorded as taken (R4)."""
    log = tmp_path / "said.log"
    moment = random.Random(round_)  # noqa: S311  # A moment that can be repeated.
    child = processes.start(
        [sys.executable, "-m", "kit.queues", queue_factory.backend, queue_factory.place],
        log=log,
        env={"PYTHONPATH": str(pathlib.Path(queues.__file__).parents[1])},
    )
    enough = moment.randint(20, 2_000)
    wait.until(
        lambda: log.stat().st_size > enough or not child.running, within_seconds=30, why="the child stores something"
    )
    assert child.running, child.ended_early()
    child.kill()
    said = _said(log)
    assert said["queued"]
    queue = await queue_factory.open()
    for id_ in said["queued"]:
        (state,) = await queues.states(queue, id_)
        if id_ in said["accepted"]:
            # An acceptance is noted in a file at once, and in a database when others are.
            assert state == "accepted" or (queue_factory.backend == "postgres" and state == "in doubt")
        elif id_ in said["dot"]:
            # It died on either side of the note.
            assert state in {"queued", "in doubt", "accepted"}
        else:
            assert state == "queued"


@backends.EMBEDDED_ALONE
async def test_a_killed_queue_is_not_locked(queue_factory: queues.Factory, tmp_path: pathlib.Path) -> None:
    """While a process has the queue open another is refused with a sentence; when it is killed, it is not."""
    log = tmp_path / "said.log"
    child = processes.start(
        [sys.executable, "-m", "kit.queues", queue_factory.backend, queue_factory.place],
        log=log,
        env={"PYTHONPATH": str(pathlib.Path(queues.__file__).parents[1])},
    )
    wait.until(lambda: log.stat().st_size or not child.running, within_seconds=30, why="the child opens the queue")
    with pytest.raises(Exception, match="another sender has the queue"):
        await queue_factory.open()
    child.kill()
    await queue_factory.open()


async def test_a_noted_acceptance_is_recorded(queue_factory: queues.Factory) -> None:
    """A message that was taken, and whose outcome was not stored, is accepted after the restart (R4)."""
    queue = await queue_factory.open()
    id_, (recipient_number,) = await queues.put(queue, source=queues.source())
    cursor = (await queue.changes(0)).cursor
    await queue.note_dot(recipient_number, queues.SNAPSHOT)
    queue.note_accepted(recipient_number)
    queue = await queue_factory.reopen()
    assert await queues.states(queue, id_) == ["accepted"]
    assert await queues.find_job(queue, recipient_number) is None
    assert [item.complete for item in await queues.changed_objects(queue, cursor)] == [True]


@backends.SHARED_ALONE
async def test_an_acceptance_is_noted_at_once_where_its_outcome_is_not_stored(queue_factory: queues.Factory) -> None:
    """A moment later it is in the database, whatever else is noted, so that a SIGKILL leaves no doubt (R4)."""
    queue = await queue_factory.open()
    _, (recipient_number,) = await queues.put(queue)
    await queue.note_dot(recipient_number, queues.SNAPSHOT)
    queue.note_accepted(recipient_number)
    began = time.monotonic()
    noted = "SELECT recipient FROM mailtier.notes WHERE accepted"
    await wait.until_async(
        lambda: postgres.read(queue_factory.place, noted) == [(recipient_number,)], within_seconds=5, why="it is noted"
    )
    assert time.monotonic() - began < 2


async def test_a_dot_without_a_reply_is_in_doubt(queue_factory: queues.Factory) -> None:
    """A message whose dot may have been sent is in doubt, is due on the schedule, and keeps its snapshot (R4)."""
    queue = await queue_factory.open()
    id_, (recipient_number,) = await queues.put(queue)
    await queue.note_dot(recipient_number, queues.SNAPSHOT)
    queue = await queue_factory.reopen()
    assert await queues.states(queue, id_) == ["in doubt"]
    (pending,) = await queues.unfinished(queue)
    assert (pending.state, pending.due_at > queues.START) == (S.IN_DOUBT, True)
    job = await queues.job(queue, recipient_number)
    assert (job.doubts, job.snapshot) == (1, queues.SNAPSHOT)


async def test_doubts_end(queue_factory: queues.Factory) -> None:
    """One that is lost after the dot again and again is resent twice and then fails as InDoubt."""
    queue = await queue_factory.open()
    id_, (recipient_number,) = await queues.put(queue)
    told = []
    for _ in range(3):
        await queue.note_dot(recipient_number, queues.SNAPSHOT)
        queue = await queue_factory.reopen()
        told += await queues.states(queue, id_)
    assert told == ["in doubt", "in doubt", "failed"]
    assert (await queues.record(queue, id_)).recipients[0].reason == "InDoubt"


async def test_where_twice_is_worse_a_doubt_fails(queue_factory: queues.Factory) -> None:
    """A product update that is in doubt is not resent."""
    queue = await queue_factory.open()
    id_, (recipient_number,) = await queues.put(queue, category=vocabulary.Category.PRODUCT_UPDATE)
    await queue.note_dot(recipient_number, queues.SNAPSHOT)
    queue = await queue_factory.reopen()
    assert await queues.states(queue, id_) == ["failed"]


async def test_an_attempt_without_a_dot_is_queued(queue_factory: queues.Factory) -> None:
    """An attempt that ended with the process before its dot leaves its recipient queued."""
    queue = await queue_factory.open()
    id_, (recipient_number,) = await queues.put(queue)
    assert await queues.find_job(queue, recipient_number) is not None
    queue = await queue_factory.reopen()
    assert await queues.states(queue, id_) == ["queued"]


@pytest.mark.parametrize("state", [S.DEFERRED, S.HELD, S.IN_DOUBT])
async def test_a_note_that_was_answered_says_nothing(queue_factory: queues.Factory, state: S) -> None:
    """A dot whose outcome was stored is not taken for a loss, however often the queue is opened."""
    queue = await queue_factory.open()
    id_, (recipient_number,) = await queues.put(queue)
    await queue.note_dot(recipient_number, queues.SNAPSHOT)
    await queues.settle(queue, queues.outcome(recipient_number, state))
    for _ in range(3):
        before = await queue.find(queues.LANE, id_)
        queue = await queue_factory.reopen()
        assert await queue.find(queues.LANE, id_) == before


async def test_an_unanswered_note_outlives_answered_ones(queue_factory: queues.Factory) -> None:
    """Answering one attempt's note does not answer the next one's."""
    queue = await queue_factory.open()
    id_, (recipient_number,) = await queues.put(queue)
    await queue.note_dot(recipient_number, queues.SNAPSHOT)
    await queues.settle(queue, queues.outcome(recipient_number, S.DEFERRED))
    await queue.note_dot(recipient_number, queues.SNAPSHOT)
    queue = await queue_factory.reopen()
    assert await queues.states(queue, id_) == ["in doubt"]


async def test_more_notes_than_usual(queue_factory: queues.Factory) -> None:
    """Thousands of deliveries may be open at once; each is found."""
    queue = await queue_factory.open()
    recipients = []
    for _ in range(120):
        recipients += (await queues.put(queue, recipients=("a@x.org",) * 20))[1]
    for recipient_number in recipients:
        await queue.note_dot(recipient_number, queues.SNAPSHOT)
    for recipient_number in recipients[:1_000]:
        queue.note_accepted(recipient_number)
    queue = await queue_factory.reopen()
    assert await queue.counts() == {S.IN_DOUBT: len(recipients) - 1_000}
