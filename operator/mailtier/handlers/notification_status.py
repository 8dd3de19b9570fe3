"""From what the sender says of a Notification to its status: pure."""

import dataclasses
import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any, Final

from mailtier.api import feed, prose, reasons, vocabulary
from mailtier.settings import observed, transitions

_ACCEPTED: Final = vocabulary.RecipientState.ACCEPTED
_REMOVED: Final = "; the record of each was removed because the namespace's share of storage was used up"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Unavailable:
    """The sender did not answer."""


Answer = feed.Taken | feed.Refused | observed.Invalid | Unavailable


def status(
    answer: Answer, *, generation: int, previous: Sequence[Mapping[str, Any]], now: dt.datetime
) -> dict[str, Any]:
    """Return the status of a Notification.

    Args:
        answer: What is known of it.
        generation: Of the object.
        previous: Its conditions as they are, for their times of transition.
        now: Aware UTC time.
    """
    document: dict[str, Any] = {"observedGeneration": generation}
    if isinstance(answer, feed.Taken):
        document["id"] = answer.id
        document["recipients"] = [_recipient(recipient) for recipient in answer.recipients]
        wanted = _taken(answer)
    else:
        wanted = _not_taken(answer)
    document["conditions"] = transitions.stamp(wanted, previous=previous, generation=generation, now=now)
    return document


def finished_at(conditions: Sequence[Mapping[str, Any]], *, generation: int) -> dt.datetime | None:
    """Return when a Notification came to its end, by its own conditions; None while it has not.

    Args:
        conditions: Of its status.
        generation: What they must speak of.
    """
    found = transitions.by_type(conditions)
    complete = found.get(vocabulary.Condition.COMPLETE)
    accepted = found.get(vocabulary.Condition.ACCEPTED)
    ending = complete if complete and complete["status"] == "True" else None
    if accepted and accepted["status"] == "False" and vocabulary.Condition.STALLED in found:
        ending = accepted
    if ending is None or ending.get("observedGeneration") != generation:
        return None
    return dt.datetime.fromisoformat(ending["lastTransitionTime"])


def was_accepted(conditions: Sequence[Mapping[str, Any]], generation: int) -> bool:
    """Return whether a Notification's conditions say that the sender has taken this generation of it."""
    accepted = transitions.by_type(conditions).get(vocabulary.Condition.ACCEPTED)
    return accepted is not None and accepted["status"] == "True" and accepted.get("observedGeneration") == generation


def all_accepted(conditions: Sequence[Mapping[str, Any]]) -> bool:
    """Return whether a Notification's conditions say that every recipient was accepted."""
    ready = transitions.by_type(conditions).get(vocabulary.Condition.READY)
    return ready is not None and ready["status"] == "True"


def _taken(taken: feed.Taken) -> list[transitions.Wanted]:
    accepted = transitions.Wanted(
        type=vocabulary.Condition.ACCEPTED, status="True", reason=reasons.QUEUED, message=f"queued as {taken.id}"
    )
    totals = taken.totals or _count(taken)
    well, total = totals.accepted, totals.recipients
    if not taken.complete:
        message = f"{well} of {prose.counted(total, 'recipient')} accepted by the SMTP server so far{_why(taken)}"
        return [accepted, *_ready("False", reasons.DELIVERING, message, complete="False")]
    why = _REMOVED if taken.totals else _why(taken)
    message = f"accepted by the SMTP server for {well} of {prose.counted(total, 'recipient')}{why}"
    # Of no recipients at all nothing is known, and that is not told as success.
    if 0 < well == total:
        return [accepted, *_ready("True", reasons.DELIVERED, message, complete="True")]
    reason = reasons.PARTLY_FAILED if well else reasons.FAILED
    return [accepted, *_ready("False", reason, message, complete="True")]


def _count(taken: feed.Taken) -> feed.Tally:
    well = sum(1 for recipient in taken.recipients if recipient.state == _ACCEPTED)
    return feed.Tally(accepted=well, recipients=len(taken.recipients))


def _not_taken(answer: feed.Refused | observed.Invalid | Unavailable) -> list[transitions.Wanted]:
    match answer:
        case Unavailable():
            reason, message = (
                reasons.SENDER_UNAVAILABLE,
                "the sender does not answer; the notification is offered again",
            )
        case observed.Invalid():
            reason, message = reasons.INVALID, f"{answer.field}: {answer.message}"
        case feed.Refused():
            reason = reasons.BY_NAME.get(answer.reason, reasons.REFUSED)
            message = answer.message
            if answer.retry:
                reason = reasons.SENDER_UNAVAILABLE if reason == reasons.REFUSED else reason
    refused = transitions.Wanted(type=vocabulary.Condition.ACCEPTED, status="False", reason=reason, message=message)
    return [refused, *_ready("False", reason, message, complete=None)]


def _ready(status_: str, reason: reasons.Reason, message: str, *, complete: str | None) -> list[transitions.Wanted]:
    wanted = [transitions.Wanted(type=vocabulary.Condition.READY, status=status_, reason=reason, message=message)]
    if complete is not None:
        wanted.append(
            transitions.Wanted(type=vocabulary.Condition.COMPLETE, status=complete, reason=reason, message=message)
        )
    progress = transitions.progress(wanted[0])
    return [*wanted, progress] if progress else wanted


def _why(taken: feed.Taken) -> str:
    """Return why the first recipient that is not accepted is not; "" where there is nothing to say yet."""
    for recipient in taken.recipients:
        if recipient.state != _ACCEPTED and recipient.reason:
            return f"; {recipient.address} is {recipient.state}: {recipient.message or recipient.reason}"
    return ""


def _recipient(recipient: feed.Recipient) -> dict[str, Any]:
    """Return a recipient as status shows it.

    What is queued has nothing to tell yet, so that a notification that goes well is two writes.
    """
    if recipient.state == vocabulary.RecipientState.QUEUED:
        return {"address": recipient.address, "state": recipient.state.value}
    document: dict[str, Any] = {
        "address": recipient.address,
        "state": recipient.state.value,
        "attempts": recipient.attempts,
        "changedAt": transitions.timestamp(recipient.changed_at),
    }
    if recipient.reason:
        document["reason"] = recipient.reason
    if recipient.message:
        document["message"] = recipient.message
    return document
