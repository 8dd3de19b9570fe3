"""What a server takes is learned down at once, and up again slowly."""

from hypothesis import given
from hypothesis import strategies as st

from mailtier.sender.scheduling import throttle

_STEPS = st.lists(st.tuples(st.integers(2, 20), st.floats(0, 2_000)), max_size=30)


def test_nothing_is_limited_before_a_refusal() -> None:
    """All that the settings allow may be used at once."""
    fresh = throttle.Throttle()
    assert (fresh.connections(7, 0.0), fresh.rate(0.0), fresh.allowed_at(5.0)) == (7, None, 5.0)
    assert fresh.is_over(7, 0.0)


def test_connections_halve_and_come_back_one_by_one() -> None:
    """Ten become five, two and one; each minute brings one more, until all are there."""
    learned = throttle.Throttle()
    assert [learned.lessen(used=used, floor=1, cap=10, now=0.0) for used in (10, 5, 2)] == [5, 2, 1]
    assert learned.epoch == 3
    assert [learned.connections(10, 60.0 * minutes) for minutes in (0, 1, 2, 8, 9, 20)] == [1, 2, 3, 9, 10, 10]
    assert not learned.is_over(10, 539.0)
    assert learned.is_over(10, 540.0)


def test_one_more_that_is_too_many_is_tried_more_rarely() -> None:
    """A server that takes one refuses the second after one minute, then two, four, eight, then every quarter hour."""
    learned, now, waits = throttle.Throttle(), 0.0, []
    learned.lessen(used=2, floor=1, cap=2, now=now)
    for _ in range(7):
        began = now
        while learned.connections(2, now) < 2:
            now += 1.0
        waits.append(now - began)
        learned.lessen(used=2, floor=1, cap=2, now=now)
    assert waits == [60, 60, 120, 240, 480, 900, 900]


def test_a_floor_is_kept() -> None:
    """What all share is never less than its part, and one who is there already learns nothing new."""
    learned = throttle.Throttle()
    assert [learned.lessen(used=8, floor=2, cap=8, now=0.0) for _ in range(3)] == [4, 2, None]
    assert learned.connections(8, 0.0) == 2


def test_a_rate_is_half_of_what_was_taken_and_doubles_each_minute() -> None:
    """Until it is so high that the server is not limited any more."""
    learned = throttle.Throttle()
    for second in range(20):
        learned.note_taken(float(second))
    assert learned.slow_down(20.0) == 10
    assert learned.allowed_at(20.0) == 26.0
    assert learned.slow_down(26.0) == 5
    assert [learned.rate(26.0 + 60 * minutes) for minutes in range(8)] == [5, 10, 20, 40, 80, 160, 320, None]


def test_a_rate_never_ends_what_goes() -> None:
    """However often a server refuses, a message a minute is tried."""
    learned, now = throttle.Throttle(), 0.0
    for _ in range(50):
        learned.slow_down(now)
        now = learned.allowed_at(now)
        learned.note_gone(now)
    assert learned.allowed_at(now) - now <= 60.0


@given(_STEPS, st.integers(1, 20), st.integers(1, 5))
def test_what_may_be_used_stays_between_floor_and_cap(steps: list[tuple[int, float]], cap: int, floor: int) -> None:
    """Whatever is refused, and whenever."""
    learned, now = throttle.Throttle(), 0.0
    floor = min(floor, cap)
    for used, pause in steps:
        learned.lessen(used=used, floor=floor, cap=cap, now=now)
        assert floor <= learned.connections(cap, now) <= cap
        now += pause
        assert floor <= learned.connections(cap, now) <= cap
