"""From the sender's word to a Notification's status."""

import datetime as dt
from typing import Any

import pytest

from mailtier.api import feed, vocabulary
from mailtier.handlers import notification_status
from mailtier.settings import observed

NOW = dt.datetime(2026, 11, 24, 10, 0, tzinfo=dt.UTC)
STATE = vocabulary.RecipientState


def taken(*states: STATE, reason: str = "", message: str = "") -> feed.Taken:
    """Return a record whose recipients stand in these states."""
    recipients = tuple(
        feed.Recipient(
            address=f"r{number}@acme.example",
            state=state,
            reason="" if state == STATE.ACCEPTED else reason,
            message="" if state == STATE.ACCEPTED else message,
            attempts=1,
            changed_at=NOW,
        )
        for number, state in enumerate(states)
    )
    final = {STATE.ACCEPTED, STATE.FAILED, STATE.EXPIRED}
    return feed.Taken(
        id="01",
        namespace="acme",
        namespace_uid="u",
        name="n",
        object_uid="o",
        spec_hash="h",
        accepted_at=NOW,
        complete=set(states) <= final,
        recipients=recipients,
    )


def conditions(
    answer: notification_status.Answer, previous: tuple[dict[str, Any], ...] = ()
) -> dict[str, tuple[str, str]]:
    """Return status and reason of each condition."""
    document = notification_status.status(answer, generation=1, previous=previous, now=NOW)
    return {condition["type"]: (condition["status"], condition["reason"]) for condition in document["conditions"]}


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (
            taken(STATE.QUEUED, STATE.ACCEPTED),
            {
                "Accepted": ("True", "Queued"),
                "Complete": ("False", "Delivering"),
                "Ready": ("False", "Delivering"),
                "Reconciling": ("True", "Delivering"),
            },
        ),
        (
            taken(STATE.ACCEPTED),
            {"Accepted": ("True", "Queued"), "Complete": ("True", "Delivered"), "Ready": ("True", "Delivered")},
        ),
        (
            taken(STATE.ACCEPTED, STATE.FAILED),
            {
                "Accepted": ("True", "Queued"),
                "Complete": ("True", "PartlyFailed"),
                "Ready": ("False", "PartlyFailed"),
                "Stalled": ("True", "PartlyFailed"),
            },
        ),
        (
            taken(STATE.EXPIRED),
            {
                "Accepted": ("True", "Queued"),
                "Complete": ("True", "Failed"),
                "Ready": ("False", "Failed"),
                "Stalled": ("True", "Failed"),
            },
        ),
        (
            feed.Refused(reason="CategoryDisabled", message="JobAlert is off", retry=False),
            {
                "Accepted": ("False", "CategoryDisabled"),
                "Ready": ("False", "CategoryDisabled"),
                "Stalled": ("True", "CategoryDisabled"),
            },
        ),
        (
            feed.Refused(reason="QuotaExceeded", message="5000 messages wait", retry=True),
            {
                "Accepted": ("False", "QuotaExceeded"),
                "Ready": ("False", "QuotaExceeded"),
                "Reconciling": ("True", "QuotaExceeded"),
            },
        ),
        (
            notification_status.Unavailable(),
            {
                "Accepted": ("False", "SenderUnavailable"),
                "Ready": ("False", "SenderUnavailable"),
                "Reconciling": ("True", "SenderUnavailable"),
            },
        ),
        (
            observed.Invalid(field="spec.category", message="is required"),
            {"Accepted": ("False", "Invalid"), "Ready": ("False", "Invalid"), "Stalled": ("True", "Invalid")},
        ),
    ],
)
def test_conditions_say_what_the_sender_said(
    answer: notification_status.Answer, expected: dict[str, tuple[str, str]]
) -> None:
    """Every answer has its conditions, and Reconciling or Stalled exist only while they are true."""
    assert conditions(answer) == expected


def test_what_is_queued_has_nothing_to_tell_so_that_going_well_takes_two_writes() -> None:
    """A queued recipient is shown without times and counts: nothing is written between taken and complete."""
    document = notification_status.status(taken(STATE.QUEUED), generation=1, previous=(), now=NOW)
    assert document["recipients"] == [{"address": "r0@acme.example", "state": "queued"}]


def test_a_failure_says_who_and_why() -> None:
    """The message names the recipient and the reason, for somebody who sees only one line."""
    document = notification_status.status(
        taken(STATE.FAILED, reason="RecipientRefused", message="550 5.1.1"), generation=1, previous=(), now=NOW
    )
    ready = next(condition for condition in document["conditions"] if condition["type"] == "Ready")
    assert ready["message"] == (
        "accepted by the SMTP server for 0 of 1 recipient; r0@acme.example is failed: 550 5.1.1"
    )


@pytest.mark.parametrize(
    ("totals", "reason", "ready"),
    [
        (feed.Tally(accepted=0, recipients=20), "Failed", "False"),
        (feed.Tally(accepted=7, recipients=20), "PartlyFailed", "False"),
        (feed.Tally(accepted=20, recipients=20), "Delivered", "True"),
    ],
)
def test_what_was_forgotten_is_told_as_what_it_became(totals: feed.Tally, reason: str, ready: str) -> None:
    """Without its recipients a notification is no success for that, and the message says where they are (R4)."""
    answer = taken().model_copy(update={"totals": totals})
    document = notification_status.status(answer, generation=1, previous=(), now=NOW)
    assert document["recipients"] == []
    told = {condition["type"]: condition for condition in document["conditions"]}
    assert (told["Ready"]["status"], told["Ready"]["reason"]) == (ready, reason)
    assert (told["Complete"]["status"], told["Complete"]["reason"]) == ("True", reason)
    assert told["Ready"]["message"] == (
        f"accepted by the SMTP server for {totals.accepted} of 20 recipients; the record of each was removed because "
        "the namespace's share of storage was used up"
    )


def test_of_nobody_is_not_told_as_delivered() -> None:
    """A record without recipients, of which nothing is known, does not read as success (R4)."""
    assert conditions(taken())["Ready"] == ("False", "Failed")


@pytest.mark.parametrize(
    ("answer", "finished", "well"),
    [
        (taken(STATE.QUEUED), False, False),
        (taken(STATE.ACCEPTED), True, True),
        (taken(STATE.ACCEPTED, STATE.FAILED), True, False),
        (feed.Refused(reason="NoRecipients", message="nobody", retry=False), True, False),
        (feed.Refused(reason="QuotaExceeded", message="full", retry=True), False, False),
        (notification_status.Unavailable(), False, False),
    ],
)
def test_the_status_itself_tells_when_it_ended(answer: notification_status.Answer, finished: bool, well: bool) -> None:
    """After a restart the operator knows from the object alone whether there is anything left to do."""
    document = notification_status.status(answer, generation=3, previous=(), now=NOW)
    ended = notification_status.finished_at(document["conditions"], generation=3)
    assert (ended == NOW) is finished
    assert notification_status.all_accepted(document["conditions"]) is well
    assert notification_status.finished_at(document["conditions"], generation=4) is None


def test_the_time_of_transition_moves_only_with_the_status() -> None:
    """A message that changes does not make a condition younger."""
    first = notification_status.status(taken(STATE.QUEUED), generation=1, previous=(), now=NOW)
    later = NOW + dt.timedelta(minutes=5)
    second = notification_status.status(
        taken(STATE.DEFERRED, reason="TimedOut"), generation=1, previous=first["conditions"], now=later
    )
    times = {condition["type"]: condition["lastTransitionTime"] for condition in second["conditions"]}
    assert set(times.values()) == {"2026-11-24T10:00:00Z"}
