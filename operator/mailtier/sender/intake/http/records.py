"""Where a notification stands, as it is answered."""

import datetime as dt
from typing import Any

from mailtier.api import feed, vocabulary
from mailtier.mail import reasons as delivery_reasons
from mailtier.mail import states
from mailtier.sender import ports
from mailtier.sender.scheduling import standing


def status(record: ports.Record, *, held: standing.Held | None, awaited_rate: str | None) -> dict[str, Any]:
    """Return where a notification stands.

    Args:
        record: As it is stored.
        held: Why its organization's messages do not go; it is stored with them when that lasts.
        awaited_rate: Which rate its organization waits for; that is not stored, being so for a moment.
    """
    return {
        "id": record.id,
        "category": record.category,
        "acceptedAt": moment(record.accepted_at),
        "complete": record.complete,
        "recipients": [_recipient(recipient, held, awaited_rate) for recipient in record.recipients],
    }


def _recipient(recipient: feed.Recipient, held: standing.Held | None, awaited_rate: str | None) -> dict[str, Any]:
    reason, message = recipient.reason, recipient.message
    waits = recipient.state is vocabulary.RecipientState.QUEUED and not reason
    # What it waited for before the backup does not matter: it is held for that, and for nothing else.
    restored = held is not None and held.reason is delivery_reasons.DeliveryReason.RESTORED
    waits = waits or (restored and recipient.state in states.UNFINISHED)
    if waits and held is not None:
        reason, message = held.reason, held.message
    elif waits and awaited_rate is not None:
        reason = delivery_reasons.DeliveryReason.RATE_LIMITED
        message = f"waits for {awaited_rate}"
    standing_now: dict[str, Any] = {
        "address": recipient.address,
        "state": recipient.state,
        "reason": reason,
        "message": message,
        "attempts": recipient.attempts,
        "changedAt": moment(recipient.changed_at),
    }
    if (failure := recipient.last_failure) is not None:
        standing_now["lastFailure"] = failure.model_dump(exclude_none=True)
    return standing_now


def moment(at: dt.datetime) -> str:
    """Return a time in UTC as RFC 3339 has it."""
    return at.astimezone(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
