"""No minute holds more messages than its rate."""

import itertools

import hypothesis
import pytest
from hypothesis import strategies

from mailtier.sender.scheduling import limiter


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


@hypothesis.given(strategies.integers(1, 120), strategies.lists(strategies.integers(0, 4), min_size=1, max_size=400))
def test_those_who_share_a_meter_share_the_rate(per_minute: int, order: list[int]) -> None:
    """Whoever's turn it is, five limiters on one meter let no more through in a minute than one does."""
    meter = limiter.Meter()
    rates = [limiter.RateLimiter(per_minute, meter) for _ in range(5)]
    times, now = [], 0.0
    for who in order:
        now = rates[who].allowed_at(now)
        rates[who].take(now)
        times.append(now)
    assert times == _greedy(limiter.RateLimiter(per_minute), len(order))


def test_a_new_rate_goes_on_counting() -> None:
    """A limiter that replaces another on the same meter starts no fresh minute."""
    meter = limiter.Meter()
    limiter.RateLimiter(1, meter).take(0.0)
    assert limiter.RateLimiter(2, meter).allowed_at(0.0) == 60.0


def test_a_handful_goes_at_once() -> None:
    """A tenth of a minute's messages does not wait."""
    assert _greedy(limiter.RateLimiter(30), 4)[:3] == [0.0, 0.0, 0.0]


def test_what_did_not_go_is_given_back() -> None:
    """A message that was counted and did not go leaves its place to another."""
    rate = limiter.RateLimiter(1)
    charge = rate.take(0.0)
    assert rate.allowed_at(0.0) == 60.0
    charge.give_back()
    assert rate.allowed_at(0.0) == 0.0


def test_a_rate_of_none_is_refused() -> None:
    """A rate below one message a minute is a defect."""
    with pytest.raises(ValueError, match="at least one"):
        limiter.RateLimiter(0)
