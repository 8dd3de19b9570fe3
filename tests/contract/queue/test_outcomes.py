"""What a queue stores of deliveries, and what it tells about them."""

import asyncio
import dataclasses
import datetime as dt

import pytest

from kit import queues, recipient_states, wait
from mailtier.api import feed, vocabulary
from mailtier.mail import states
from mailtier.sender import ports

S = vocabulary.RecipientState

_LATER = queues.START + dt.timedelta(minutes=1)

PROBE = feed.Probe(
    key="endpoint-1",
    secret_version="7",
    reason="Verified",
    stage=None,
    owner_message="All stages passed.",
    tenant_message="All stages passed.",
    certificate_expires_at=queues.START + dt.timedelta(days=60),
    probed_at=queues.START,
)


async def test_an_outcome_is_told(queue_factory: queues.Factory) -> None:
    """State, reason, message, attempts and time of an outcome are there, also after a restart."""
    queue = await queue_factory.open()
    id_, (recipient_number,) = await queues.put(queue)
    later = queues.START + dt.timedelta(minutes=1)
    await queues.settle(queue, queues.outcome(recipient_number, S.DEFERRED, at=later))
    queue = await queue_factory.reopen()
    assert (await queues.record(queue, id_)).recipients == (
        feed.Recipient(
            address="ops@example.org",
            state=S.DEFERRED,
            reason="Tested",
            message="This is a test.",
            attempts=1,
            changed_at=later,
            next_attempt_at=later + dt.timedelta(minutes=5),
        ),
    )
    (pending,) = await queues.unfinished(queue)
    assert (pending.state, pending.due_at, pending.attempts) == (S.DEFERRED, later + dt.timedelta(minutes=5), 1)


async def test_the_last_failure_stays_until_another_one(queue_factory: queues.Factory) -> None:
    """What an attempt met stands in fields, also after what is no failure, and after a restart; each replaces all."""
    queue = await queue_factory.open()
    id_, (recipient_number,) = await queues.put(queue)
    assert (await queues.record(queue, id_)).recipients[0].last_failure is None
    busy = feed.LastFailure(scope="Recipient", phase="rcpt", code=450, enhanced="4.2.1")
    lost = feed.LastFailure(scope="Server", phase="connect")
    deferred = queues.outcome(recipient_number, S.DEFERRED)
    for failure, expected in ((busy, busy), (None, busy), (lost, lost)):
        await queues.settle(queue, dataclasses.replace(deferred, failure=failure))
        assert (await queues.record(queue, id_)).recipients[0].last_failure == expected
    await queues.settle(queue, queues.outcome(recipient_number, S.ACCEPTED))
    queue = await queue_factory.reopen()
    assert (await queues.record(queue, id_)).recipients[0].last_failure == lost


async def test_the_first_domain_of_a_message_id_stays(queue_factory: queues.Factory) -> None:
    """Whatever later attempts were built with, and over a restart; what met nothing stores none (R4)."""
    queue = await queue_factory.open()
    _, (number,) = await queues.put(queue)
    met = feed.LastFailure(scope="Recipient", phase="rcpt", code=450, enhanced="4.2.1")
    deferred = queues.outcome(number, S.DEFERRED)
    assert (await queues.job(queue, number)).id_domain is None
    for failure, domain, expected in (
        (None, None, None),
        (met, "example.com", "example.com"),
        (met, "example.net", "example.com"),
        (None, None, "example.com"),
    ):
        await queues.settle(queue, dataclasses.replace(deferred, failure=failure, id_domain=domain))
        assert (await queues.job(queue, number)).id_domain == expected
    queue = await queue_factory.reopen()
    assert (await queues.job(queue, number)).id_domain == "example.com"


async def test_what_is_no_attempt_is_not_counted(queue: ports.Queue) -> None:
    """An outcome by a fault of the server charges no attempt (R12)."""
    id_, (recipient_number,) = await queues.put(queue)
    await queues.settle(queue, queues.outcome(recipient_number, S.DEFERRED, attempted=False))
    assert (await queues.record(queue, id_)).recipients[0].attempts == 0


