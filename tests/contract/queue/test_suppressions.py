"""Addresses that servers refused as unknown: counted with the outcomes, told to whoever claims, listed and cleared."""

import dataclasses
import datetime as dt

import pytest

from kit import queues
from mailtier.api import feed, vocabulary
from mailtier.sender import ports
from mailtier.sender.between import filing
from mailtier.sender.queueing import suppressions

S = vocabulary.RecipientState

_UID = queues.LANE.namespace_uid
_UNKNOWN = feed.LastFailure(scope="Recipient", phase="rcpt", code=550, enhanced="5.1.1")
_UNTIL = queues.START + suppressions.KEPT


@pytest.fixture(name="filed")
def filed_queue(queue: queues.WholeQueue) -> queues.WholeQueue:
    """Return the queue as people ask it."""
    return queue


async def _refuse(queue: ports.Queue, address: str, *, at: dt.datetime = queues.START, **changes: object) -> str:
    """Return the id of a notification whose recipient a server refused as unknown."""
    id_, (number,) = await queues.put(queue, recipients=(address,), **changes)
    await queues.settle(queue, dataclasses.replace(queues.outcome(number, S.FAILED, at=at), failure=_UNKNOWN))
    return id_


async def _suppress(queue: ports.Queue, address: str, *, at: dt.datetime = queues.START, **changes: object) -> None:
    for _ in range(suppressions.REFUSALS):
        await _refuse(queue, address, at=at, **changes)


async def _listed(
    queue: filing.FilingQueue, *, uid: str = _UID, now: dt.datetime = queues.START, limit: int = 100
) -> list[filing.Suppression]:
    """Return a whole list, read page by page."""
    found: list[filing.Suppression] = []
    after: filing.SuppressionKey | None = ("", "")
    while after is not None:
        page = await queue.suppressions(uid, now=now, after=after, limit=limit)
        assert len(page.suppressions) <= limit
        found += page.suppressions
        after = page.following
    return found


async def _until(queue: ports.Queue, number: int) -> dt.datetime | None:
    (found,) = [each for each in await queues.look(queue) if each.pending.recipient_number == number]
    return found.suppressed_until


async def test_two_messages_suppress_an_address(queue_factory: queues.Factory) -> None:
    """Whoever claims is told, whatever the letters' case, and that outlives a restart."""
    queue = await queue_factory.open()
    await _refuse(queue, "Nobody@example.org")
    _, (before,) = await queues.put(queue, recipients=("nobody@example.org",))
    assert await _until(queue, before) is None
    await _refuse(queue, "nobody@Example.org")
    assert await _until(queue, before) == _UNTIL
    queue = await queue_factory.reopen()
    assert await _until(queue, before) == _UNTIL
    _, (other,) = await queues.put(queue, recipients=("somebody@example.org",))
    assert await _until(queue, other) is None


async def test_it_is_the_organization_s(filed: queues.WholeQueue) -> None:
    """Another organization, and another namespace of the same name, send as before (R3, R11)."""
    await _suppress(filed, "nobody@example.org")
    for lane in (
        dataclasses.replace(queues.LANE, organization="sales"),
        dataclasses.replace(queues.LANE, namespace_uid="uid-recreated"),
    ):
        _, (number,) = await queues.put(filed, recipients=("nobody@example.org",), lane=lane)
        assert await _until(filed, number) is None
    assert await _listed(filed, uid="uid-recreated") == []
    assert await filed.clear_suppressions("uid-recreated", organization=None, addresses=None) == 0
    assert len(await _listed(filed)) == 1


async def test_a_message_that_is_refused_again_counts_once(filed: queues.WholeQueue) -> None:
    """It takes two messages, and not a person who sends the same one again."""
    id_ = await _refuse(filed, "nobody@example.org")
    later = queues.START + dt.timedelta(hours=1)
    (pending,) = await filed.retry(_UID, id_, at=later, expires_at=_UNTIL, quota=queues.QUOTA)
    again = queues.outcome(pending.recipient_number, S.FAILED, at=later)
    await queues.settle(filed, dataclasses.replace(again, failure=_UNKNOWN))
    assert await _listed(filed) == []


