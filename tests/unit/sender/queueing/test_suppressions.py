"""When nothing is sent to an address any more, and for how long."""

import dataclasses
import datetime as dt

import pytest

from kit import queues
from mailtier.api import feed, vocabulary
from mailtier.sender import ports
from mailtier.sender.queueing import suppressions

S, C = vocabulary.RecipientState, vocabulary.Category

_UNKNOWN = feed.LastFailure(scope="Recipient", phase="rcpt", code=550, enhanced="5.1.1")
_DAY = dt.timedelta(days=1)


def _claimed(**changes: object) -> ports.Claimed:
    notification = queues.notification()
    pending = ports.Pending(
        recipient_number=1,
        lane=notification.lane,
        category=C.JOB_ALERT,
        state=S.QUEUED,
        due_at=queues.START,
        expires_at=queues.START + _DAY,
        attempts=0,
    )
    changed = dataclasses.replace(pending, **changes)  # type: ignore[arg-type]  # Fields by name.
    job = ports.Job(
        recipient_number=1,
        notification_id=notification.id,
        lane=notification.lane,
        category=changed.category,
        severity=notification.severity,
        locale=notification.locale,
        rcpt_to="nobody@example.org",
        subject=None,
        text=None,
        data={},
        accepted_at=queues.START,
        expires_at=queues.START + _DAY,
        attempts=0,
        doubts=0,
        snapshot=None,
    )
    return ports.Claimed(pending=changed, job=job, payload_bytes=1, suppressed_until=queues.START + _DAY)


@pytest.mark.parametrize(
    ("state", "failure", "category", "counts"),
    [
        (S.FAILED, _UNKNOWN, C.JOB_ALERT, True),
        (S.FAILED, _UNKNOWN.model_copy(update={"phase": "dot"}), C.PRODUCT_UPDATE, True),
        (S.FAILED, _UNKNOWN, C.PASSWORD_RECOVERY, False),
        (S.FAILED, _UNKNOWN.model_copy(update={"enhanced": "5.2.1"}), C.JOB_ALERT, False),
        (S.FAILED, _UNKNOWN.model_copy(update={"enhanced": None}), C.JOB_ALERT, False),
        (S.FAILED, _UNKNOWN.model_copy(update={"scope": "Settings"}), C.JOB_ALERT, False),
        (S.FAILED, _UNKNOWN.model_copy(update={"phase": "mail"}), C.JOB_ALERT, False),
        (S.FAILED, None, C.JOB_ALERT, False),
        (S.DEFERRED, _UNKNOWN, C.JOB_ALERT, False),
        (S.EXPIRED, _UNKNOWN, C.JOB_ALERT, False),
    ],
)
def test_what_counts(state: S, failure: feed.LastFailure | None, category: C, *, counts: bool) -> None:
    """A recipient that failed because it is unknown counts, of every category but password recoveries."""
    outcome = dataclasses.replace(queues.outcome(1, state), failure=failure)
    assert suppressions.is_refusal(outcome, category) is counts


def test_it_takes_two_messages() -> None:
    """The same message that is sent again and refused again says nothing new; another one does."""
    first = suppressions.after(None, notification=7, at=queues.START)
    assert (first.refusals, first.until) == (1, queues.START + 7 * _DAY)
    assert suppressions.after(first, notification=7, at=queues.START + _DAY) == first
    second = suppressions.after(first, notification=8, at=queues.START + _DAY)
    assert (second.refusals, second.until) == (suppressions.REFUSALS, queues.START + 8 * _DAY)
    third = suppressions.after(second, notification=9, at=queues.START + 2 * _DAY)
    assert (third.refusals, third.until) == (suppressions.REFUSALS, queues.START + 9 * _DAY)


def test_what_is_over_counts_no_more() -> None:
    """A refusal of more than seven days ago is forgotten, whatever it had come to."""
    first = suppressions.after(None, notification=7, at=queues.START)
    second = suppressions.after(first, notification=8, at=queues.START)
    assert suppressions.after(second, notification=9, at=second.until).refusals == 1


@pytest.mark.parametrize(
    ("changes", "is_suppressed"),
    [
        ({}, True),
        ({"state": S.DEFERRED}, True),
        ({"state": S.HELD}, True),
        ({"state": S.IN_DOUBT}, False),
        ({"category": C.PASSWORD_RECOVERY}, False),
    ],
)
def test_who_is_suppressed(changes: dict[str, object], *, is_suppressed: bool) -> None:
    """Whoever waits ends; not what may have been delivered, and no password recovery."""
    assert suppressions.is_suppressed(_claimed(**changes), now=queues.START) is is_suppressed


def test_it_ends_in_time() -> None:
    """From its end on the address is tried."""
    assert suppressions.is_suppressed(_claimed(), now=queues.START + _DAY - dt.timedelta(seconds=1))
    assert not suppressions.is_suppressed(_claimed(), now=queues.START + _DAY)
