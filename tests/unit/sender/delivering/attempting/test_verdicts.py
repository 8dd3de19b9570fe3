"""What a result means for its recipient."""

import dataclasses
import datetime as dt

import pytest

from kit import attempts
from mailtier.api import feed, vocabulary
from mailtier.mail import classify, quoting, reasons, replies, transaction
from mailtier.sender.delivering.attempting import verdicts

_S = vocabulary.RecipientState
_NOW = attempts.NOW
_CONTEXT = verdicts.VerdictContext(now=_NOW, jitter=0.0, expiry_paused=False, for_owner=False)
_BACK = _NOW + dt.timedelta(seconds=3)


def _refusal(phase: classify.Phase, code: int, text: str) -> classify.Failure:
    (reply,) = replies.ReplyParser().receive(f"{code} {text}\r\n".encode())
    return classify.classify_reply(phase, reply)


@pytest.mark.parametrize(
    ("failure", "state", "attempted"),
    [
        (classify.classify_fault(classify.Phase.CONNECT, classify.Fault.CONNECTION_FAILED), _S.DEFERRED, False),
        (_refusal(classify.Phase.MAIL, 421, "4.3.2 Leaving"), _S.DEFERRED, False),
        (_refusal(classify.Phase.AUTH, 535, "5.7.8 Wrong"), _S.HELD, False),
        (_refusal(classify.Phase.RCPT, 554, "5.7.1 Denied"), _S.DEFERRED, True),
        (_refusal(classify.Phase.RCPT, 550, "5.1.1 Unknown"), _S.FAILED, True),
        (_refusal(classify.Phase.RCPT, 450, "4.2.1 Busy"), _S.DEFERRED, True),
        (_refusal(classify.Phase.DOT, 554, "5.6.0 Content"), _S.FAILED, True),
        (_refusal(classify.Phase.DOT, 451, "4.3.0 Later"), _S.DEFERRED, True),
    ],
)
def test_the_scope_decides(failure: classify.Failure, state: vocabulary.RecipientState, *, attempted: bool) -> None:
    """Server and credentials charge no attempt; policy defers; recipient and message fail or are tried again (R12)."""
    outcome = verdicts.failed(attempts.JOB, failure, _CONTEXT, server_back_at=_BACK)
    assert (outcome.state, outcome.attempted) == (state, attempted)
    assert (outcome.due_at is None) == (state is _S.FAILED)


def test_a_fault_of_the_server_waits_for_the_server() -> None:
    """The recipient is due when the server is asked again."""
    failure = classify.classify_fault(classify.Phase.CONNECT, classify.Fault.TIMED_OUT)
    assert verdicts.failed(attempts.JOB, failure, _CONTEXT, server_back_at=_BACK).due_at == _BACK


def test_max_age_ends_retries_with_the_last_cause() -> None:
    """A recipient that is too old for another attempt has expired, and says what the last one met."""
    old = dataclasses.replace(attempts.JOB, expires_at=_NOW)
    outcome = verdicts.failed(old, _refusal(classify.Phase.RCPT, 450, "4.2.1 Busy"), _CONTEXT, server_back_at=_BACK)
    assert outcome.state is _S.EXPIRED
    assert "450 4.2.1" in outcome.message


def test_nothing_is_too_old_while_expiry_is_paused() -> None:
    """After a jump of the wall clock the recipient is tried again (R14)."""
    old = dataclasses.replace(attempts.JOB, expires_at=_NOW)
    paused = dataclasses.replace(_CONTEXT, expiry_paused=True)
    outcome = verdicts.failed(old, _refusal(classify.Phase.RCPT, 450, "4.2.1 Busy"), paused, server_back_at=_BACK)
    assert outcome.state is _S.DEFERRED