async def test_outcomes_are_stored_in_the_order_of_the_calls(queue: ports.Queue) -> None:
    """Nobody has to await an outcome before the next one of the same recipient."""
    id_, (recipient_number,) = await queues.put(queue)
    queues.settle(queue, queues.outcome(recipient_number, S.HELD, attempted=False))
    queues.settle(queue, queues.outcome(recipient_number, S.QUEUED, attempted=False))
    await queues.settle(queue, queues.outcome(recipient_number, S.ACCEPTED))
    assert await queues.states(queue, id_) == ["accepted"]


async def test_a_notification_is_complete_when_every_recipient_is_final(queue: ports.Queue) -> None:
    """A final recipient has no job; the others keep theirs until the notification is complete."""
    id_, (first, second) = await queues.put(queue, recipients=("a@x.org", "b@x.org"))
    await queues.settle(queue, queues.outcome(first, S.ACCEPTED))
    assert await queues.find_job(queue, first) is None
    assert await queues.find_job(queue, second) is not None
    assert not (await queues.record(queue, id_)).complete
    await queues.settle(queue, queues.outcome(second, S.FAILED))
    assert (await queues.record(queue, id_)).complete
    assert await queues.unfinished(queue) == []


@pytest.mark.parametrize("attempted", [True, False])
@pytest.mark.parametrize(("pair", "may_be"), recipient_states.PAIRS.items())
async def test_an_outcome_follows_what_is_stored_or_changes_nothing(
    queue: ports.Queue, pair: recipient_states.Pair, *, may_be: bool, attempted: bool
) -> None:
    """Each pair of a stored and a reported state is stored or refused, as the tests' own table has it (R4)."""
    stored, reported = pair
    id_, (recipient_number, _) = await queues.put(queue, source=queues.source(), recipients=("a@x.org", "b@x.org"))
    await queue.note_dot(recipient_number, queues.SNAPSHOT)
    if stored is not S.QUEUED:
        await queues.settle(queue, queues.outcome(recipient_number, stored))
    before = await _everything(queue, id_, recipient_number)
    recording = queues.settle(queue, queues.outcome(recipient_number, reported, attempted=attempted, at=_LATER))
    if may_be:
        await recording
        assert await queues.states(queue, id_) == [reported.value, "queued"]
        assert (await queues.record(queue, id_)).recipients[0].changed_at == _LATER
    else:
        with pytest.raises(states.IllegalTransition):
            await recording
        assert await _everything(queue, id_, recipient_number) == before


async def _everything(queue: ports.Queue, id_: str, recipient_number: int) -> list[object]:
    """Return all that a queue tells of a recipient."""
    pending = await queues.unfinished(queue)
    return [
        await queue.find(queues.LANE, id_),
        await queues.find_job(queue, recipient_number),
        await queue.changes(0),
        await queue.counts(),
        pending,
    ]


async def test_a_doubt_outlives_what_its_resends_come_to(queue_factory: queues.Factory) -> None:
    """A resend that was refused for now, or ended with the process before its dot, leaves a recipient in doubt (R4)."""
    queue = await queue_factory.open()
    id_, (recipient_number,) = await queues.put(queue)
    await queues.settle(queue, queues.outcome(recipient_number, S.IN_DOUBT))
    await queues.settle(queue, queues.outcome(recipient_number, S.IN_DOUBT, attempted=False, at=_LATER))
    queue = await queue_factory.reopen()
    assert await queues.states(queue, id_) == ["in doubt"]
    (pending,) = await queues.unfinished(queue)
    assert (pending.state, pending.due_at) == (S.IN_DOUBT, _LATER + dt.timedelta(minutes=5))
    assert (await queues.job(queue, recipient_number)).doubts == 1


async def test_an_outcome_that_contradicts_itself_is_refused(queue: ports.Queue) -> None:
    """A final state with a next attempt, or another one without, is an error of the caller's."""
    _, (recipient_number,) = await queues.put(queue)
    for state, due_at in ((S.ACCEPTED, queues.START), (S.DEFERRED, None)):
        wrong = dataclasses.replace(queues.outcome(recipient_number, state), due_at=due_at)
        with pytest.raises(ValueError, match="due_at"):
            await queues.settle(queue, wrong)
    with pytest.raises(LookupError):
        await queues.settle(queue, queues.outcome(recipient_number + 1, S.ACCEPTED))


