"""A wait doubles with each failure in a row, up to its bound, whatever the numbers."""

import datetime as dt

import hypothesis
import pytest
from hypothesis import strategies

from mailtier.api import doubling

_WAITS = strategies.timedeltas(min_value=dt.timedelta(microseconds=1), max_value=dt.timedelta.max)
_BACKOFFS = strategies.tuples(_WAITS, _WAITS).map(lambda two: doubling.Backoff(first=min(two), most=max(two)))
_JITTERS = strategies.floats(0, 1)
_FAILURES = strategies.integers(1, 10**9) | strategies.integers(1, 80)


@hypothesis.given(_BACKOFFS, _FAILURES, _JITTERS)
def test_a_wait_is_within_its_bounds(backoff: doubling.Backoff, failures: int, jitter: float) -> None:
    """No wait is shorter than half the first or longer than the longest, and no number of failures overflows."""
    half = backoff.first * 0.5
    assert half <= backoff.after(failures, jitter=jitter) <= backoff.most
    assert backoff.after(failures, jitter=1) == backoff.ceiling(failures)


@hypothesis.given(_BACKOFFS, _FAILURES, _JITTERS)
def test_another_failure_never_shortens_the_wait(backoff: doubling.Backoff, failures: int, jitter: float) -> None:
    """The wait grows with the failures, to twice as long at most."""
    before, after = backoff.ceiling(failures), backoff.ceiling(failures + 1)
    assert before <= after
    assert after - before <= before
    assert after == backoff.most or after == 2 * before
    assert backoff.after(failures, jitter=jitter) <= backoff.after(failures + 1, jitter=jitter)


@pytest.mark.parametrize(("failures", "seconds"), [(1, 10), (2, 20), (3, 40), (4, 60), (40, 60)])
def test_it_doubles_up_to_its_bound(failures: int, seconds: int) -> None:
    """The waits of a backoff from ten seconds to a minute."""
    backoff = doubling.Backoff(first=dt.timedelta(seconds=10), most=dt.timedelta(minutes=1))
    assert backoff.after(failures, jitter=1.0) == dt.timedelta(seconds=seconds)
    assert backoff.after(failures, jitter=0.0) == dt.timedelta(seconds=seconds / 2)


def test_what_makes_no_sense_is_refused() -> None:
    """There is no wait before the first failure, no empty first wait, and no bound below it."""
    second = dt.timedelta(seconds=1)
    with pytest.raises(ValueError, match="at least 1"):
        doubling.Backoff(first=second, most=second).ceiling(0)
    for first, most in ((dt.timedelta(0), second), (2 * second, second)):
        with pytest.raises(ValueError, match="positive"):
            doubling.Backoff(first=first, most=most)
