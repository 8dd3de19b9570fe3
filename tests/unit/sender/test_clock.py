"""A wall clock that jumps makes nothing old."""

import datetime as dt

from mailtier.sender import clock

_START = dt.datetime(2026, 11, 24, tzinfo=dt.UTC)


class _Clocks:
    """Both clocks, set by hand."""

    def __init__(self) -> None:
        self.wall_seconds = 0.0
        self.monotonic = 0.0
        self.guard = clock.JumpGuard(
            clock.Clock(
                wall=lambda: _START + dt.timedelta(seconds=self.wall_seconds),
                monotonic=lambda: self.monotonic,
                random=lambda: 0.0,
            )
        )

    def is_paused(self, *, wall_seconds: float, monotonic: float) -> bool:
        self.wall_seconds, self.monotonic = wall_seconds, monotonic
        return self.guard.is_paused()


def test_a_jump_pauses_expiry_for_an_hour() -> None:
    """More than five minutes between two readings that the monotonic clock did not see pause expiry (R14)."""
    clocks = _Clocks()
    assert not clocks.is_paused(wall_seconds=0, monotonic=0)
    assert clocks.is_paused(wall_seconds=400, monotonic=1)
    assert clocks.is_paused(wall_seconds=3999, monotonic=3600)
    assert not clocks.is_paused(wall_seconds=4000, monotonic=3601)


def test_a_jump_back_counts_as_well() -> None:
    """A clock that was ahead and is set right is in doubt as well (R14)."""
    clocks = _Clocks()
    assert not clocks.is_paused(wall_seconds=0, monotonic=0)
    assert clocks.is_paused(wall_seconds=-400, monotonic=1)


def test_drift_is_no_jump() -> None:
    """A clock that is wrong by a little more each second is followed."""
    clocks = _Clocks()
    assert not any(clocks.is_paused(wall_seconds=second * 1.1, monotonic=second) for second in range(10_000))


def test_a_moment_is_translated_between_the_clocks() -> None:
    """A time of day lies as far ahead on the monotonic clock as it does on the wall."""
    time = clock.Clock(wall=lambda: _START + dt.timedelta(seconds=100), monotonic=lambda: 7.0, random=lambda: 0.0)
    assert time.monotonic_at(_START + dt.timedelta(seconds=130)) == 37.0
