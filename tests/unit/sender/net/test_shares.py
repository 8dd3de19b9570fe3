"""Slots that belong to all: who gets the next one, and how many anybody has."""

import asyncio
import collections

from hypothesis import given
from hypothesis import strategies as st

from kit import wait
from mailtier.sender.net import shares

_NAMES = "abcde"
_STEPS = st.lists(
    st.tuples(st.sampled_from(["take", "give", "leave", "tell", "use"]), st.sampled_from(_NAMES)), max_size=60
)


def _shares(total: int, each: int, at_least_seconds: float = 0.0) -> shares.Shares:
    return shares.Shares("openings", total=total, each=each, at_least_seconds=at_least_seconds)


async def _settled() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


async def test_nobody_has_more_than_a_share() -> None:
    """Also where nobody else wants any: what comes next should not have to wait for it (R15)."""
    slots = _shares(total=10, each=2)
    held = [slots.try_take("team-a") for _ in range(5)]
    assert [slot is not None for slot in held] == [True, True, False, False, False]
    assert slots.try_take("team-b") is not None


async def test_the_next_slot_goes_to_whoever_holds_the_fewest() -> None:
    """Whoever came first with as many does not: equal slots at every moment are equal time (R15)."""
    slots = _shares(total=4, each=4)
    greedy = [slots.try_take("team-a") for _ in range(4)]
    order: list[str] = []

    async def want(namespace: str) -> None:
        await slots.take(namespace)
        order.append(namespace)

    tasks = [asyncio.create_task(want(namespace)) for namespace in ("team-a", "team-a", "team-b", "team-c", "team-b")]
    await _settled()
    for slot in greedy:
        assert slot is not None
        slot.give_back()
        await _settled()
    assert order == ["team-b", "team-c", "team-b", "team-a"]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_who_gives_up_leaves_nothing_behind() -> None:
    """Neither before its turn nor in the moment of its turn does a slot get lost."""
    slots = _shares(total=1, each=1)
    first = slots.try_take("team-a")
    assert first is not None
    waiting = [asyncio.create_task(slots.take(namespace)) for namespace in ("team-a", "team-b", "team-c")]
    await _settled()
    waiting[0].cancel()
    await _settled()
    first.give_back()
    waiting[1].cancel()
    slot = await waiting[2]
    slot.give_back()
    assert slots.try_take("team-a") is not None


async def test_a_slot_is_kept_for_who_was_told() -> None:
    """It is there for their next try, and nobody else gets it meanwhile; unused it goes on to others."""
    slots = _shares(total=1, each=1)
    first, told = slots.try_take("team-a"), []
    assert first is not None
    slots.tell("team-b", lambda: told.append("team-b"))
    first.give_back()
    await _settled()
    assert told == ["team-b"]
    assert slots.try_take("team-a") is None
    kept = slots.try_take("team-b")
    assert kept is not None
    kept.give_back()
    assert slots.try_take("team-a") is not None


async def test_a_kept_slot_that_nobody_uses_is_given_on() -> None:
    """After a moment: who was told may have found something better to do."""
    slots = shares.Shares("openings", total=1, each=1, kept_seconds=0.01)
    first = slots.try_take("team-a")
    assert first is not None
    slots.tell("team-b", lambda: None)
    first.give_back()
    async with asyncio.timeout(10):
        await slots.take("team-a")


async def test_a_slot_that_is_given_back_at_once_is_free_later() -> None:
    """What costs the event loop at each use, a namespace cannot cause any number of times a second (R15)."""
    slots = _shares(total=10, each=1, at_least_seconds=0.05)
    loop = asyncio.get_running_loop()
    began = loop.time()
    for _ in range(3):
        (await slots.take("team-a")).give_back()
    assert loop.time() - began >= 0.1
    assert slots.try_take("team-b") is not None


async def test_the_host_needs_none() -> None:
    """Its own limits bound it, and tenants who hold everything do not keep it."""
    slots = _shares(total=1, each=1)
    assert slots.try_take("team-a") is not None
    with await slots.take(None):
        pass
    assert slots.try_take(None) is shares.FREE


async def test_nothing_is_remembered_of_who_has_nothing() -> None:
    """Ten thousand namespaces that came by once take no memory."""
    slots = _shares(total=2, each=1)
    for number in range(100):
        slot = slots.try_take(f"team-{number}")
        assert slot is not None
        slot.give_back()
    await wait.until_async(lambda: not len(slots), within_seconds=1, why="nothing is remembered")


