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
    charge.refund()
    assert rate.allowed_at(0.0) == 0.0


def test_a_rate_of_none_is_refused() -> None:
    """A rate below one message a minute is a defect."""
    with pytest.raises(ValueError, match="at least one"):
        limiter.RateLimiter(0)


@hypothesis.given(
    strategies.integers(1, 60),
    strategies.integers(1, 10),
    strategies.lists(
        strategies.tuples(strategies.sampled_from(("wait", "take", "send")), strategies.floats(0, 1)), max_size=300
    ),
)
def test_messages_that_are_held_up_count_when_they_go(
    per_minute: int, connections: int, steps: list[tuple[str, float]]
) -> None:
    """However long each connection takes between turn and message, no minute holds more than the rate."""
    rate, now = limiter.RateLimiter(per_minute), 0.0
    open_: list[limiter.Charge] = []
    sent: list[float] = []
    for step, part in steps:
        if step == "wait":
            now += 90 * part**4
        elif step == "take" and len(open_) < connections and rate.allowed_at(now) <= now:
            open_.append(rate.take(now))
        elif step == "send" and open_:
            charge = open_.pop(int(part * (len(open_) - 1)))
            if rate.postpone(charge, now) is None:
                charge.refund(now)
            else:
                sent.append(now)
    assert all(
        later - earlier >= 60 - 0.01
        for earlier, later in zip(sent, itertools.islice(sent, per_minute, None), strict=False)
    )


@hypothesis.given(
    strategies.sampled_from((1, 7, 30, 600, 100_000)),
    strategies.floats(0, 1e6),
    strategies.lists(strategies.floats(0, 61), min_size=1, max_size=20),
)
@hypothesis.example(7, 106.3, [0.7, 0.1, 0.0])
def test_what_goes_at_its_turn_waits_no_second_time(per_minute: int, start: float, delays: list[float]) -> None:
    """A message that was counted and is counted again when it goes, at once or later, goes."""
    rate, now = limiter.RateLimiter(per_minute), start
    for delay in delays:
        now = rate.allowed_at(now)
        charge = rate.take(now)
        now += delay
        assert rate.postpone(charge, now) is not None


def test_what_the_meter_has_forgotten_is_not_given_back() -> None:
    """A message that did not go after all gives no more room than it still takes."""
    rate = limiter.RateLimiter(6)
    rate.take(0.0)
    late = rate.take(10.0)
    rate.take(20.0)
    late.refund(25.0)
    assert rate.allowed_at(25.0) == 30.0
    fresh = rate.take(30.0)
    fresh.refund(34.0)
    assert rate.allowed_at(34.0) == 34.0
