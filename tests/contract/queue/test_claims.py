"""What is claimed of a queue: what is due, once, with all that its message is built from."""

import asyncio
import dataclasses
import datetime as dt
import tracemalloc

import pytest

from kit import queues
from mailtier.api import vocabulary
from mailtier.mail import states
from mailtier.sender import ports

S = vocabulary.RecipientState

_LANE = ports.BacklogKey(lane=queues.LANE, category=vocabulary.Category.JOB_ALERT)
_MINUTE = dt.timedelta(minutes=1)
_OTHER = dataclasses.replace(queues.LANE, organization="sales")


def _demand(**changes: object) -> ports.Demand:
    usual = ports.Demand(
        backlog=_LANE, due_by=queues.START, states=states.UNFINISHED, limit=100, limit_bytes=1024 * 1024
    )
    return dataclasses.replace(usual, **changes)  # type: ignore[arg-type]  # Fields by name, for the tests' brevity.


async def _claim(queue: ports.Queue, **changes: object) -> tuple[list[int], dt.datetime | None]:
    """Return which recipients of a backlog are claimed, and when the next one is due."""
    demand = _demand(**changes)
    claims = await queue.claim([demand])
    return [each.pending.recipient_number for each in claims.claimed], claims.next_due[demand.backlog]


async def test_what_is_due_is_claimed_in_its_order(queue: ports.Queue) -> None:
    """Those that are due first come first, as many as are wanted; the rest stays, and it is told when it is due."""
    numbers = {}
    for minutes in (3, 1, 2, -1, 5):
        _, (numbers[minutes],) = await queues.put(queue, accepted_at=queues.START + minutes * _MINUTE)
    assert await _claim(queue) == ([numbers[-1]], queues.START + _MINUTE)
    assert await _claim(queue, due_by=queues.START + 4 * _MINUTE, limit=2) == (
        [numbers[1], numbers[2]],
        queues.START + 3 * _MINUTE,
    )
    assert await _claim(queue, due_by=None) == ([numbers[3], numbers[5]], None)


async def test_what_no_wait_explains_is_due(queue: ports.Queue) -> None:
    """A clock that was set back keeps nothing for longer than anything waits, whatever else waits there (R14)."""
    numbers = {}
    for minutes in (-1, 20, 180):
        _, (numbers[minutes],) = await queues.put(queue, accepted_at=queues.START + minutes * _MINUTE)
    later = dict.fromkeys(vocabulary.Category, queues.START + 30 * _MINUTE)
    assert await queue.backlogs(later) == {_LANE: queues.START + 180 * _MINUTE}
    assert await _claim(queue, due_from=queues.START + 30 * _MINUTE) == (
        [numbers[-1], numbers[180]],
        queues.START + 20 * _MINUTE,
    )
    queue.unclaim([numbers[180]])
    assert await _claim(queue, due_from=queues.START + 15 * _MINUTE) == ([numbers[20], numbers[180]], None)


async def test_what_no_wait_explains_is_claimed_as_there_is_room(queue: ports.Queue) -> None:
    """Where not all of that fits, what is left of it is told, as it is due before what waits."""
    numbers = {}
    for minutes in (20, 180, 181):
        _, (numbers[minutes],) = await queues.put(queue, accepted_at=queues.START + minutes * _MINUTE)
    due_from = queues.START + 30 * _MINUTE
    assert await _claim(queue, due_from=due_from, limit=1) == ([numbers[180]], queues.START + 181 * _MINUTE)
    assert await _claim(queue, due_from=due_from, limit=1) == ([numbers[181]], queues.START + 20 * _MINUTE)


async def test_what_is_claimed_has_all_that_an_attempt_needs(queue: ports.Queue) -> None:
    """State, times and attempts stand beside what the message is built from, as they are stored."""
    _, (recipient_number,) = await queues.put(queue, text="Hello")
    await queues.settle(queue, queues.outcome(recipient_number, S.DEFERRED))
    (claimed,) = await queues.claim(queue)
    pending, job = claimed.pending, claimed.job
    assert (pending.state, pending.attempts, pending.due_at) == (S.DEFERRED, 1, queues.START + 5 * _MINUTE)
    assert (job.recipient_number, job.text, job.attempts) == (recipient_number, "Hello", 1)
    assert (pending.expires_at, pending.lane, pending.category) == (job.expires_at, job.lane, job.category)


