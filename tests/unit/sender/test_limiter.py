"""No minute holds more messages than its rate."""

import itertools

import hypothesis
import pytest
from hypothesis import strategies

from mailtier.sender import limiter


def _greedy(rate: limiter.RateLimiter, count: int) -> list[float]:
    """Return when messages go that never wait longer than they must."""
    times, now = [], 0.0
    for _ in range(count):
        now = rate.allowed_at(now)
        rate.take(now)
        times.append(now)
    return times


@hypothesis.given(strategies.integers(1, 600))
def test_a_minute_never_holds_more_than_its_rate(per_minute: int) -> None:
    """From any message on, the next `per_minute` take at least a minute."""
    times = _greedy(limiter.RateLimiter(per_minute), 3 * per_minute)
    assert all(
        later - earlier >= 60 - 1e-6
        for earlier, later in zip(times, itertools.islice(times, per_minute, None), strict=False)
    )


def test_a_handful_goes_at_once() -> None:
    """A tenth of a minute's messages does not wait."""
    assert _greedy(limiter.RateLimiter(30), 4)[:3] == [0.0, 0.0, 0.0]


def test_what_did_not_go_is_given_back() -> None:
    """A message that was counted and did not go leaves its place to another."""
    rate = limiter.RateLimiter(1)
    rate.take(0.0)
    assert rate.allowed_at(0.0) == 60.0
    rate.give_back()
    assert rate.allowed_at(0.0) == 0.0


def test_a_rate_of_none_is_refused() -> None:
    """A rate below one message a minute is a defect."""
    with pytest.raises(ValueError, match="at least one"):
        limiter.RateLimiter(0)
