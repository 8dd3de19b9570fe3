"""When a fallback takes the mail, and when the first server has it again; in virtual time."""

import pytest

from mailtier.mail import classify, reasons
from mailtier.sender.smtp.servers import routing

_MINUTE, _HOUR = 60.0, 3600.0
_LOST = classify.Failure(
    scope=classify.Scope.SERVER,
    reason=reasons.DeliveryReason.CONNECTION_LOST,
    phase=classify.Phase.CONNECT,
    permanence=classify.Permanence.TRANSIENT,
)


def _die(route: routing.Route, now: float) -> float:
    """Have the first server be found dead, and return the time."""
    for _ in range(2):
        route.note_dead(_LOST, now)
    assert route.since(now) == now
    return now


def _return(route: routing.Route, died_at: float, *, after_minutes: float) -> float:
    """Require that a server that was there again at once has its mail after so many minutes; return the time."""
    back_at = died_at + after_minutes * _MINUTE
    route.note_served(died_at + 1)
    assert route.since(back_at - 1) == died_at
    assert route.since(back_at) is None
    return back_at


def test_one_fault_is_no_death() -> None:
    """A restart of the server sends no mail elsewhere; two faults in a row do, with nothing between them."""
    route = routing.Route()
    route.note_dead(_LOST, 0.0)
    assert route.since(0.0) is None
    route.note_reached()
    route.note_dead(_LOST, 1.0)
    assert route.since(1.0) is None
    route.note_dead(_LOST, 2.0)
    assert route.since(2.0) == 2.0


def test_a_server_that_does_not_stay_returns_ever_later() -> None:
    """The fallback has its mail for a minute, and twice as long each time, up to sixteen."""
    route, now = routing.Route(), 0.0
    for minutes in (1, 2, 4, 8, 16, 16):
        now = _return(route, _die(route, now + _MINUTE), after_minutes=minutes)


@pytest.mark.parametrize(("served_seconds", "minutes"), [(_HOUR - 1, 4), (_HOUR, 1)])
def test_a_server_that_served_for_an_hour_begins_anew(served_seconds: float, minutes: int) -> None:
    """How often it did not stay is forgotten then, and not a second sooner."""
    route, now = routing.Route(), 0.0
    for several in (1, 2):
        now = _return(route, _die(route, now + _MINUTE), after_minutes=several)
    _return(route, _die(route, now + served_seconds), after_minutes=minutes)


def test_the_next_process_counts_on() -> None:
    """A restart is no reason to go back to a server that does not stay."""
    route, now = routing.Route(), 0.0
    for minutes in (1, 2):
        now = _return(route, _die(route, now + _MINUTE), after_minutes=minutes)
    died_at = _die(route, now + _MINUTE)
    left = route.away(died_at)
    assert left is not None
    following = routing.Route()
    following.restore(since=left.since, times=left.times)
    now = _return(following, died_at, after_minutes=4)
    _return(following, _die(following, now + _MINUTE), after_minutes=8)


def test_a_server_that_dies_before_it_returned_stays_away() -> None:
    """What was found meanwhile does not count once it is dead again; how long the fallback has had its mail does."""
    route = routing.Route()
    died_at = _die(route, 0.0)
    route.note_served(10.0)
    route.note_dead(_LOST, 20.0)
    assert route.since(_HOUR) == died_at
    route.note_served(_HOUR)
    assert route.since(_HOUR) is None