async def test_what_is_claimed_is_given_to_nobody_else(queue_factory: queues.Factory) -> None:
    """A claim ends when it is given back, with a final outcome, or with the process, and with nothing else."""
    queue = await queue_factory.open()
    _, (one, two, three) = await queues.put(queue, recipients=("a@x.org", "b@x.org", "c@x.org"))
    assert await _claim(queue) == ([one, two, three], None)
    await queues.settle(queue, queues.outcome(one, S.ACCEPTED))
    await queues.settle(queue, queues.outcome(two, S.DEFERRED, at=queues.START - 10 * _MINUTE))
    assert await _claim(queue) == ([], None)
    queue.unclaim([two, 1_000_000])
    assert await _claim(queue) == ([two], None)
    queue = await queue_factory.reopen()
    assert await _claim(queue) == ([two, three], None)


async def test_nobody_is_claimed_twice_at_the_same_time(queue: ports.Queue) -> None:
    """Claims that are made at once divide what there is."""
    for _ in range(10):
        await queues.put(queue, recipients=("a@x.org",) * 10)
    found = await asyncio.gather(*(_claim(queue, limit=7) for _ in range(20)))
    claimed = [number for numbers, _ in found for number in numbers]
    assert len(claimed) == len(set(claimed)) == 100


async def test_what_is_claimed_is_in_nobody_s_way(queue: ports.Queue) -> None:
    """Behind hundreds that are claimed, and stay so, the next ones are found."""
    for _ in range(30):
        await queues.put(queue, recipients=("a@x.org",) * 20)
    first, _ = await _claim(queue, limit=580)
    rest, next_due = await _claim(queue, limit=100)
    assert (len(first), len(rest), next_due) == (580, 20, None)


async def test_backlogs_do_not_mix(queue: ports.Queue) -> None:
    """What is wanted of one organization and category brings nothing of another; several are claimed at once."""
    _, (alert,) = await queues.put(queue)
    _, (update,) = await queues.put(queue, category=vocabulary.Category.PRODUCT_UPDATE)
    _, (other,) = await queues.put(queue, lane=_OTHER)
    assert await _claim(queue) == ([alert], None)
    updates = dataclasses.replace(_LANE, category=vocabulary.Category.PRODUCT_UPDATE)
    others = dataclasses.replace(_LANE, lane=_OTHER)
    claims = await queue.claim([_demand(backlog=others), _demand(backlog=updates), _demand()])
    assert [each.pending.recipient_number for each in claims.claimed] == [other, update]
    assert claims.next_due == {others: None, updates: None, _LANE: None}


async def test_the_backlogs_are_told_with_their_times(queue_factory: queues.Factory) -> None:
    """Each with something unfinished, and when its first is due, claimed or not, over restarts; no other."""
    queue = await queue_factory.open()
    assert await queue.backlogs() == {}
    _, (done,) = await queues.put(queue, lane=_OTHER)
    await queues.settle(queue, queues.outcome(done, S.FAILED))
    _, (deferred,) = await queues.put(queue)
    await queues.settle(queue, queues.outcome(deferred, S.DEFERRED))
    later = queues.START + 3 * _MINUTE
    await queues.put(queue, accepted_at=later)
    assert await queue.backlogs() == {_LANE: later}
    await queues.claim(queue)
    assert await queue.backlogs() == {_LANE: later}
    queue = await queue_factory.reopen()
    await queue.purge(now=queues.START)
    assert await queue.backlogs() == {_LANE: later}


@pytest.mark.parametrize("state", sorted(states.UNFINISHED))
async def test_states_can_be_chosen(queue: ports.Queue, state: S) -> None:
    """Only recipients in wanted states are claimed, and only of them it is told what is left."""
    numbers = {}
    for each in sorted(states.UNFINISHED):
        _, (numbers[each],) = await queues.put(queue)
        if each is not S.QUEUED:
            await queues.settle(queue, queues.outcome(numbers[each], each))
    assert await _claim(queue, states={state}, due_by=None) == ([numbers[state]], None)
    rest = sorted(set(numbers.values()) - {numbers[state]})
    found, _ = await _claim(queue, due_by=None)
    assert sorted(found) == rest


