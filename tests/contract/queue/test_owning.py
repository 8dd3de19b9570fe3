"""Several senders on one database: each backlog and each room is one's alone, and passes on whole (R4)."""

import asyncio
import collections.abc
import contextlib
import dataclasses
import datetime as dt

import asyncpg
import pytest

from kit import postgres, queues, wait
from mailtier.api import vocabulary
from mailtier.mail import states
from mailtier.sender import ports
from mailtier.sender.between import owning, requests
from mailtier.sender.storage.postgres import shared_queue

_S = vocabulary.RecipientState
_OTHER = dataclasses.replace(queues.LANE, organization="other")
_SHORT = dt.timedelta(seconds=3)


class _Senders:
    """Senders of one database, by their names."""

    def __init__(self, dsn: str) -> None:
        self.dsn = dsn
        self._stack = contextlib.AsyncExitStack()

    async def open(self, name: str, *, lease: dt.timedelta = dt.timedelta(minutes=5)) -> shared_queue.SharedQueue:
        """Return the queue as a sender has it, closed with the test."""
        options = shared_queue.SharedOptions(dsn=lambda: self.dsn, name=name, lease=lease)
        opened = await shared_queue.open_queue(options, now=queues.Clock())
        self._stack.push_async_callback(opened.close)
        return opened

    async def close(self) -> None:
        """Close what is open."""
        await self._stack.aclose()


@pytest.fixture(name="senders")
async def senders_of_one_database() -> collections.abc.AsyncIterator[_Senders]:
    """Return what opens senders of one database."""
    dsn = await asyncio.to_thread(postgres.new_database)
    opened = _Senders(dsn)
    yield opened
    await opened.close()
    await asyncio.to_thread(postgres.drop_database, dsn)


async def _claim(queue: shared_queue.SharedQueue, lane: ports.LaneKey = queues.LANE) -> list[int]:
    """Return what a sender is given of an organization's alerts."""
    key = ports.BacklogKey(lane=lane, category=vocabulary.Category.JOB_ALERT)
    demand = ports.Demand(backlog=key, due_by=None, states=states.UNFINISHED, limit=100, limit_bytes=10**9)
    return [each.pending.recipient_number for each in (await queue.claim([demand])).claimed]


async def test_one_backlog_is_claimed_by_one(senders: _Senders) -> None:
    """What one has claimed of is the other's neither by its backlog, nor by its numbers, nor when it expires."""
    one, other = await senders.open("one"), await senders.open("other")
    _, mine = await queues.put(one)
    _, theirs = await queues.put(one, lane=_OTHER)
    assert await _claim(one) == mine
    assert await _claim(other) == []
    assert await _claim(other, _OTHER) == theirs
    assert await _claim(one, _OTHER) == []
    # Free in the first one's memory, and the second one's all the same.
    one.unclaim(mine)
    other.unclaim(theirs)
    assert [each.recipient_number for each in await one.claim_these(mine + theirs)] == mine
    one.unclaim(mine)
    late = queues.START + dt.timedelta(days=2)
    for queue, numbers in ((one, mine), (other, theirs)):
        expired, _ = await queue.claim_expired(now=late, limit=100)
        assert [each.recipient_number for each in expired] == numbers


async def test_two_that_ask_at_once_share_nothing(senders: _Senders) -> None:
    """However many ask for the same backlogs at the same time, each recipient is given to one."""
    several = [await senders.open(f"sender-{number}") for number in range(3)]
    lanes = [dataclasses.replace(queues.LANE, organization=f"team-{number}") for number in range(30)]
    numbers = [(await queues.put(several[0], lane=lane))[1][0] for lane in lanes]
    given = await asyncio.gather(*(_claim(queue, lane) for lane in lanes for queue in several))
    assert sorted(number for part in given for number in part) == sorted(numbers)


async def test_what_expires_of_nobody_s_is_for_whom_it_belongs_to(senders: _Senders) -> None:
    """A sender owns for that only what it is told to be its own."""
    one, other = await senders.open("one"), await senders.open("other")
    _, (mine,) = await queues.put(one)
    _, (theirs,) = await queues.put(one, lane=_OTHER)
    one.ask_whose(lambda lane: lane == queues.LANE)
    other.ask_whose(lambda lane: lane == _OTHER)
    late = queues.START + dt.timedelta(days=2)
    for queue, number in ((one, mine), (other, theirs)):
        expired, _ = await queue.claim_expired(now=late, limit=100)
        assert [each.recipient_number for each in expired] == [number]


async def test_a_backlog_passes_on_once_nothing_of_it_is_claimed(senders: _Senders) -> None:
    """Its owner gives it up when all of its claims are over and stored; the next one reads what was stored."""
    one, other = await senders.open("one"), await senders.open("other")
    _, (number,) = await queues.put(one)
    assert await _claim(one) == [number]
    assert await one.give_up((), [queues.LANE, _OTHER]) == {queues.LANE}
    assert await _claim(other) == []
    stored = one.settle([queues.outcome(number, _S.DEFERRED)])
    one.unclaim([number])
    assert await one.give_up((), [queues.LANE]) == set()
    assert stored.done()
    (found,) = await queues.unfinished(other)
    assert (found.recipient_number, found.state, found.attempts) == (number, _S.DEFERRED, 1)
    assert await _claim(other) == [number]
    assert await _claim(one) == []


