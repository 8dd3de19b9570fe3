"""A server with a fault is left alone, for longer and longer, and comes back at once when it works."""

import hypothesis
from hypothesis import strategies

from mailtier.sender.net import breaker


def _pauses(faults: int, jitter: float) -> list[float]:
    """Return the pauses after faults that follow each other as soon as a trial is allowed."""
    switch, now, pauses = breaker.Breaker(), 0.0, []
    for _ in range(faults):
        assert switch.acquire(now)
        switch.fail(now, jitter=jitter)
        pauses.append(switch.retry_at - now)
        now = switch.retry_at
    return pauses


def test_pauses_double_up_to_five_minutes() -> None:
    """The pause doubles with each fault and ends at its longest."""
    assert _pauses(12, 1.0) == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]


@hypothesis.given(strategies.floats(0, 1, exclude_max=True))
def test_jitter_shortens_a_pause_by_half_at_most(jitter: float) -> None:
    """Whatever the jitter, a pause lies in the upper half of its range."""
    assert all(full / 2 <= pause <= full for pause, full in zip(_pauses(12, jitter), _pauses(12, 1.0), strict=True))


def test_a_server_that_was_never_used_gets_one_session() -> None:
    """Until the first success one session at a time may try."""
    switch = breaker.Breaker()
    assert switch.acquire(0.0)
    assert not switch.acquire(0.0)
    switch.succeed()
    assert switch.acquire(0.0)
    assert switch.acquire(0.0)


def test_half_open_lets_one_through() -> None:
    """After the pause one session may try, and no second one until it has news."""
    switch = breaker.Breaker()
    switch.fail(0.0, jitter=1.0)
    assert not switch.acquire(0.9)
    assert switch.acquire(1.0)
    assert not switch.acquire(1.0)
    switch.give_back()
    assert switch.acquire(1.0)


def test_a_success_closes_it() -> None:
    """What works again is used in full at once."""
    switch = breaker.Breaker()
    for _ in range(5):
        switch.fail(switch.retry_at, jitter=1.0)
    switch.succeed()
    assert switch.state(0.0) is breaker.BreakerState.CLOSED
    assert switch.acquire(0.0)
    assert switch.acquire(0.0)


def test_many_connections_lost_at_once_are_one_fault() -> None:
    """Faults that come in during a pause do not lengthen it."""
    switch = breaker.Breaker()
    for _ in range(100):
        switch.fail(0.0, jitter=1.0)
    assert switch.retry_at == 1.0
