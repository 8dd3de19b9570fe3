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
        (_S.HELD, "SettingsBlocked", _R.SUSPENDED, "Suspended"),
        (_S.DEFERRED, "ServerUnavailable", _R.SUSPENDED, "ServerUnavailable"),
        (_S.QUEUED, "", _R.RESTORED, "Restored"),
        (_S.HELD, "SettingsBlocked", _R.RESTORED, "Restored"),
        (_S.DEFERRED, "ServerUnavailable", _R.RESTORED, "Restored"),
        (_S.FAILED, "RecipientRefused", _R.RESTORED, "RecipientRefused"),
    ],
)
def test_what_messages_wait_for_now_is_told(
    state: vocabulary.RecipientState, reason: str, hold: reasons.DeliveryReason, told: str
) -> None:
    """Of what is held, whatever was stored with it when that began; after a restore of all that is not at its end."""
    assert _told(state, reason, waits.of(hold, waits.WaitEnd.PERSON)) == told


def test_what_is_over_soon_is_no_reason_for_a_hold() -> None:
    """A message that is held, and waits for a rate as well, is held for what was stored."""
    assert _told(_S.HELD, "SettingsBlocked", waits.for_rate("It waits for a rate.")) == "SettingsBlocked"
    assert _told(_S.HELD, "SettingsBlocked", None) == "SettingsBlocked"


def _told(state: vocabulary.RecipientState, reason: str, wait: waits.Wait | None) -> str:
    recipient = feed.Recipient(address="a@example.com", state=state, reason=reason, message="", changed_at=_AT)
    record = ports.Record(
        id="1",
        lane=_LANE,
        category=vocabulary.Category.JOB_ALERT,
        accepted_at=_AT,
        expires_at=_AT,
        complete=False,
        recipients=[recipient],
    )
    (found,) = records.status(record, wait)["recipients"]
    return str(found["reason"])
