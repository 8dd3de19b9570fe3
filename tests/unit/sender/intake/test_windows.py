"""Sliding minutes."""

import hypothesis
from hypothesis import strategies as st

from mailtier.sender import ports
from mailtier.sender.intake import windows

_LANE = ports.LaneKey(namespace_uid="1", namespace="team", organization="default")


@hypothesis.given(gaps=st.lists(st.floats(0, 40), min_size=1, max_size=100))
def test_no_minute_has_more_than_the_limit(gaps: list[float]) -> None:
    """Whenever requests come, no minute holds more than the limit, and a refusal tells when the next may come."""
    now = 0.0
    taken: list[float] = []
    limited = windows.Windows(5, monotonic=lambda: now)
    for gap in gaps:
        now += gap
        wait_seconds = limited.take(_LANE)
        if wait_seconds == 0:
            taken.append(now)
        else:
            assert now + wait_seconds > taken[-5] + 59.9
        assert all(later - earlier >= 60 for earlier, later in zip(taken, taken[5:], strict=False))


def test_organizations_do_not_share_a_limit() -> None:
    """One organization's requests leave the other's alone, and what is given back may be taken again."""
    other = ports.LaneKey(namespace_uid="1", namespace="team", organization="other")
    limited = windows.Windows(1, monotonic=lambda: 0.0)
    assert limited.take(_LANE) == 0
    assert limited.take(other) == 0
    assert limited.take(_LANE) == 60
    limited.give_back(_LANE)
    assert limited.take(_LANE) == 0


def test_forgotten_organizations_cost_no_memory() -> None:
    """Organizations without a request within the last minute are dropped."""
    now = 0.0
    limited = windows.Windows(1, monotonic=lambda: now)
    for number in range(1_001):
        limited.take(ports.LaneKey(namespace_uid=str(number), namespace="team", organization="default"))
    now = 61.0
    limited.take(_LANE)
    assert len(limited._taken) == 1
