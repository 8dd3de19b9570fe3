"""What is shown of an organization is read as it was written."""

import pytest

from mailtier.api import vocabulary
from mailtier.mail import reasons
from mailtier.sender.scheduling import lane_display, waits

_HELD = waits.of(reasons.DeliveryReason.SUSPENDED, waits.WaitEnd.EVENT)
_RATE = waits.of(reasons.DeliveryReason.RATE_LIMITED, waits.WaitEnd.EVENT)
_ALERT, _UPDATE = vocabulary.Category.JOB_ALERT, vocabulary.Category.PRODUCT_UPDATE


@pytest.mark.parametrize(
    "shown",
    [
        lane_display.LaneDisplay(),
        lane_display.LaneDisplay(held=_HELD),
        lane_display.LaneDisplay(by_category={_ALERT: _HELD}, brief=_RATE),
    ],
)
def test_what_is_shown_is_read_as_it_was_written(shown: lane_display.LaneDisplay) -> None:
    """Nothing is lost between delivery and the intake."""
    assert lane_display.decode(lane_display.encode(shown)) == shown


def test_a_hold_of_a_category_is_of_no_other() -> None:
    """What holds all holds each category, what holds one holds that one."""
    of_all = lane_display.LaneDisplay(held=_HELD)
    assert (of_all.hold_of(None), of_all.hold_of(_ALERT)) == (_HELD, _HELD)
    of_one = lane_display.LaneDisplay(by_category={_ALERT: _HELD})
    assert (of_one.hold_of(None), of_one.hold_of(_ALERT), of_one.hold_of(_UPDATE)) == (None, _HELD, None)