class _Crowd:
    """Namespaces that take, give back and give up, and what they hold."""

    def __init__(self, slots: shares.Shares) -> None:
        self.slots = slots
        self.told: collections.Counter[str] = collections.Counter()
        self.waiting: dict[str, list[asyncio.Task[shares.ShareSlot]]] = collections.defaultdict(list)
        self._held: dict[str, list[shares.ShareSlot]] = collections.defaultdict(list)

    def used(self) -> dict[str, int]:
        """Return how many slots each has, those that are kept for it among them."""
        return {name: len(self._held[name]) + self.told[name] for name in _NAMES}

    async def step(self, action: str, namespace: str) -> None:
        """Do something that is possible."""
        match action:
            case "take":
                self.waiting[namespace].append(asyncio.create_task(self.slots.take(namespace)))
            case "tell":
                self.slots.tell(namespace, lambda: self.told.update([namespace]))
            case "use" if self.told[namespace]:
                self.told[namespace] -= 1
                kept = self.slots.try_take(namespace)
                assert kept is not None
                self._held[namespace].append(kept)
            case "give" if self._held[namespace]:
                self._held[namespace].pop().give_back()
            case "leave" if self.waiting[namespace]:
                self.waiting[namespace].pop().cancel()
        await _settled()
        for name, tasks in self.waiting.items():
            self._held[name] += [task.result() for task in tasks if task.done() and not task.cancelled()]
            self.waiting[name] = [task for task in tasks if not task.done()]

    async def leave(self) -> None:
        """End what still waits."""
        tasks = [task for waiting in self.waiting.values() for task in waiting]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@given(_STEPS, st.integers(min_value=1, max_value=6), st.integers(min_value=1, max_value=3))
async def test_whatever_happens_shares_hold_and_nobody_waits_for_nothing(
    steps: list[tuple[str, str]], total: int, each: int
) -> None:
    """At every moment: no more than all, no more than a share, and no free slot while somebody may have it (R15)."""
    crowd = _Crowd(_shares(total, each))
    for action, namespace in steps:
        await crowd.step(action, namespace)
        used = crowd.used()
        assert sum(used.values()) <= total
        assert all(count <= each for count in used.values())
        if sum(used.values()) < total:
            assert all(used[name] == each for name, tasks in crowd.waiting.items() if tasks)
    await crowd.leave()


async def test_who_wants_several_is_not_passed_by_who_wants_one() -> None:
    """Until there are as many for who is next, others wait: else small ones kept a large one waiting for ever."""
    slots = _shares(total=4, each=4)
    held = [slots.try_take("team-a") for _ in range(4)]
    large = asyncio.create_task(slots.take("team-b", slots=3))
    await _settled()
    small = asyncio.create_task(slots.take("team-c"))
    for slot in held[:2]:
        assert slot is not None
        slot.give_back()
        await _settled()
        assert slots.try_take("team-d") is None
        assert not small.done()
    assert held[2] is not None
    held[2].give_back()
    whole = await large
    assert slots.taken("team-b") == 3
    assert not small.done()
    whole.give_back()
    await small
    assert (slots.taken("team-b"), slots.taken("team-c")) == (0, 1)


async def test_who_gives_up_lets_those_behind_go_on() -> None:
    """Of the same namespace and of others, where there are enough for them."""
    slots = _shares(total=6, each=4)
    held = await slots.take("team-a", slots=3)
    too_much = asyncio.create_task(slots.take("team-a", slots=2))
    await _settled()
    own = asyncio.create_task(slots.take("team-a"))
    large = asyncio.create_task(slots.take("team-b", slots=4))
    await _settled()
    other = asyncio.create_task(slots.take("team-c"))
    await _settled()
    assert not own.done()
    assert not other.done()
    too_much.cancel()
    large.cancel()
    async with asyncio.timeout(10):
        await asyncio.gather(own, other)
    assert slots.taken("team-a") == 4
    held.give_back()
    assert slots.taken("team-a") == 1


@given(
    st.lists(
        st.tuples(st.sampled_from(["take", "give", "leave"]), st.sampled_from(_NAMES), st.integers(1, 4)), max_size=60
    )
)
async def test_of_several_at_once_shares_hold_and_everybody_has_a_turn(steps: list[tuple[str, str, int]]) -> None:
    """Whoever takes how many: no more than all and no more than a share; and once all is given back all had theirs."""
    slots = _shares(total=6, each=4)
    tasks: list[tuple[str, int, asyncio.Task[shares.ShareSlot]]] = []
    for action, namespace, count in steps:
        match action:
            case "take":
                tasks.append((namespace, count, asyncio.create_task(slots.take(namespace, slots=count))))
            case "give" if granted := [each for each in tasks if each[2].done()]:
                granted[0][2].result().give_back()
                tasks.remove(granted[0])
            case "leave" if waiting := [each for each in tasks if not each[2].done()]:
                waiting[0][2].cancel()
                tasks.remove(waiting[0])
        await _settled()
        used = collections.Counter[str]()
        for name, number, task in tasks:
            used[name] += number if task.done() else 0
        assert dict(+used) == {name: slots.taken(name) for name in _NAMES if slots.taken(name)}
        assert sum(used.values()) <= 6
        assert all(count <= 4 for count in used.values())
    while tasks:
        granted = [each for each in tasks if each[2].done()]
        assert granted, "somebody waits though nobody holds anything"
        granted[0][2].result().give_back()
        tasks.remove(granted[0])
        await _settled()
    assert not len(slots)
