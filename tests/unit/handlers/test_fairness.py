"""The order of waiting keys: no key lost or doubled, nobody starved, new flows first."""

import collections

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailtier.handlers import fairness

Key = tuple[str, int]


def order() -> fairness.Order[Key]:
    """Return an empty order of keys that name their flow."""
    return fairness.Order[Key](lambda key: key[0])


def drain(waiting: fairness.Order[Key]) -> list[Key]:
    """Return everything that waits, in its order."""
    return [waiting.take() for _ in range(len(waiting))]


_KEYS = st.tuples(st.sampled_from("abc"), st.integers(0, 4))
_STEPS = st.lists(st.tuples(_KEYS, st.booleans()) | st.none(), max_size=60)


@given(_STEPS)
def test_every_key_waits_once_and_is_taken_once(steps: list[tuple[Key, bool] | None]) -> None:
    """Whatever is added and taken in whatever order, each waiting key is taken once."""
    waiting, expected = order(), set()
    for step in steps:
        if step is not None:
            key, background = step
            waiting.add(key, background=background)
            expected.add(key)
            assert key in waiting
        elif expected:
            expected.remove(waiting.take())
        assert len(waiting) == len(expected)
    assert collections.Counter(drain(waiting)) == collections.Counter(expected)


def test_taking_from_nothing_is_an_error() -> None:
    """There is no key to make up."""
    with pytest.raises(KeyError):
        order().take()


def test_flows_take_turns() -> None:
    """Somebody with a hundred keys does not go before somebody with two."""
    waiting = order()
    for number in range(100):
        waiting.add(("busy", number), background=False)
    for number in range(2):
        waiting.add(("quiet", number), background=False)
    assert [flow for flow, _ in drain(waiting)[:4]] == ["busy", "quiet", "busy", "quiet"]


def test_a_flow_that_had_nothing_waiting_goes_first() -> None:
    """A single edit waits for no round of many namespaces that always have something."""
    waiting = order()
    for flow in range(100):
        for number in range(3):
            waiting.add((str(flow), number), background=False)
    for _ in range(100):
        waiting.take()
    waiting.add(("single", 0), background=False)
    assert waiting.take() == ("single", 0)


def test_a_flow_that_empties_and_fills_again_does_not_stay_new() -> None:
    """Who always adds the next key just in time has its turn, and the others theirs."""
    waiting = order()
    for number in range(10):
        waiting.add(("patient", number), background=False)
    taken = []
    for number in range(12):
        waiting.add(("greedy", number), background=False)
        taken.append(waiting.take()[0])
    assert taken.count("patient") >= 4


@pytest.mark.parametrize("urgent", [10, 1_000])
def test_the_background_is_not_starved(urgent: int) -> None:
    """However much is urgent, every fourth turn is the background's."""
    waiting = order()
    for number in range(urgent):
        waiting.add(("a", number), background=False)
    waiting.add(("b", 0), background=True)
    assert ("b", 0) in [waiting.take() for _ in range(fairness.BACKGROUND_TURN)]


def test_what_becomes_urgent_leaves_the_background() -> None:
    """An edit of an object that waits for its part of a fan-out does not wait any longer."""
    waiting = order()
    for number in range(10):
        waiting.add(("a", number), background=True)
    waiting.add(("a", 9), background=False)
    waiting.add(("a", 9), background=True)
    assert waiting.take() == ("a", 9)
    assert len(drain(waiting)) == 9
