"""What is told of a notification over HTTPS."""

import datetime as dt

import pytest

from mailtier.api import feed, vocabulary
from mailtier.mail import reasons
from mailtier.sender import ports
from mailtier.sender.intake.http import records
from mailtier.sender.scheduling import waits

_AT = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
_R, _S = reasons.DeliveryReason, vocabulary.RecipientState
_LANE = ports.LaneKey(namespace_uid="uid", namespace="acme", organization="default")


@pytest.mark.parametrize(
    ("state", "reason", "hold", "told"),
    [
        (_S.QUEUED, "", _R.SUSPENDED, "Suspended"),
        (_S.HELD, "SettingsBlocked", _R.SUSPENDED, "SettingsBlocked"),
        (_S.QUEUED, "", _R.RESTORED, "Restored"),
        (_S.HELD, "SettingsBlocked", _R.RESTORED, "Restored"),
        (_S.DEFERRED, "ServerUnavailable", _R.RESTORED, "Restored"),
        (_S.FAILED, "RecipientRefused", _R.RESTORED, "RecipientRefused"),
    ],
)
def test_a_restored_queue_s_messages_wait_for_that_alone(
    state: vocabulary.RecipientState, reason: str, hold: reasons.DeliveryReason, told: str
) -> None:
    """Whatever they waited for before the backup; other holds are told of what has no reason of its own."""
    recipient = feed.Recipient(address="a@example.com", state=state, reason=reason, message="", changed_at=_AT)
    record = ports.Record(
        id="1",
        lane=_LANE,
        category=vocabulary.Category.JOB_ALERT,
        accepted_at=_AT,
        complete=False,
        recipients=[recipient],
    )
    held = waits.of(hold, waits.WaitEnd.PERSON)
    (found,) = records.status(record, held)["recipients"]
    assert found["reason"] == told
