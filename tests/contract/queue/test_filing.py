"""What people ask of a queue: lists of it, what failed sent again, and what is kept dropped."""

import dataclasses
import datetime as dt
import sqlite3

import pytest

from kit import backends, queues
from mailtier.api import feed, vocabulary
from mailtier.sender import ports
from mailtier.sender.between import filing
from mailtier.sender.storage.postgres.failed import listing as shared_listing
from mailtier.sender.storage.sqlite import embedded
from mailtier.sender.storage.sqlite.failed import listing as embedded_listing

S = vocabulary.RecipientState

_UID = queues.LANE.namespace_uid
_CATEGORY = vocabulary.Category.JOB_ALERT
_LATER = queues.START + dt.timedelta(hours=1)
_UNTIL = _LATER + dt.timedelta(days=1)
_OTHER = dataclasses.replace(queues.LANE, namespace_uid="uid-b", namespace="team-b")


@pytest.fixture(name="filed")
def filed_queue(queue: queues.WholeQueue) -> queues.WholeQueue:
    """Return the queue as people ask it."""
    return queue


async def _end(queue: ports.Queue, state: vocabulary.RecipientState, **changes: object) -> tuple[str, int]:
    """Return a notification to one recipient that has ended, and that one's number."""
    id_, (number,) = await queues.put(queue, **changes)
    await queues.settle(queue, queues.outcome(number, state))
    return id_, number


async def _ids(
    queue: filing.FilingQueue, *, limit: int = 100, uid: str = _UID, wanted: filing.Filter | None = None
) -> list[str]:
    """Return the ids of a whole list, read page by page."""
    found: list[str] = []
    after = None
    while True:
        page = await queue.page(uid, wanted or filing.Filter(), after=after, limit=limit)
        assert len(page.records) <= limit
        found += [record.id for record in page.records]
        if page.following is None:
            return found
        after = page.following


async def _retry(queue: filing.FilingQueue, id_: str, quota: ports.QueueQuota = queues.QUOTA) -> list[int]:
    pending = await queue.retry(_UID, id_, at=_LATER, expires_at=_UNTIL, quota=quota)
    return [each.recipient_number for each in pending]


@pytest.mark.parametrize("limit", [1, 2, 100])
async def test_a_list_is_the_namespace_s_and_whole(filed: queues.WholeQueue, limit: int) -> None:
    """Each notification of a namespace is on one page, the latest first, and nothing of another is (R3)."""
    ids = [(await queues.put(filed))[0] for _ in range(5)]
    await queues.put(filed, lane=_OTHER)
    assert await _ids(filed, limit=limit) == ids[::-1]
    assert await _ids(filed, uid="uid-of-nobody") == []


async def test_a_list_is_of_what_is_asked_for(filed: queues.WholeQueue) -> None:
    """State and reason are of one recipient; organization and age are the notification's."""
    failed, _ = await _end(filed, S.FAILED)
    both, (first, _) = await queues.put(filed, recipients=("a@x.org", "b@x.org"))
    await queues.settle(filed, queues.outcome(first, S.FAILED))
    elsewhere, _ = await queues.put(filed, lane=dataclasses.replace(queues.LANE, organization="sales"))
    accepted, _ = await _end(filed, S.ACCEPTED, accepted_at=queues.START + dt.timedelta(minutes=1))
    for wanted, expected in (
        (filing.Filter(state=S.FAILED), [both, failed]),
        (filing.Filter(state=S.QUEUED), [elsewhere, both]),
        (filing.Filter(state=S.QUEUED, reason="Tested"), []),
        (filing.Filter(reason="Tested"), [accepted, both, failed]),
        # What has an end is as it is stored, whatever its organization waits for.
        (
            filing.Filter(reason="Held", waiting=[("sales", _CATEGORY), (queues.LANE.organization, _CATEGORY)]),
            [elsewhere, both],
        ),
        (filing.Filter(reason="Held", waiting=[("sales", _CATEGORY)]), [elsewhere]),
        (filing.Filter(reason="Held", waiting=[("sales", vocabulary.Category.LICENSE_STATUS)]), []),
        (filing.Filter(reason="Held", state=S.DEFERRED, waiting=[("sales", _CATEGORY)]), []),
        (filing.Filter(organizations=["sales"]), [elsewhere]),
        (filing.Filter(organizations=["sales", queues.LANE.organization]), [accepted, elsewhere, both, failed]),
        (filing.Filter(organizations=[]), []),
        (filing.Filter(accepted_before=queues.START + dt.timedelta(seconds=1)), [elsewhere, both, failed]),
    ):
        assert await _ids(filed, wanted=wanted, limit=1) == expected


