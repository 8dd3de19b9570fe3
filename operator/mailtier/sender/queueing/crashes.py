"""What it means that a process died: attempts whose outcome only its notes tell, or nobody.

Before the final dot is written, and again when the reply has come, a note is made that outlives the process; the
outcome is committed later, and answers the note. A note that no commit has answered says what a dead process knew.
An attempt of which nothing is noted did not reach its dot: its recipient stands where it stood, and is tried again.
"""

import dataclasses
import datetime as dt
from collections.abc import Callable, Sequence

from mailtier.api import vocabulary
from mailtier.mail import reasons, retry, states
from mailtier.sender import ports

_S = vocabulary.RecipientState


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """What is noted of one attempt.

    Attributes:
        serial: Grows with every attempt, also over restarts.
        snapshot: Number of the snapshot that the message was built with; None if only its acceptance is known.
        accepted: Whether the next hop said that it took the message.
    """

    recipient_number: int
    serial: int
    snapshot: int | None
    accepted: bool


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Interrupted:
    """A recipient of which a note speaks, as it is stored.

    Attributes:
        answered: The serial of the last note that a commit has answered; 0 if none was.
        losses: How often it was lost after the final dot, not counting what the note tells.
        accepted_at: Aware UTC time when the notification was taken in.
        expires_at: Aware UTC time of its max age.
    """

    state: vocabulary.RecipientState
    answered: int
    losses: int
    category: vocabulary.Category
    accepted_at: dt.datetime
    expires_at: dt.datetime


InDoubtDecision = Callable[[Interrupted, dt.datetime], retry.RetryDecision]
"""Decides at a given time when a recipient that was lost once more is resent, or that it fails."""


def decide_in_doubt(
    found: Interrupted, now: dt.datetime, *, delays: Sequence[dt.timedelta] | None = None
) -> retry.RetryDecision:
    """Return what the category's policy says, with the max age that the notification was taken in with.

    Args:
        found: As it is stored; one loss more is what is to be decided about.
        delays: After which it is resent, each time once; None: those of the category.
    """
    policy = retry.policy_for(found.category, max_age=found.expires_at - found.accepted_at)
    if delays is not None:
        policy = dataclasses.replace(policy, in_doubt_delays=tuple(delays))
    return retry.next_in_doubt(policy, queued_at=found.accepted_at, losses=found.losses + 1, now=now)


def answer(note: Note, found: Interrupted, *, now: dt.datetime, in_doubt: InDoubtDecision) -> tuple[ports.Outcome, ...]:
    """Return the outcomes that a note comes to, in their order; none if it was answered before.

    A message that was noted as accepted is accepted. One whose dot may have been sent is in doubt, or given up.
    The note is answered with the last outcome.
    """
    if found.state in states.FINAL or note.serial <= found.answered:
        return ()
    if note.accepted:
        last = _outcome(note, now, state=_S.ACCEPTED, due_at=None, attempted=True)
    else:
        last = _lost(note, in_doubt(found, now), now)
    if found.state is _S.HELD:
        # It was released, and that outcome was not committed before the attempt.
        return (_outcome(note, now, state=_S.QUEUED, due_at=now, attempted=False), last)
    return (last,)


def _lost(note: Note, decision: retry.RetryDecision, now: dt.datetime) -> ports.Outcome:
    match decision:
        case retry.GiveUp(reason=reason):
            return _outcome(note, now, state=_S.FAILED, due_at=None, attempted=True, reason=reason)
        case retry.Retry(at=at):
            return _outcome(
                note, now, state=_S.IN_DOUBT, due_at=at, attempted=True, reason=reasons.DeliveryReason.IN_DOUBT
            )


def _outcome(
    note: Note,
    now: dt.datetime,
    *,
    state: vocabulary.RecipientState,
    due_at: dt.datetime | None,
    attempted: bool,
    reason: reasons.DeliveryReason | None = None,
) -> ports.Outcome:
    return ports.Outcome(
        recipient_number=note.recipient_number,
        state=state,
        due_at=due_at,
        attempted=attempted,
        reason="" if reason is None else reason.value,
        message="" if reason is None else reasons.MEANINGS[reason],
        at=now,
    )
