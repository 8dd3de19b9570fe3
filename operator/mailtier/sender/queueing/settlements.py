"""What follows from an outcome: for its recipient, for the payload, and for what its namespace is charged."""

import collections
import dataclasses
import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Final

from mailtier.api import vocabulary
from mailtier.mail import reasons, states
from mailtier.sender import ports
from mailtier.sender.queueing import retention


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class StoredRecipient:
    """What is stored of a recipient and its notification before an outcome.

    Attributes:
        notification: The notification's number.
        unfinished: How many recipients of the notification have no final state, this one included if it has none.
        failed: How many of them failed or expired.
        payload_bytes: Of the notification's payload.
    """

    state: vocabulary.RecipientState
    category: vocabulary.Category
    notification: int
    unfinished: int
    failed: int
    payload_bytes: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """What is to be stored with an outcome.

    Attributes:
        is_final: The recipient has reached its end: it is no longer one of the unfinished and its snapshot goes.
        is_loss: It was lost after the final dot once more: it keeps the snapshot that it was built with.
        is_failure: It has reached an end that is no acceptance.
        joint: What stands between the outcome's message and the one that is stored, which says what the recipient met
            last; None where the outcome's takes its place.
        keep_until: Where it was the last one, until when the notification stays known. None where others have no final
            state yet.
        keep_payload_until: Until when its payload is kept, so that it can be sent again; where it was the last one,
            None says that the payload is wiped now (R11).
        released_bytes: What its namespace has queued no more.
        freed_bytes: What it has stored no more.
    """

    is_final: bool
    is_loss: bool
    is_failure: bool
    joint: str | None
    keep_until: dt.datetime | None
    keep_payload_until: dt.datetime | None
    released_bytes: int
    freed_bytes: int


def settle(stored: StoredRecipient, outcome: ports.Outcome, *, keep_failed: dt.timedelta) -> Settlement:
    """Return what is to be stored with an outcome.

    Args:
        keep_failed: How long the payload of what failed is kept; no time at all to wipe it at the final state.

    Raises:
        ValueError: A final state comes with a time of the next attempt, or another state without one.
        mailtier.mail.states.IllegalTransition: The stored state does not lead to the reported one.
    """
    is_final = outcome.state in states.FINAL
    if is_final != (outcome.due_at is None):
        raise ValueError(f"due_at is None for a final state and only there, not with {outcome.state.value}")
    states.require(stored.state, outcome.state)
    is_last = is_final and stored.unfinished == 1
    is_failure = outcome.state in states.FAILURES
    is_kept = is_last and (is_failure or stored.failed > 0) and _may_be_kept(stored, outcome) and bool(keep_failed)
    released_bytes = stored.payload_bytes if is_last else 0
    return Settlement(
        is_final=is_final,
        is_loss=outcome.attempted and outcome.state is vocabulary.RecipientState.IN_DOUBT,
        is_failure=is_failure,
        joint=_JOINT if is_final and not outcome.attempted and outcome.reason in _OUTLASTED else None,
        keep_until=retention.keep_until(outcome.at) if is_last else None,
        keep_payload_until=outcome.at + min(keep_failed, retention.FAILED_KEPT) if is_kept else None,
        released_bytes=released_bytes,
        freed_bytes=0 if is_kept else released_bytes,
    )


_JOINT: Final = " Last: "
_OUTLASTED: Final = frozenset({reasons.DeliveryReason.EXPIRED.value, reasons.DeliveryReason.IN_DOUBT.value})
"""Ends of what nothing let go for too long; only what was stored meanwhile says why."""

_WIPED: Final = frozenset({reasons.DeliveryReason.NAMESPACE_DELETED.value, reasons.DeliveryReason.DROPPED.value})
"""Ends after which nothing is kept."""


def _may_be_kept(stored: StoredRecipient, outcome: ports.Outcome) -> bool:
    """Return whether a payload may outlive its end: not a reset link, what was dropped, or a namespace that is gone."""
    return stored.category is not vocabulary.Category.PASSWORD_RECOVERY and outcome.reason not in _WIPED


def settle_all(
    stored: Mapping[int, StoredRecipient], outcomes: Sequence[ports.Outcome], *, keep_failed: dt.timedelta
) -> Sequence[Settlement | Exception]:
    """Return for each of several outcomes what is to be stored with it, or what `settle` raises: then it is not stored.

    They follow one another: each finds what those before it leave, of its recipient and of others of its notification.

    Args:
        stored: By the recipients' numbers, as they are before the first outcome; LookupError where one is missing.
        outcomes: In the order in which they came.
        keep_failed: As above.
    """
    states_ = dict[int, vocabulary.RecipientState]()
    ended, failed = collections.Counter[int](), collections.Counter[int]()
    found: list[Settlement | Exception] = []
    for outcome in outcomes:
        number = outcome.recipient_number
        recipient = stored.get(number)
        if recipient is None:
            found.append(LookupError(f"the queue has no recipient {number}"))
            continue
        if number in states_ or recipient.notification in ended:
            recipient = dataclasses.replace(
                recipient,
                state=states_.get(number, recipient.state),
                unfinished=recipient.unfinished - ended[recipient.notification],
                failed=recipient.failed + failed[recipient.notification],
            )
        try:
            settlement = settle(recipient, outcome, keep_failed=keep_failed)
        except (ValueError, states.IllegalTransition) as error:
            found.append(error)
            continue
        states_[number] = outcome.state
        ended[recipient.notification] += settlement.is_final
        failed[recipient.notification] += settlement.is_failure
        found.append(settlement)
    return found
