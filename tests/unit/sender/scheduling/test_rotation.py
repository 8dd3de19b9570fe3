"""Turns are fair, and cost constant time."""

import collections

import hypothesis
from hypothesis import strategies

from mailtier.sender.scheduling import rotation


def _serve(members: rotation.Rotation[str, str], turns: int, cost: dict[str, int]) -> collections.Counter[str]:
    served: collections.Counter[str] = collections.Counter()
    for _ in range(turns):
        member = members.turn()
        assert member is not None
        served[member] += 1
        members.charge(member, cost.get(member, 1))
    return served


def test_members_take_turns() -> None:
    """Every member is served once before any is served twice."""
    members: rotation.Rotation[str, str] = rotation.Rotation()
    for name in "abc":
        members.add(name, name)
    assert [_serve(members, 1, {}).popitem()[0] for _ in range(6)] == ["a", "b", "c", "a", "b", "c"]


def test_a_member_that_costs_more_is_served_less() -> None:
    """A member whose messages cost three units gets a third of the messages."""
    members: rotation.Rotation[str, str] = rotation.Rotation()
    members.add("large", "large")
    members.add("small", "small")
    served = _serve(members, 400, {"large": 3})
    assert served["small"] == 3 * served["large"]


def test_who_is_passed_over_is_granted_nothing() -> None:
    """Its turn comes once it is passed over no more, and not sooner than others' for the time in between."""
    members: rotation.Rotation[str, str] = rotation.Rotation()
    for name in "abc":
        members.add(name, name)
    served = []
    for _ in range(4):
        member = members.turn({"a"})
        assert member is not None
        members.charge(member, 1)
        served.append(member)
    assert served == ["b", "c", "b", "c"]
    assert members.turn({"a", "b", "c"}) is None
    assert members.turn() == "a"


def test_nobody_is_nobodys_turn() -> None:
    """Without members there is no turn."""
    assert rotation.Rotation[str, str]().turn() is None


def test_a_lone_member_in_debt_still_gets_its_turn() -> None:
    """Debt lets others go first; where there are none it delays nothing."""
    members: rotation.Rotation[str, str] = rotation.Rotation()
    members.add("a", "a")
    members.charge("a", 16)
    assert members.turn() == "a"


@hypothesis.given(strategies.lists(strategies.integers(1, 16), min_size=2, max_size=12))
def test_what_members_use_stays_close(costs: list[int]) -> None:
    """Whatever their messages cost, two members never differ by more than a turn and the largest message."""
    members: rotation.Rotation[int, int] = rotation.Rotation()
    for index in range(len(costs)):
        members.add(index, index)
    used = [0] * len(costs)
    for _ in range(400):
        index = members.turn()
        assert index is not None
        members.charge(index, costs[index])
        used[index] += costs[index]
    assert max(used) - min(used) <= 2 * max(costs)