async def test_a_page_looks_at_no_more_than_it_may(filed: queues.WholeQueue) -> None:
    """Where little is found in much, pages are empty and the list goes on: no reader is kept from others (R15)."""
    failed, _ = await _end(filed, S.FAILED)
    crowd = [(queues.notification(), queues.QUOTA) for _ in range(3)]
    await filed.enqueue_all(crowd)
    wanted = filing.Filter(state=S.FAILED)
    with pytest.MonkeyPatch.context() as patch:
        for listing in (embedded_listing, shared_listing):
            patch.setattr(listing, "_LOOKED_AT", 2)
        page = await filed.page(_UID, wanted, after=None, limit=10)
        assert (page.records, page.following) == ((), crowd[1][0].id)
        assert await _ids(filed, wanted=wanted) == [failed]


async def test_a_list_that_cannot_go_on_says_so(filed: queues.WholeQueue) -> None:
    """What it ended with is gone, or is another namespace's."""
    other, _ = await queues.put(filed, lane=_OTHER)
    for after in ("nothing", other):
        with pytest.raises(LookupError):
            await filed.page(_UID, filing.Filter(), after=after, limit=1)


async def test_what_failed_is_sent_again(queue_factory: queues.Factory) -> None:
    """Its ids stay, its attempts and expiry begin anew, and that outlives a restart."""
    queue = await queue_factory.open()
    id_, (failed, accepted, expired) = await queues.put(queue, recipients=("a@x.org", "b@x.org", "c@x.org"), text="It")
    met = feed.LastFailure(scope="Server", phase="dot")
    lost = dataclasses.replace(queues.outcome(failed, S.IN_DOUBT), failure=met, id_domain="example.com")
    await queues.settle(queue, lost)
    for number, state in ((failed, S.FAILED), (accepted, S.ACCEPTED), (expired, S.EXPIRED)):
        await queues.settle(queue, queues.outcome(number, state))
    assert (await queues.record(queue, id_)).complete
    assert await _retry(queue, id_) == [failed, expired]
    queue = await queue_factory.reopen()
    assert await queues.states(queue, id_) == ["queued", "accepted", "queued"]
    assert {pending.recipient_number for pending in await queues.unfinished(queue)} == {failed, expired}
    job = await queues.job(queue, failed)
    assert (job.notification_id, job.text, job.attempts, job.doubts, job.expires_at) == (id_, "It", 0, 0, _UNTIL)
    assert job.id_domain == "example.com"
    filed = await queue.look(_UID, id_)
    assert filed is not None
    assert (filed.record.complete, filed.record.kept_until, filed.unfinished) == (False, None, (failed, expired))
    # It may be long on its way: neither its text nor its record goes meanwhile.
    await queue.purge(now=queues.START + dt.timedelta(days=30))
    assert await queues.find_job(queue, failed) is not None
    for number in (failed, expired):
        await queues.settle(queue, queues.outcome(number, S.ACCEPTED, at=_LATER))
    assert await queue.kept_payloads() == 0


@backends.EMBEDDED_ALONE
async def test_what_was_stored_without_a_backlog_is_sent_again(filed: queues.WholeQueue) -> None:
    """What ended under a version that knew no backlogs is claimed like all else."""
    assert isinstance(filed, embedded.EmbeddedQueue)
    id_, number = await _end(filed, S.FAILED)

    def forget(connection: sqlite3.Connection) -> None:
        connection.execute("UPDATE recipients SET backlog = NULL")

    await filed._writer.submit(forget)
    assert await _retry(filed, id_) == [number]
    assert [claimed.pending.recipient_number for claimed in await queues.claim(filed)] == [number]


async def test_recipients_are_claimed_by_their_numbers(filed: queues.WholeQueue) -> None:
    """What somebody drops may be in the queue alone; what is claimed already, or has its end, is left out."""
    _, (first, second, ended) = await queues.put(filed, recipients=("a@x.org", "b@x.org", "c@x.org"))
    await queues.settle(filed, queues.outcome(ended, S.ACCEPTED))
    numbers = (first, second, ended)
    assert [pending.recipient_number for pending in await filed.claim_these((first,))] == [first]
    assert [pending.recipient_number for pending in await filed.claim_these(numbers)] == [second]
    filed.unclaim((first,))
    assert [pending.recipient_number for pending in await filed.claim_these(numbers)] == [first]


async def test_what_is_deferred_can_be_due_at_once(filed: queues.WholeQueue) -> None:
    """Of one organization, whatever its category; what is in doubt keeps its time, and what is due stays so."""
    later, past = queues.START + dt.timedelta(hours=1), queues.START - dt.timedelta(hours=1)
    _, (deferred, due, doubted) = await queues.put(filed, recipients=("a@x.org", "b@x.org", "c@x.org"))
    _, (theirs,) = await queues.put(filed, lane=_OTHER)
    for number, state, at in (
        (deferred, S.DEFERRED, later),
        (due, S.DEFERRED, past),
        (doubted, S.IN_DOUBT, later),
        (theirs, S.DEFERRED, later),
    ):
        await queues.settle(filed, dataclasses.replace(queues.outcome(number, state), due_at=at))
    assert [await filed.hasten(queues.LANE, now=queues.START) for _ in range(2)] == [1, 0]
    found = {each.recipient_number: each.due_at for each in await queues.unfinished(filed)}
    assert found == {deferred: queues.START, due: past, doubted: later, theirs: later}


