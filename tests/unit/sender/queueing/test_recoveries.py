"""Password recoveries are counted exactly, in any minute, whatever clocks do."""

import datetime as dt
import json

import hypothesis
import pytest
from hypothesis import strategies as st

from kit import queues
from mailtier.api import vocabulary
from mailtier.sender import ports
from mailtier.sender.queueing import recoveries


def _recovery(seconds: float, **changes: object) -> ports.NewNotification:
    at = queues.START + dt.timedelta(seconds=seconds)
    return queues.notification(category=vocabulary.Category.PASSWORD_RECOVERY, accepted_at=at, **changes)


@hypothesis.given(gaps=st.lists(st.floats(0, 10), min_size=1, max_size=100))
def test_no_minute_holds_more(gaps: list[float]) -> None:
    """Whatever comes when, no minute holds more than may begin, and none is refused that does not fill one."""
    now, taken, remembered = 0.0, list[float](), None
    for gap in gaps:
        now = round(now + gap, 2)
        in_minute = sum(now - 60 < each for each in taken)
        if in_minute < recoveries.PER_MINUTE:
            remembered = recoveries.begin(_recovery(now), remembered)
            taken.append(now)
            continue
        with pytest.raises(recoveries.RecoveriesExceededError) as refused:
            recoveries.begin(_recovery(now), remembered)
        assert refused.value.wait_seconds == pytest.approx(taken[-recoveries.PER_MINUTE] + 60 - now, abs=0.01)
    assert len(json.loads(remembered or "")) <= recoveries.PER_MINUTE


def test_clocks_may_differ_and_be_set_back() -> None:
    """What another intake's clock stored a little ahead counts; what one stored that was an hour ahead does not."""
    ahead = None
    for _ in range(recoveries.PER_MINUTE):
        ahead = recoveries.begin(_recovery(3), ahead)
    with pytest.raises(recoveries.RecoveriesExceededError) as refused:
        recoveries.begin(_recovery(0), ahead)
    assert refused.value.wait_seconds == 60
    assert len(json.loads(recoveries.begin(_recovery(-3600), ahead))) == 1


def test_each_organization_has_its_own() -> None:
    """And what is no recovery has none."""
    other = ports.LaneKey(namespace_uid="uid-a", namespace="team-a", organization="other")
    keys = {recoveries.memory_of(each) for each in (_recovery(0), _recovery(0, lane=other), _recovery(9))}
    assert keys == {"recoveries uid-a/default", "recoveries uid-a/other"}
    assert recoveries.memory_of(queues.notification()) is None