async def test_a_doubt_is_counted_and_keeps_its_snapshot(queue_factory: queues.Factory) -> None:
    """What was lost after the dot is resent with what it was built with, over restarts and refusals for now."""
    queue = await queue_factory.open()
    _, (recipient_number,) = await queues.put(queue)
    await queue.note_dot(recipient_number, queues.SNAPSHOT)
    await queues.settle(queue, queues.outcome(recipient_number, S.IN_DOUBT))
    queue = await queue_factory.reopen()
    job = await queues.job(queue, recipient_number)
    assert (job.doubts, job.attempts, job.snapshot) == (1, 1, queues.SNAPSHOT)
    await queues.settle(queue, queues.outcome(recipient_number, S.IN_DOUBT, attempted=False))
    await queue.purge(now=queues.START)
    job = await queues.job(queue, recipient_number)
    assert (job.doubts, job.snapshot) == (1, queues.SNAPSHOT)


async def test_states_are_counted(queue: ports.Queue) -> None:
    """The counts tell how many recipients stand in each state that is not final."""
    _, recipients = await queues.put(queue, recipients=("a@x.org",) * 4)
    await queues.settle(queue, queues.outcome(recipients[0], S.DEFERRED))
    await queues.settle(queue, queues.outcome(recipients[1], S.HELD, attempted=False))
    await queues.settle(queue, queues.outcome(recipients[2], S.ACCEPTED))
    assert await queue.counts() == {S.DEFERRED: 1, S.HELD: 1, S.QUEUED: 1}


async def test_the_feed_tells_what_became_of_objects(queue_factory: queues.Factory) -> None:
    """The feed has the latest state of each object, HTTP notifications are not in it, and cursors survive restarts."""
    queue = await queue_factory.open()
    await queues.put(queue)
    id_, (first, second) = await queues.put(queue, source=queues.source(), recipients=("a@x.org", "b@x.org"))
    cursor = (await queue.changes(0)).cursor
    assert [(item.id, item.complete, item.name, item.spec_hash) for item in await queues.changed_objects(queue, 0)] == [
        (id_, False, "backup", "spec-1")
    ]
    await queues.settle(queue, queues.outcome(first, S.ACCEPTED))
    await queues.settle(queue, queues.outcome(second, S.FAILED))
    queue = await queue_factory.reopen()
    (news,) = await queues.changed_objects(queue, cursor)
    assert (news.id, news.complete) == (id_, True)
    assert [recipient_number.state for recipient_number in news.recipients] == [S.ACCEPTED, S.FAILED]
    cursor = (await queue.changes(cursor)).cursor
    assert await queue.changes(cursor) == feed.Feed(cursor=cursor, items=())


async def test_the_feed_is_read_in_parts(queue: ports.Queue) -> None:
    """A limited answer goes on where it stopped, oldest change first, and misses nothing."""
    ids = [(await queues.put(queue, source=queues.source(f"n{number}")))[0] for number in range(5)]
    await queue.record_probe(PROBE)
    cursor, found = 0, []
    while (part := await queue.changes(cursor, limit=2)).items:
        assert len(part.items) <= 2
        cursor = part.cursor
        found += [getattr(item, "id", "probe") for item in part.items]
    assert found == [*ids, "probe"]


async def test_a_recreated_object_is_news(queue: ports.Queue) -> None:
    """The feed tells the record again under the new object's uid, whose status has to be written."""
    await queues.put(queue, source=queues.source())
    cursor = (await queue.changes(0)).cursor
    await queues.put(queue, source=queues.source())
    assert (await queue.changes(cursor)).items == ()
    await queues.put(queue, source=queues.source(object_uid="object-2"))
    assert [item.object_uid for item in await queues.changed_objects(queue, cursor)] == ["object-2"]