async def test_a_backlog_does_not_pass_on_before_its_outcomes(senders: _Senders) -> None:
    """However long an outcome takes to be stored, until then nobody else is given the recipient as it was (R4)."""
    one, other = await senders.open("one"), await senders.open("other")
    _, (number,) = await queues.put(one)
    assert await _claim(one) == [number]
    connection = await asyncpg.connect(senders.dsn)
    try:
        async with connection.transaction():
            await connection.execute("SELECT FROM mailtier.notifications FOR UPDATE")
            stored = one.settle([queues.outcome(number, _S.DEFERRED)])
            one.unclaim([number])
            giving = asyncio.create_task(one.give_up((), [queues.LANE]))
            for _ in range(5):
                assert await _claim(other) == []
            assert not giving.done()
        assert await giving == set()
        assert stored.done()
    finally:
        await connection.close()
    (found,) = await queues.unfinished(other)
    assert found.state is _S.DEFERRED


async def test_a_room_is_owned_by_one(senders: _Senders) -> None:
    """Whoever is first has it until it gives it up; then it is told that somebody had it before."""
    one, other = await senders.open("one"), await senders.open("other")
    assert await one.acquire(["/a", "/b"], team="") == {"/a": False, "/b": False}
    assert await one.acquire(["/a"], team="") == {"/a": True}
    assert await other.acquire(["/a", "/b", "/c"], team="") == {"/c": False}
    assert await one.give_up(["/a", "/c"], ()) == set()
    assert await other.acquire(["/a", "/b"], team="") == {"/a": True}
    assert [peer.name for peer in await other.peers()] == ["one", "other"]


async def test_rooms_are_acquired_at_once_by_several(senders: _Senders) -> None:
    """However many rooms several want at the same time, in whatever order, each has one owner and nobody fails."""
    several = [await senders.open(f"sender-{number}") for number in range(3)]
    rooms = [f"/server-{number}" for number in range(2_500)]
    wanted = (rooms, rooms[::-1], rooms[1_000:] + rooms[:1_000])
    found = await asyncio.gather(*(queue.acquire(part, team="") for queue, part in zip(several, wanted, strict=True)))
    assert sorted(room for part in found for room in part) == sorted(rooms)


async def test_who_owns_a_room_is_known_to_all(senders: _Senders) -> None:
    """And among whom that one was chosen; what is given up is nobody's, and nothing is told twice."""
    one, other = await senders.open("one"), await senders.open("other")
    assert await one.placements() == {}
    await one.acquire(["/a", "/b"], team="both")
    placed = await other.placements()
    (mine, _theirs) = await one.peers()
    assert placed == dict.fromkeys(["/a", "/b"], owning.Placement(owner=mine.number, team="both"))
    assert await other.placements() is placed
    await one.acquire(["/a"], team="one alone")
    await one.give_up(["/b"], ())
    assert await other.placements() == {"/a": owning.Placement(owner=mine.number, team="one alone")}
    await one.close()
    await wait.until_async(lambda: _is_empty(other), within_seconds=5, why="what one that went had owned is nobody's")


async def _is_empty(queue: shared_queue.SharedQueue) -> bool:
    return not await queue.placements()


async def test_who_comes_and_goes_is_heard_of(senders: _Senders) -> None:
    """A sender is told at once of another one that leaves, whose rooms and backlogs are free."""
    one, other = await senders.open("one"), await senders.open("other")
    _, (number,) = await queues.put(one)
    await one.acquire(["/a"], team="")
    assert await _claim(one) == [number]
    one.unclaim([number])
    await one.close()

    async def is_alone() -> bool:
        await other.wait_for_peers()
        return [peer.name for peer in await other.peers()] == ["other"]

    await wait.until_async(is_alone, within_seconds=5, why="it hears of it")
    assert await other.acquire(["/a"], team="") == {"/a": True}
    assert await _claim(other) == [number]


async def test_what_a_dead_one_owned_is_free_after_its_lease(senders: _Senders) -> None:
    """Until then it is nobody else's; then what was on the wire is in doubt, and what waited is queued."""
    dead, heir = await senders.open("dead", lease=_SHORT), await senders.open("heir", lease=_SHORT)
    await dead.acquire(["/a"], team="")
    id_, (first, second) = await queues.put(dead, recipients=("a@example.org", "b@example.org"))
    assert await _claim(dead) == [first, second]
    await dead.note_dot(first, queues.SNAPSHOT)
    assert await _claim(heir) == []
    await dead.abandon()
    assert await heir.acquire(["/a"], team="") == {}

    async def is_free() -> bool:
        await heir.wait_for_peers()
        return bool(await heir.acquire(["/a"], team=""))

    await wait.until_async(is_free, within_seconds=15, why="the lease of the dead one is over")
    assert await queues.states(heir, id_) == [_S.IN_DOUBT, _S.QUEUED]
    assert sorted(await _claim(heir)) == [first, second]


