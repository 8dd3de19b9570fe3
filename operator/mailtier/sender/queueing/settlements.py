"""What follows from an outcome: for its recipient, for the payload, and for what its namespace is charged."""

import collections
import dataclasses
import datetime as dt
from collections.abc import Mapping, Sequence

from mailtier.api import vocabulary
from mailtier.mail import states
from mailtier.sender import ports
from mailtier.sender.queueing import retention


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class StoredRecipient:
    """What is stored of a recipient and its notification before an outcome.

    Attributes:
        notification: The notification's number.
        unfinished: How many recipients of the notification have no final state, this one included if it has none.
        payload_bytes: Of the notification's payload.
    """

    state: vocabulary.RecipientState
    notification: int
    unfinished: int
    payload_bytes: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """What is to be stored with an outcome.

    Attributes:
        is_final: The recipient has reached its end: it is no longer one of the unfinished and its snapshot goes.
        is_loss: It was lost after the final dot once more: it keeps the snapshot that it was built with.
        keep_until: Where it was the last one, until when the notification stays known; its payload is wiped now (R11).
            None where others have no final state yet.
        freed_bytes: What its namespace has no more, of the payload and of all that is stored.
    """

    is_final: bool
    is_loss: bool
    keep_until: dt.datetime | None
    freed_bytes: int


def settle(stored: StoredRecipient, outcome: ports.Outcome) -> Settlement:
    """Return what is to be stored with an outcome.

    Raises:
        ValueError: A final state comes with a time of the next attempt, or another state without one.
        mailtier.mail.states.IllegalTransition: The stored state does not lead to the reported one.
    """
    is_final = outcome.state in states.FINAL
    if is_final != (outcome.due_at is None):
        raise ValueError(f"due_at is None for a final state and only there, not with {outcome.state.value}")
    states.require(stored.state, outcome.state)
    is_last = is_final and stored.unfinished == 1
    return Settlement(
        is_final=is_final,
        is_loss=outcome.attempted and outcome.state is vocabulary.RecipientState.IN_DOUBT,
        keep_until=retention.keep_until(outcome.at) if is_last else None,
        freed_bytes=stored.payload_bytes if is_last else 0,
    )


def settle_all(
    stored: Mapping[int, StoredRecipient], outcomes: Sequence[ports.Outcome]
) -> Sequence[Settlement | Exception]:
    """Return for each of several outcomes what is to be stored with it, or what `settle` raises: then it is not stored.

    They follow one another: each finds what those before it leave, of its recipient and of others of its notification.

    Args:
        stored: By the recipients' numbers, as they are before the first outcome; LookupError where one is missing.
        outcomes: In the order in which they came.
    """
    states_, ended = dict[int, vocabulary.RecipientState](), collections.Counter[int]()
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
            )
        try:
            settlement = settle(recipient, outcome)
        except (ValueError, states.IllegalTransition) as error:
            found.append(error)
            continue
        states_[number] = outcome.state
        ended[recipient.notification] += settlement.is_final
        found.append(settlement)
    return found