async def test_cursors_are_not_given_twice(queue_factory: queues.Factory) -> None:
    """Removing the last item that changed does not turn the cursor back."""
    queue = await queue_factory.open()
    _, (recipient_number,) = await queues.put(queue, source=queues.source())
    await queues.settle(queue, queues.outcome(recipient_number, S.ACCEPTED))
    cursor = (await queue.changes(0)).cursor
    assert await queue.purge(now=queues.START + dt.timedelta(days=30)) == 1
    queue = await queue_factory.reopen()
    await queues.put(queue, source=queues.source())
    assert len((await queue.changes(cursor)).items) == 1


async def test_a_cursor_from_the_future_starts_anew(queue: ports.Queue) -> None:
    """Whoever read from a volume that is gone hears everything from the new one."""
    id_, _ = await queues.put(queue, source=queues.source())
    assert [item.id for item in await queues.changed_objects(queue, 1_000_000)] == [id_]
    assert (await queue.changes(1_000_000)).cursor < 1_000_000


async def test_a_probe_result_replaces_the_last(queue_factory: queues.Factory) -> None:
    """The queue keeps one result for each key; only a new finding is news, not a new time."""
    queue = await queue_factory.open()
    await queue.record_probe(PROBE)
    cursor = (await queue.changes(0)).cursor
    later = PROBE.model_copy(update={"probed_at": queues.START + dt.timedelta(hours=1)})
    await queue.record_probe(later)
    assert (await queue.changes(cursor)).items == ()
    assert list(await queue.probes()) == [later]
    failed = later.model_copy(update={"reason": "AuthenticationFailed", "stage": vocabulary.ProbeStage.AUTH})
    await queue.record_probe(failed)
    queue = await queue_factory.reopen()
    assert (await queue.changes(cursor)).items == (failed,)
    assert list(await queue.probes()) == [failed]


async def test_a_change_wakes_those_who_wait(queue: ports.Queue) -> None:
    """Waiting ends with the next change, at once if there was one, and in any case in time."""
    await queues.put(queue, source=queues.source())
    cursor = (await queue.changes(0)).cursor
    await queue.wait_for_change(0, within=dt.timedelta(minutes=1))
    await queue.wait_for_change(cursor, within=dt.timedelta(milliseconds=1))
    waiting = asyncio.ensure_future(queue.wait_for_change(cursor, within=dt.timedelta(minutes=1)))
    await queues.put(queue)
    assert not waiting.done()
    await queues.put(queue, source=queues.source("other"))
    await asyncio.wait_for(waiting, 30)


async def test_a_cancelled_caller_does_not_undo(queue: ports.Queue) -> None:
    """An outcome whose caller is gone is stored nevertheless."""
    id_, (recipient_number,) = await queues.put(queue)
    await queue.note_dot(recipient_number, queues.SNAPSHOT)
    queues.settle(queue, queues.outcome(recipient_number, S.ACCEPTED)).cancel()

    async def is_stored() -> bool:
        return await queues.states(queue, id_) == ["accepted"]

    # What is taken in by another commit meanwhile does not say that this one is over.
    await wait.until_async(is_stored, within_seconds=10, why="the outcome is stored")


async def test_what_the_sender_learned_is_kept(queue_factory: queues.Factory) -> None:
    """A text under a key is there for the next process, in place of the one before."""
    queue = await queue_factory.open()
    assert await queue.recall("relays.host") is None
    await queue.remember("relays.host", "one")
    await queue.remember("relays.host", "two")
    queue = await queue_factory.reopen()
    assert (await queue.recall("relays.host"), await queue.recall("other")) == ("two", None)


async def test_what_the_sender_learned_is_found_by_its_beginning_and_forgotten(queue: queues.WholeQueue) -> None:
    """Texts of one kind have keys of their own, so that one of them is written, and not all."""
    for key in ("logins/team-a", "logins/team-b", "login", "loginsX", "other"):
        await queue.remember(key, key.upper())
    await queue.forget("logins/team-b")
    await queue.forget("never/kept")
    assert await queue.recall_all("logins/") == {"logins/team-a": "LOGINS/TEAM-A"}