async def test_a_retry_ends_like_any_other_attempt(filed: queues.WholeQueue) -> None:
    """What failed again is kept anew, and can be sent again."""
    id_, number = await _end(filed, S.FAILED)
    for _ in range(2):
        assert await _retry(filed, id_) == [number]
        await queues.settle(filed, queues.outcome(number, S.EXPIRED, at=_LATER, attempted=False))
        filed_now = await filed.look(_UID, id_)
        assert filed_now is not None
        assert filed_now.record.kept_until == _LATER + dt.timedelta(days=7)


async def test_an_object_that_is_sent_again_is_told(filed: queues.WholeQueue) -> None:
    """Its status has to say that it is under way again."""
    id_, _ = await _end(filed, S.FAILED, source=queues.source())
    before = await filed.changes(0)
    await _retry(filed, id_)
    (told,) = await queues.changed_objects(filed, before.cursor)
    assert (told.id, told.complete) == (id_, False)


@pytest.mark.parametrize(
    ("state", "changes", "says"),
    [
        (S.ACCEPTED, {}, "none of its recipients failed"),
        (S.QUEUED, {}, "to have what waits tried now, run `mailtier queue release"),
        (S.FAILED, {"category": vocabulary.Category.PASSWORD_RECOVERY}, "password recovery"),
    ],
)
async def test_what_cannot_be_sent_again(
    filed: queues.WholeQueue, state: vocabulary.RecipientState, changes: dict[str, object], says: str
) -> None:
    """What was accepted or is under way is not sent twice, and a reset link is gone (R11)."""
    id_, (number,) = await queues.put(filed, **changes)
    if state is not S.QUEUED:
        await queues.settle(filed, queues.outcome(number, state))
    with pytest.raises(filing.NotRetryableError, match=says):
        await _retry(filed, id_)
    with pytest.raises(LookupError):
        await filed.retry("uid-b", id_, at=_LATER, expires_at=_UNTIL, quota=queues.QUOTA)


async def test_a_retry_has_the_quota_of_what_is_queued(filed: queues.WholeQueue) -> None:
    """Who has as much queued as it may sends nothing again until there is room, and nothing is changed (R15)."""
    id_, _ = await _end(filed, S.FAILED)
    await queues.put(filed)
    with pytest.raises(ports.QuotaExceededError):
        await _retry(filed, id_, quota=ports.QueueQuota(messages=1))
    assert await queues.states(filed, id_) == ["failed"]
    assert len(await _retry(filed, id_, quota=ports.QueueQuota(messages=2))) == 1


async def test_what_is_sent_again_is_not_forgotten(filed: queues.WholeQueue) -> None:
    """Where the namespace's share is used up, neither its text nor its record makes room for others (R4, R15)."""
    id_, number = await _end(filed, S.FAILED)
    await _retry(filed, id_)
    with pytest.raises(ports.QuotaExceededError):
        await queues.enqueue(filed, queues.notification(), quota=ports.QueueQuota(stored_bytes=1_500))
    assert await queues.states(filed, id_) == ["queued"]
    assert await queues.find_job(filed, number) is not None


async def test_what_is_dropped_is_wiped(queue_factory: queues.Factory) -> None:
    """The text of what failed goes at once, and its record says how it ended; what is under way stays (R11)."""
    queue = await queue_factory.open()
    failed, _ = await _end(queue, S.FAILED, text="WIPEME")
    waiting, _ = await queues.put(queue)
    for id_, uid in ((failed, "uid-b"), (waiting, _UID), ("nothing", _UID)):
        await queue.drop(uid, id_)
    assert await queue.kept_payloads() == 1
    await queue.drop(_UID, failed)
    assert await queue.kept_payloads() == 0
    assert await queues.states(queue, failed) == ["failed"]
    with pytest.raises(filing.NotRetryableError, match="wiped"):
        await _retry(queue, failed)
    await queue.purge(now=queues.START)
    await queue_factory.close()
    assert not await queues.holds(queue_factory, "WIPEME")


async def test_when_it_is_tried_again_is_told(filed: queues.WholeQueue) -> None:
    """Of what waits for a time, and until when it is tried at all; not of what goes when it can, or has ended."""
    id_, (later, doubted, held, ended, _new) = await queues.put(
        filed, recipients=tuple(f"{name}@example.org" for name in "abcde")
    )
    for number, state in ((later, S.DEFERRED), (doubted, S.IN_DOUBT), (held, S.HELD), (ended, S.ACCEPTED)):
        await queues.settle(filed, queues.outcome(number, state))
    again_at = queues.START + dt.timedelta(minutes=5)
    looked = await filed.look(_UID, id_)
    assert looked is not None
    (listed,) = (await filed.page(_UID, filing.Filter(), after=None, limit=1)).records
    for record in (await queues.record(filed, id_), looked.record, listed):
        assert [each.next_attempt_at for each in record.recipients] == [again_at, again_at, None, None, None]
        assert record.expires_at == queues.START + dt.timedelta(days=1)
