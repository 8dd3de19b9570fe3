"""Buckets for questions that come to nothing."""

import hypothesis
import pytest
from hypothesis import strategies as st

from mailtier.kube import allowances


class _Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@hypothesis.given(st.lists(st.floats(min_value=0, max_value=30), max_size=200))
def test_nobody_asks_more_than_the_bucket_holds(pauses: list[float]) -> None:
    """In any time, at most the burst and one a second are asked, and none is lost of what was granted (R15)."""
    clock = _Clock()
    bucket = allowances.Allowances(monotonic=clock, burst=5, per_second=1.0)
    asked, waits = 0, list[float]()
    for pause in pauses:
        clock.now += pause
        try:
            bucket.take("a")
        except allowances.TooManyError as error:
            waits.append(error.retry_after_seconds)
        else:
            asked += 1
        assert asked <= 5 + clock.now + 1e-6
    assert all(0 < wait <= 1 for wait in waits)


def test_what_was_answered_favourably_costs_nothing() -> None:
    """However many questions are answered with yes, more may be asked (R15)."""
    bucket = allowances.Allowances(monotonic=_Clock(), burst=2)
    for _ in range(100):
        bucket.take("a")
        bucket.give_back("a")
    bucket.take("a")
    bucket.take("a")
    with pytest.raises(allowances.TooManyError):
        bucket.take("a")


def test_one_asker_s_bucket_is_not_another_s() -> None:
    """Who has used up its own takes nothing from others, and gets one again after a second (R15)."""
    clock = _Clock()
    bucket = allowances.Allowances(monotonic=clock, burst=1)
    bucket.take("a")
    with pytest.raises(allowances.TooManyError) as caught:
        bucket.take("a")
    bucket.take("b")
    clock.now += caught.value.retry_after_seconds
    bucket.take("a")