async def test_one_whose_time_is_over_can_do_nothing(senders: _Senders) -> None:
    """A sender that stood still and believes to be in time neither owns, claims, notes nor settles anything more."""
    paused, heir = await senders.open("paused", lease=_SHORT), await senders.open("heir", lease=_SHORT)
    id_, (first, second) = await queues.put(paused, recipients=("a@example.org", "b@example.org"))
    assert await _claim(paused) == [first, second]
    await paused._tenure.abandon()

    taken = list[int]()

    async def is_over() -> bool:
        taken.extend(await _claim(heir))
        return bool(taken)

    await wait.until_async(is_over, within_seconds=15, why="its lease is over")
    assert taken == [first, second]
    # As one whose clock stood still, too: the database alone knows better.
    paused._tenure._until = float("inf")
    assert not paused._tenure.lost.is_set()
    with pytest.raises(OSError, match="could not be noted"):
        await paused.note_dot(first, queues.SNAPSHOT)
    assert await _claim(paused) == []
    with pytest.raises(ports.StorageBrokenError):
        await paused.acquire(["/a"], team="")
    (error,) = await paused.settle([queues.outcome(first, _S.FAILED)])
    assert isinstance(error, ports.StorageBrokenError)
    assert await queues.states(heir, id_) == [_S.QUEUED, _S.QUEUED]


async def test_what_is_shown_of_an_organization_passes_on(senders: _Senders) -> None:
    """Each shows what it delivers; who leaves it takes back nothing of the next one, and what a dead one shows goes."""
    one, other = await senders.open("one"), await senders.open("other")
    await one.show({queues.LANE: '"by one"', _OTHER: '"by one"'})
    await other.show({queues.LANE: '"by the other"'})
    await one.show({queues.LANE: None})
    assert (await other.shown(0)).texts == {queues.LANE: '"by the other"', _OTHER: '"by one"'}
    await other.show_nothing()
    assert (await other.shown(0)).texts == {queues.LANE: '"by the other"', _OTHER: '"by one"'}
    await one.close()
    assert (await other.shown(0)).texts == {queues.LANE: '"by the other"', _OTHER: None}


async def test_a_request_is_taken_by_whom_it_concerns(senders: _Senders) -> None:
    """Who leaves it for another sender may take it later, when it concerns that one; whoever took it does not again."""
    one, other = await senders.open("one"), await senders.open("other")
    number = await one.ask(
        requests.NewRequest(
            namespace_uid="uid-a",
            kind=requests.RequestKind.RELEASE,
            body="{}",
            asked_at=queues.START,
            take_by=queues.START + dt.timedelta(seconds=5),
        )
    )
    assert await one.take_requests(now=queues.START, is_mine=lambda _request: False) == []
    (taken,) = await other.take_requests(now=queues.START, is_mine=lambda request: request.number == number)
    assert taken.number == number
    assert await other.take_requests(now=queues.START) == []
    assert await other.reply(number, "{}", is_final=True)
    assert await one.take_requests(now=queues.START) == []


async def _enter_a_former_one(dsn: str) -> int:
    """Have a sender of the version before enter, as it did; return its number."""
    connection = await asyncpg.connect(dsn)
    try:
        return int(
            await connection.fetchval(
                "INSERT INTO mailtier.senders (name, expires_at) VALUES ('former', now() + '5 minutes'::interval) "
                "RETURNING number"
            )
        )
    finally:
        await connection.close()


async def _end(dsn: str, number: int) -> None:
    """Have a sender end in good order."""
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute("DELETE FROM mailtier.senders WHERE number = $1", number)
    finally:
        await connection.close()


async def test_beside_one_that_looks_at_no_owners_the_younger_claim_nothing(senders: _Senders) -> None:
    """One of the version before delivers everything once it is the oldest: those after it wait for its end (R4)."""
    former = await _enter_a_former_one(senders.dsn)
    several = [await senders.open(name, lease=_SHORT) for name in ("one", "other")]
    id_, (number,) = await queues.put(several[0])
    late = queues.START + dt.timedelta(days=2)
    for queue in several:
        assert await _claim(queue) == []
        assert await queue.claim_these([number]) == ()
        assert (await queue.claim_expired(now=late, limit=1))[0] == ()
    await _end(senders.dsn, former)

    async def is_claimed() -> bool:
        return await _claim(several[1]) == [number]

    await wait.until_async(is_claimed, within_seconds=10, why="the former one is gone")
    assert await queues.states(several[0], id_) == [_S.QUEUED]


async def test_beside_a_younger_one_that_looks_at_no_owners_the_oldest_claims(senders: _Senders) -> None:
    """As long as it is there the former version delivers nothing; whoever comes then does not either."""
    oldest = await senders.open("oldest", lease=_SHORT)
    await _enter_a_former_one(senders.dsn)
    youngest = await senders.open("youngest", lease=_SHORT)
    _, (number,) = await queues.put(oldest)
    assert await _claim(youngest) == []
    assert await _claim(oldest) == [number]
    assert [peer.shares for peer in await oldest.peers()] == [True, False, True]