async def test_a_password_recovery_counts_for_nothing(filed: queues.WholeQueue) -> None:
    """Strangers ask for them in anybody's name."""
    await _suppress(filed, "nobody@example.org", category=vocabulary.Category.PASSWORD_RECOVERY)
    assert await _listed(filed) == []


async def test_what_is_cleared_is_tried_again(filed: queues.WholeQueue) -> None:
    """By address, by organization, or all; of what is not there nothing is said to be done."""
    sales = dataclasses.replace(queues.LANE, organization="sales")
    for lane, address in ((queues.LANE, "a@x.org"), (queues.LANE, "b@x.org"), (sales, "a@x.org"), (sales, "c@x.org")):
        await _suppress(filed, address, lane=lane)
    assert await filed.suppressed(now=queues.START) == 4
    assert await filed.clear_suppressions(_UID, organization="default", addresses=["A@x.org", "z@x.org"]) == 1
    assert [(each.organization, each.address) for each in await _listed(filed, limit=1)] == [
        ("default", "b@x.org"),
        ("sales", "a@x.org"),
        ("sales", "c@x.org"),
    ]
    assert await filed.clear_suppressions(_UID, organization="sales", addresses=None) == 2
    assert await filed.clear_suppressions(_UID, organization=None, addresses=["b@x.org"]) == 1
    assert await filed.suppressed(now=queues.START) == 0
    _, (number,) = await queues.put(filed, recipients=("b@x.org",))
    assert await _until(filed, number) is None
    # From the beginning: one more refusal is the first.
    await _refuse(filed, "b@x.org")
    assert await _listed(filed) == []


async def test_it_is_over_after_seven_days(filed: queues.WholeQueue) -> None:
    """It is listed and counted until then, and removed after."""
    await _suppress(filed, "nobody@example.org")
    (listed,) = await _listed(filed, now=_UNTIL - dt.timedelta(seconds=1))
    assert (listed.refused_at, listed.until) == (queues.START, _UNTIL)
    assert await _listed(filed, now=_UNTIL) == []
    assert await filed.suppressed(now=_UNTIL) == 0
    await filed.purge(now=_UNTIL)
    _, (number,) = await queues.put(filed, recipients=("nobody@example.org",))
    assert await _until(filed, number) is None


async def test_a_namespace_has_so_many_and_no_more(filed: queues.WholeQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that were refused longest ago are forgotten; a neighbour keeps its own (R15)."""
    monkeypatch.setattr(suppressions, "MOST", 3)
    neighbour = dataclasses.replace(queues.LANE, namespace_uid="uid-b", namespace="team-b")
    await _suppress(filed, "theirs@x.org", lane=neighbour)
    for minute in range(5):
        await _suppress(filed, f"{minute}@x.org", at=queues.START + dt.timedelta(minutes=minute))
    assert [each.address for each in await _listed(filed)] == ["2@x.org", "3@x.org", "4@x.org"]
    assert [each.address for each in await _listed(filed, uid="uid-b")] == ["theirs@x.org"]


async def test_a_namespace_that_is_gone_leaves_nothing(filed: queues.WholeQueue) -> None:
    """What is known of its addresses goes with what else is kept of it (R11)."""
    await _suppress(filed, "nobody@example.org")
    await filed.wipe_namespace(_UID)
    assert await filed.suppressed(now=queues.START) == 0


async def test_what_was_suppressed_is_kept_and_sent_again(filed: queues.WholeQueue) -> None:
    """It has a final state of its own, from which a person has it sent again, as from failed."""
    id_, (number,) = await queues.put(filed, text="It")
    await queues.settle(filed, queues.outcome(number, S.SUPPRESSED, attempted=False))
    record = await queues.record(filed, id_)
    assert (record.complete, record.recipients[0].state, record.recipients[0].attempts) == (True, S.SUPPRESSED, 0)
    assert await filed.kept_payloads() == 1
    pending = await filed.retry(_UID, id_, at=queues.START, expires_at=_UNTIL, quota=queues.QUOTA)
    assert [each.recipient_number for each in pending] == [number]
    assert (await queues.job(filed, number)).text == "It"
