"""Holds know why, since when, and when to look again."""

import dataclasses
import datetime as dt

from mailtier.mail import reasons
from mailtier.sender import ports
from mailtier.sender.scheduling import holds, waits

_R = reasons.DeliveryReason
_KEY = ports.LaneKey(namespace_uid="uid", namespace="team-a", organization="default")
_REFUSED = waits.of(_R.CREDENTIALS_REFUSED, waits.WaitEnd.PERSON)
_UNKNOWN = waits.Wait(
    reason=_R.ORGANIZATION_UNKNOWN,
    message="Gone.",
    ends_with=waits.WaitEnd.PERSON,
    fails_after=dt.timedelta(hours=1),
    fails_with=_R.ORGANIZATION_DELETED,
)


def test_rechecks_back_off_to_a_minute() -> None:
    """A hold that time may mend is looked at after 5 seconds, then half as often each time, to once a minute (R9)."""
    waiting, now, pauses = holds.Holds(), 0.0, []
    for _ in range(7):
        waiting.hold(_KEY, _REFUSED, now=now, recheck=True)
        hold = waiting.find(_KEY)
        assert hold is not None
        pauses.append(hold.until - now)
        now = hold.until
        assert list(waiting.to_recheck(now)) == [_KEY]
        waiting.begin_trial(_KEY)
    assert pauses == [5, 10, 20, 40, 60, 60, 60]


def test_what_may_be_mended_sooner_is_looked_at_sooner() -> None:
    """A hold whose trial is due before the next look ends then; a later trial delays no look."""
    waiting = holds.Holds()
    for trial_at, expected in ((101.5, 101.5), (500.0, 110.0), (float("inf"), 120.0)):
        waiting.hold(_KEY, dataclasses.replace(_REFUSED, until=trial_at), now=100.0, recheck=True)
        hold = waiting.find(_KEY)
        assert hold is not None
        assert hold.until == expected


def test_a_hold_that_ended_for_a_trial_goes_on() -> None:
    """Looking again does not make a hold younger; only the first one is news."""
    waiting = holds.Holds()
    assert waiting.hold(_KEY, _REFUSED, now=0.0, recheck=True)
    waiting.begin_trial(_KEY)
    assert not waiting.hold(_KEY, _REFUSED, now=9.0, recheck=True)
    assert waiting.lasts(_KEY, 10.0)


def test_what_works_again_begins_anew() -> None:
    """After a success, the same trouble is a new hold."""
    waiting = holds.Holds()
    waiting.hold(_KEY, _REFUSED, now=0.0, recheck=True)
    waiting.begin_trial(_KEY)
    waiting.confirm(_KEY)
    assert waiting.hold(_KEY, _REFUSED, now=100.0, recheck=True)
    assert not waiting.lasts(_KEY, 105.0)


def test_a_hold_may_end_in_giving_up() -> None:
    """An organization that stays unknown for its time is given up, with the reason for it."""
    waiting = holds.Holds()
    waiting.hold(_KEY, _UNKNOWN, now=0.0, recheck=False)
    assert list(waiting.to_fail(3599.0)) == []
    assert list(waiting.to_fail(3600.0)) == [(_KEY, _R.ORGANIZATION_DELETED)]
    assert list(waiting.to_recheck(3600.0)) == []


def test_a_change_ends_a_hold() -> None:
    """When the settings changed, nothing of the hold is left."""
    waiting = holds.Holds()
    waiting.hold(_KEY, _UNKNOWN, now=0.0, recheck=False)
    waiting.end(_KEY)
    assert waiting.find(_KEY) is None
    assert waiting.hold(_KEY, _UNKNOWN, now=1.0, recheck=False)