def test_in_doubt_twice_and_no_more() -> None:
    """Resent after five minutes, then fifteen; a third loss fails as InDoubt."""
    failure = classify.classify_fault(classify.Phase.DOT, classify.Fault.CONNECTION_LOST)
    first = verdicts.in_doubt(attempts.JOB, failure, _CONTEXT)
    second = verdicts.in_doubt(dataclasses.replace(attempts.JOB, doubts=1), failure, _CONTEXT)
    third = verdicts.in_doubt(dataclasses.replace(attempts.JOB, doubts=2), failure, _CONTEXT)
    assert (first.state, first.due_at) == (_S.IN_DOUBT, _NOW + dt.timedelta(minutes=5))
    assert (second.state, second.due_at) == (_S.IN_DOUBT, _NOW + dt.timedelta(minutes=15))
    assert (third.state, third.due_at, third.reason) == (_S.FAILED, None, reasons.DeliveryReason.IN_DOUBT)


def test_what_was_met_is_told_in_fields() -> None:
    """Scope, phase and codes of a failure go along with each outcome that it led to, a loss behind the dot included."""
    met = feed.LastFailure(scope="Recipient", phase="rcpt", code=450, enhanced="4.2.1")
    busy = _refusal(classify.Phase.RCPT, 450, "4.2.1 Busy")
    for job in (attempts.JOB, dataclasses.replace(attempts.JOB, doubts=1), dataclasses.replace(attempts.JOB, doubts=2)):
        assert verdicts.failed(job, busy, _CONTEXT, server_back_at=_BACK).failure == met
    lost = classify.classify_fault(classify.Phase.DOT, classify.Fault.CONNECTION_LOST)
    assert verdicts.in_doubt(attempts.JOB, lost, _CONTEXT).failure == feed.LastFailure(scope="Server", phase="dot")


def test_what_the_server_said_is_for_the_owner() -> None:
    """An organization on an inherited endpoint reads codes; the owner reads the words too (R7)."""
    failure = _refusal(classify.Phase.RCPT, 550, "5.1.1 relay-7 knows nobody")
    tenant = verdicts.failed(attempts.JOB, failure, _CONTEXT, server_back_at=_BACK)
    owner = verdicts.failed(attempts.JOB, failure, dataclasses.replace(_CONTEXT, for_owner=True), server_back_at=_BACK)
    assert "550 5.1.1" in tenant.message
    assert "relay-7" not in tenant.message
    assert "relay-7" in owner.message


def test_an_acceptance_quotes_no_secret() -> None:
    """A server that answers the dot with the password gets it into no record (R1)."""
    (reply,) = replies.ReplyParser().receive(b"250 2.0.0 Thanks for correct-horse-battery\r\n")
    outcome = transaction.RecipientResult(
        rcpt_to="a@example.org", verdict=transaction.RecipientVerdict.ACCEPTED, reply=reply
    )
    context = dataclasses.replace(_CONTEXT, for_owner=True, secrets=quoting.KnownSecrets(["correct-horse-battery"]))
    told = verdicts.accepted(attempts.JOB, outcome, context)
    assert "horse" not in told.message
    assert told.message.startswith("The SMTP server took it: 250 2.0.0 Thanks for")
    assert "correct" not in repr(context)


def test_a_message_that_cannot_be_built_has_a_second_chance() -> None:
    """The first crash defers, without an attempt; the second fails."""
    again = verdicts.not_built(attempts.JOB, "No.", _CONTEXT, again_after=dt.timedelta(seconds=30))
    assert (again.state, again.attempted) == (_S.DEFERRED, False)
    assert verdicts.not_built(attempts.JOB, "No.", _CONTEXT, again_after=None).state is _S.FAILED


def test_a_resend_that_is_put_off_stays_in_doubt() -> None:
    """What may have arrived is neither deferred nor expired when its resend is refused for now; no loss is counted."""
    lost, refusal = dataclasses.replace(attempts.JOB, doubts=1), _refusal(classify.Phase.RCPT, 451, "4.3.0 Later")
    waiting = verdicts.failed(lost, refusal, _CONTEXT, server_back_at=_BACK)
    assert (waiting.state, waiting.attempted) == (_S.IN_DOUBT, False)
    assert waiting.due_at is not None
    assert waiting.due_at > _NOW
    old = dataclasses.replace(lost, expires_at=_NOW)
    ended = verdicts.failed(old, refusal, _CONTEXT, server_back_at=_BACK)
    assert (ended.state, ended.due_at, ended.reason) == (_S.FAILED, None, reasons.DeliveryReason.IN_DOUBT)
    assert "451 4.3.0" in ended.message
