"""A wall clock that jumps makes nothing old."""

import datetime as dt

from mailtier.sender import clock

_START = dt.datetime(2026, 11, 24, tzinfo=dt.UTC)


def _observe(guard: clock.JumpGuard, *, wall_seconds: float, monotonic: float) -> bool:
    return guard.observe(wall=_START + dt.timedelta(seconds=wall_seconds), monotonic=monotonic)


def test_a_jump_pauses_expiry_for_an_hour() -> None:
    """More than five minutes between two readings that the monotonic clock did not see pause expiry."""
    guard = clock.JumpGuard()
    assert not _observe(guard, wall_seconds=0, monotonic=0)
    assert _observe(guard, wall_seconds=400, monotonic=1)
    assert guard.is_paused(1)
    assert guard.is_paused(3600)
    assert not guard.is_paused(3601)


def test_a_jump_back_counts_as_well() -> None:
    """A clock that was ahead and is set right is in doubt as well."""
    guard = clock.JumpGuard()
    _observe(guard, wall_seconds=0, monotonic=0)
    assert _observe(guard, wall_seconds=-400, monotonic=1)


def test_drift_is_no_jump() -> None:
    """A clock that is wrong by a little more each second is followed."""
    guard = clock.JumpGuard()
    assert not any(_observe(guard, wall_seconds=second * 1.1, monotonic=second) for second in range(10_000))
    assert not guard.is_paused(10_000)