async def test_payloads_are_limited(queue: ports.Queue) -> None:
    """No more is read than fits, but for one that does not fit alone; what did not fit is left, and told."""
    _, (large,) = await queues.put(queue, text="x" * 5_000)
    _, (one, two) = await queues.put(queue, recipients=("a@x.org", "b@x.org"), text="y" * 400)
    assert await _claim(queue, limit_bytes=1_000) == ([large], queues.START)
    assert await _claim(queue, limit_bytes=600) == ([one], queues.START)
    assert await _claim(queue, limit_bytes=600) == ([two], None)


async def _peak_bytes(queue: ports.Queue, demands: list[ports.Demand]) -> tuple[int, int]:
    """Return how many are claimed, and how much memory that took."""
    tracemalloc.start()
    try:
        claims = await queue.claim(demands)
        return len(claims.claimed), tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


async def test_what_does_not_fit_is_not_read(queue: ports.Queue) -> None:
    """Of hundreds of large payloads only those are read that fit: claiming takes no more memory than it may (R15)."""
    for _ in range(16):
        await queues.put(queue, text="x" * 250_000, recipients=("a@x.org",) * 20)
    claimed, peak_bytes = await _peak_bytes(queue, [_demand(limit=312)])
    assert claimed == 4
    assert peak_bytes < 8 * 1024 * 1024


async def test_what_a_notification_says_is_read_once(queue: ports.Queue) -> None:
    """Its recipients share it: a large one to many takes as much memory as it is large (R15)."""
    await queues.put(queue, text="x" * 250_000, recipients=("a@x.org",) * 20)
    claimed, peak_bytes = await _peak_bytes(queue, [_demand(limit_bytes=10**9)])
    assert claimed == 20
    assert peak_bytes < 3 * 1024 * 1024


@pytest.mark.parametrize("count", [3, 12])
async def test_payloads_of_each_demand_are_limited(queue: ports.Queue, count: int) -> None:
    """Where several backlogs are claimed from at once, each has its own limit, and tells what it left."""
    others = dataclasses.replace(_LANE, lane=_OTHER)
    numbers: dict[ports.BacklogKey, list[int]] = {_LANE: [], others: []}
    for backlog, numbered in numbers.items():
        for _ in range(count):
            _, (number,) = await queues.put(queue, lane=backlog.lane, text="x" * 300)
            numbered.append(number)
    claims = await queue.claim([_demand(backlog=others, limit_bytes=1_000), _demand(limit_bytes=10_000)])
    assert [each.pending.recipient_number for each in claims.claimed] == [*numbers[others][:2], *numbers[_LANE]]
    assert claims.next_due == {others: queues.START, _LANE: None}
    claims = await queue.claim([_demand(backlog=others), _demand()])
    assert [each.pending.recipient_number for each in claims.claimed] == numbers[others][2:]


async def test_what_expired_is_claimed_whatever_it_waits_for(queue: ports.Queue) -> None:
    """By its max age, the oldest first, of all backlogs; not what is claimed, and it is told when there is more."""
    numbers = []
    for minutes, lane in ((3, queues.LANE), (1, _OTHER), (2, queues.LANE), (9, queues.LANE)):
        _, (number,) = await queues.put(queue, lane=lane, expires_at=queues.START + minutes * _MINUTE)
        numbers.append(number)
    await queues.settle(queue, queues.outcome(numbers[0], S.DEFERRED))
    now = queues.START + 4 * _MINUTE
    first, _ = await queue.claim_expired(now=now, limit=2)
    assert [each.recipient_number for each in first] == [numbers[1], numbers[2]]
    rest, _ = await queue.claim_expired(now=now, limit=2)
    assert [(each.recipient_number, each.state) for each in rest] == [(numbers[0], S.DEFERRED)]
    assert await _claim(queue, due_by=None) == ([numbers[3]], None)
    for number in numbers[:3]:
        await queues.settle(queue, queues.outcome(number, S.FAILED, attempted=False))
    assert await queue.claim_expired(now=now, limit=2) == ([], queues.START + 9 * _MINUTE)
    await queues.settle(queue, queues.outcome(numbers[3], S.ACCEPTED))
    assert await queue.claim_expired(now=now, limit=2) == ([], None)
