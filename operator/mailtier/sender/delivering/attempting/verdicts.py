"""What an attempt's result means for its recipient: the next state, when, and why; pure."""

import dataclasses
import datetime as dt
from typing import Final

from mailtier.api import feed, patience, vocabulary
from mailtier.mail import classify, quoting, reasons, retry, transaction
from mailtier.sender import ports
from mailtier.sender.net import faults

_S: Final = vocabulary.RecipientState

# While the wall clock cannot be trusted, nothing is too old (R14).
_UNLIMITED: Final = dt.timedelta(days=36_500)

_DEFECT: Final = classify.Failure(
    scope=classify.Scope.MESSAGE,
    permanence=classify.Permanence.TRANSIENT,
    phase=classify.Phase.DOT,
    reason=reasons.DeliveryReason.SENDER_DEFECT,
)

_PATIENT_ATTEMPTS: Final = 100
"""So many that every category waits as long as it ever does."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class VerdictContext:
    """What a verdict depends on beside the result.

    Attributes:
        now: Aware UTC time.
        jitter: Random number in [0, 1).
        expiry_paused: Whether nothing may expire now.
        for_owner: Whether the organization owns the endpoint, and may read what it said.
        server: Its name or address, normalized, whose provider may be known to have a remedy.
        at_fallback: Whether it is the fallback's.
        secrets: What must not be quoted from it all the same.
        id_domain: Of the Message-ID that the message was built with; None where none was.
    """

    now: dt.datetime
    jitter: float
    expiry_paused: bool
    for_owner: bool
    server: str | None = None
    at_fallback: bool = False
    secrets: quoting.KnownSecrets = dataclasses.field(default=quoting.NOTHING_SECRET, repr=False)
    id_domain: str | None = None


def accepted(job: ports.Job, result: transaction.RecipientResult, context: VerdictContext) -> ports.Outcome:
    """Return the outcome of a message that the next hop took."""
    reply = result.reply
    said = ""
    if reply is not None:
        said = f"{reply.code} {reply.enhanced}" if reply.enhanced else str(reply.code)
        quoted = quoting.quotable(reply.text, context.secrets) if context.for_owner else ""
        which = "fallback SMTP server" if context.at_fallback else "SMTP server"
        said = f"The {which} took it: {said} {quoted}".rstrip()
    return _outcome(job, context, state=_S.ACCEPTED, due_at=None, reason="", message=said, attempted=True)


def in_doubt(job: ports.Job, failure: classify.Failure, context: VerdictContext) -> ports.Outcome:
    """Return the outcome of a message that was lost after its final dot: resent later, or given up."""
    decision = retry.next_in_doubt(
        _policy(job, context), queued_at=job.accepted_at, losses=job.doubts + 1, now=context.now
    )
    message = faults.describe(failure, for_owner=context.for_owner, server=context.server)
    if isinstance(decision, retry.GiveUp):
        state, due_at, reason = _S.FAILED, None, decision.reason
    else:
        state, due_at, reason = _S.IN_DOUBT, decision.at, failure.reason
    lost = _outcome(job, context, state=state, due_at=due_at, reason=reason, message=message, attempted=True)
    return _met(lost, failure, context)


def despite_defect(
    job: ports.Job, verdict: transaction.RecipientVerdict, context: VerdictContext
) -> ports.Outcome | None:
    """Return the least that is certain of an attempt whose consequences a defect of ours kept from being decided.

    Returns:
        The outcome where the message arrived, or may have; None where it did not, so that it may simply be tried again.
    """
    if verdict is transaction.RecipientVerdict.ACCEPTED:
        return _outcome(job, context, state=_S.ACCEPTED, due_at=None, reason="", message="", attempted=True)
    if verdict is transaction.RecipientVerdict.IN_DOUBT:
        return in_doubt(job, _DEFECT, context)
    return None


def failed(
    job: ports.Job, failure: classify.Failure, context: VerdictContext, *, server_back_at: dt.datetime
) -> ports.Outcome:
    """Return the outcome of an attempt that the failure ended.

    Args:
        server_back_at: When the server is asked again; for its own faults, which charge no attempt (R12).
    """
    judged = _failed(job, failure, context, server_back_at=server_back_at)
    return _met(judged, failure, context)


def _failed(
    job: ports.Job, failure: classify.Failure, context: VerdictContext, *, server_back_at: dt.datetime
) -> ports.Outcome:
    message = faults.describe(failure, for_owner=context.for_owner, server=context.server)
    match failure.scope:
        case classify.Scope.SERVER:
            return _outcome(
                job,
                context,
                state=_S.DEFERRED,
                due_at=server_back_at,
                reason=failure.reason,
                message=message,
                attempted=False,
            )
        case classify.Scope.CREDENTIALS:
            return _outcome(
                job, context, state=_S.HELD, due_at=context.now, reason=failure.reason, message=message, attempted=False
            )
        case classify.Scope.RECIPIENT | classify.Scope.MESSAGE if failure.is_permanent:
            return _outcome(
                job, context, state=_S.FAILED, due_at=None, reason=failure.reason, message=message, attempted=True
            )
        case classify.Scope.RECIPIENT | classify.Scope.MESSAGE | classify.Scope.SETTINGS:
            return _deferred(job, failure.reason, message, context)


def _met(outcome: ports.Outcome, failure: classify.Failure, context: VerdictContext) -> ports.Outcome:
    """Return an outcome with what the attempt met, and what has to be the same at the next one."""
    for_programs = feed.LastFailure(
        scope=failure.scope.value, phase=failure.phase.value, code=failure.code, enhanced=failure.enhanced
    )
    return dataclasses.replace(outcome, failure=for_programs, id_domain=context.id_domain)


def not_built(
    job: ports.Job, message: str, context: VerdictContext, *, again_after: dt.timedelta | None
) -> ports.Outcome:
    """Return the outcome of a message that could not be built: another try, or None: none."""
    reason = reasons.DeliveryReason.NOT_BUILDABLE
    if again_after is None:
        return _outcome(job, context, state=_S.FAILED, due_at=None, reason=reason, message=message, attempted=True)
    return _outcome(
        job,
        context,
        state=_S.DEFERRED,
        due_at=context.now + again_after,
        reason=reason,
        message=message,
        attempted=False,
    )


def _deferred(job: ports.Job, reason: reasons.DeliveryReason, message: str, context: VerdictContext) -> ports.Outcome:
    is_doubtful = job.doubts > 0
    decision = retry.next_attempt(
        _policy(job, context),
        queued_at=job.accepted_at,
        # In doubt, attempts are not counted on: the longest delays are the right ones for what may have arrived.
        attempts=_PATIENT_ATTEMPTS if is_doubtful else job.attempts + 1,
        now=context.now,
        jitter=context.jitter,
    )
    if is_doubtful:
        return _still_in_doubt(job, decision, reason, message, context)
    if isinstance(decision, retry.GiveUp):
        last = f"{reasons.MEANINGS[decision.reason]} Last: {message}"
        return _outcome(
            job, context, state=_S.EXPIRED, due_at=None, reason=decision.reason, message=last, attempted=True
        )
    return _outcome(job, context, state=_S.DEFERRED, due_at=decision.at, reason=reason, message=message, attempted=True)


def _still_in_doubt(
    job: ports.Job, decision: retry.RetryDecision, reason: reasons.DeliveryReason, message: str, context: VerdictContext
) -> ports.Outcome:
    """Return the outcome of a resend that was deferred: it is no further loss, and the first copy may have arrived."""
    if isinstance(decision, retry.Retry):
        return _outcome(
            job, context, state=_S.IN_DOUBT, due_at=decision.at, reason=reason, message=message, attempted=False
        )
    given_up = reasons.DeliveryReason.IN_DOUBT
    last = f"{reasons.MEANINGS[given_up]} Last: {message}"
    return _outcome(job, context, state=_S.FAILED, due_at=None, reason=given_up, message=last, attempted=True)


def _policy(job: ports.Job, context: VerdictContext) -> patience.RetryPolicy:
    # What was promised at acceptance counts, not what the settings say since.
    max_age = _UNLIMITED if context.expiry_paused else job.expires_at - job.accepted_at
    return dataclasses.replace(patience.POLICIES[job.category], max_age=max_age)


def _outcome(
    job: ports.Job,
    context: VerdictContext,
    *,
    state: vocabulary.RecipientState,
    due_at: dt.datetime | None,
    reason: str,
    message: str,
    attempted: bool,
) -> ports.Outcome:
    return ports.Outcome(
        recipient_number=job.recipient_number,
        state=state,
        due_at=due_at,
        attempted=attempted,
        reason=reason,
        message=message,
        at=context.now,
    )


def returned(recipient_number: int, *, now: dt.datetime) -> ports.Outcome:
    """Return what leads a recipient out of HELD: it waits for an attempt again."""
    return ports.Outcome(recipient_number=recipient_number, state=_S.QUEUED, due_at=now, at=now)
