"""Where a notification stands, as it is answered."""

import datetime as dt
from typing import Any

from mailtier.api import feed, vocabulary
from mailtier.mail import reasons as delivery_reasons
from mailtier.mail import states
from mailtier.sender import ports
from mailtier.sender.scheduling import waits


def status(record: ports.Record, wait: waits.Wait | None) -> dict[str, Any]:
    """Return where a notification stands.

    Args:
        record: As it is stored.
        wait: What its organization's messages wait for now.
    """
    return {
        "id": record.id,
        "category": record.category,
        "acceptedAt": moment(record.accepted_at),
        **({} if record.complete else {"expiresAt": moment(record.expires_at)}),
        "complete": record.complete,
        "recipients": [_recipient(recipient, wait) for recipient in record.recipients],
    }


def _recipient(recipient: feed.Recipient, wait: waits.Wait | None) -> dict[str, Any]:
    reason, message = recipient.reason, recipient.message
    is_waiting = recipient.state is vocabulary.RecipientState.QUEUED and not reason
    # What was stored with it is the reason of that time; now it may be held for another.
    is_held = recipient.state is vocabulary.RecipientState.HELD and wait is not None and not wait.is_brief
    is_waiting = is_waiting or is_held
    # What it waited for before the backup does not matter: it is held for that, and for nothing else.
    restored = wait is not None and wait.reason is delivery_reasons.DeliveryReason.RESTORED
    is_waiting = is_waiting or (restored and recipient.state in states.UNFINISHED)
    if is_waiting and wait is not None:
        reason, message = wait.reason, wait.message
    standing_now: dict[str, Any] = {
        "address": recipient.address,
        "state": recipient.state,
        "reason": reason,
        "message": message,
        "attempts": recipient.attempts,
        "changedAt": moment(recipient.changed_at),
    }
    if recipient.next_attempt_at is not None:
        standing_now["nextAttemptAt"] = moment(recipient.next_attempt_at)
    if (failure := recipient.last_failure) is not None:
        standing_now["lastFailure"] = failure.model_dump(exclude_none=True)
    return standing_now


def moment(at: dt.datetime) -> str:
    """Return a time in UTC as RFC 3339 has it."""
    return at.astimezone(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
