"""What is recorded of messages that were not attempted: held, expired, given up, suppressed, dropped."""

import dataclasses
import datetime as dt

from mailtier.api import prose, vocabulary
from mailtier.mail import reasons, states
from mailtier.sender import ports
from mailtier.sender.scheduling import waits

_S = vocabulary.RecipientState


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """A final state, and why it came to that."""

    state: vocabulary.RecipientState
    reason: reasons.DeliveryReason
    message: str


def failed(reason: reasons.DeliveryReason) -> End:
    """Return the end of what is given up for a reason."""
    return End(state=_S.FAILED, reason=reason, message=reasons.MEANINGS[reason])


def expired(pending: ports.Pending, wait: waits.Wait | None) -> End:
    """Return the end of what reached its max age; "expired" says that it was not delivered.

    Behind it stands what is stored of the recipient (`queueing.settlements`): an attempt it met last, or what held it.

    Args:
        pending: The recipient.
        wait: What it waits for now, which may not be stored; None for nothing.
    """
    if not states.may_follow(pending.state, _S.EXPIRED):
        return failed(reasons.DeliveryReason.IN_DOUBT)
    reason = reasons.DeliveryReason.EXPIRED
    told = wait.message if wait is not None and pending.state is not _S.HELD else ""
    message = prose.sentences(reasons.MEANINGS[reason], told)
    return End(state=_S.EXPIRED, reason=reason, message=message)


def suppressed(until: dt.datetime) -> End:
    """Return the end of what is addressed to somebody to whom nothing is sent."""
    reason = reasons.DeliveryReason.ADDRESS_SUPPRESSED
    told = f"That is until {until:%Y-%m-%d %H:%M} UTC, or until somebody clears the address."
    return End(state=_S.SUPPRESSED, reason=reason, message=prose.sentences(reasons.MEANINGS[reason], told))


def dropped(pending: ports.Pending) -> End:
    """Return the end of what somebody dropped; what may have been delivered says so."""
    end = failed(reasons.DeliveryReason.DROPPED)
    if states.may_follow(pending.state, _S.EXPIRED):
        return end
    in_doubt = reasons.MEANINGS[reasons.DeliveryReason.IN_DOUBT]
    return dataclasses.replace(end, message=prose.sentences(end.message, in_doubt))


def outcome(pending: ports.Pending, end: End, at: dt.datetime) -> ports.Outcome:
    """Return a recipient's end as it is stored."""
    return ports.Outcome(
        recipient_number=pending.recipient_number,
        state=end.state,
        due_at=None,
        reason=end.reason,
        message=end.message,
        at=at,
    )


def held(pending: ports.Pending, wait: waits.Wait, at: dt.datetime) -> ports.Outcome:
    """Return that a recipient is held, as it is stored."""
    return ports.Outcome(
        recipient_number=pending.recipient_number,
        state=_S.HELD,
        due_at=at,
        reason=wait.reason,
        message=wait.message,
        at=at,
    )
