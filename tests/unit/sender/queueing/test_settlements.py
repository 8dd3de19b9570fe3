"""What follows from an outcome."""

import dataclasses
import datetime as dt

import hypothesis
import pytest
from hypothesis import strategies as st

from kit import queues, recipient_states
from mailtier.api import vocabulary
from mailtier.mail import reasons, states
from mailtier.sender import ports
from mailtier.sender.queueing import settlements

S = vocabulary.RecipientState


_WEEK = dt.timedelta(days=7)


def _stored(
    state: vocabulary.RecipientState = S.QUEUED,
    *,
    unfinished: int = 1,
    failed: int = 0,
    category: vocabulary.Category = vocabulary.Category.JOB_ALERT,
) -> settlements.StoredRecipient:
    return settlements.StoredRecipient(
        state=state, category=category, notification=1, unfinished=unfinished, failed=failed, payload_bytes=300
    )


def _settle(
    stored: settlements.StoredRecipient, outcome: ports.Outcome, *, keep_failed: dt.timedelta = _WEEK
) -> settlements.Settlement:
    return settlements.settle(stored, outcome, keep_failed=keep_failed)


@pytest.mark.parametrize(("pair", "may_be"), recipient_states.PAIRS.items())
def test_an_outcome_follows_what_is_stored(pair: recipient_states.Pair, *, may_be: bool) -> None:
    """The rules refuse what the tests' own table refuses, and nothing else (R4)."""
    stored, reported = pair
    if may_be:
        settlement = _settle(_stored(stored), queues.outcome(1, reported))
        assert settlement.is_final == (reported in {S.ACCEPTED, S.FAILED, S.EXPIRED, S.SUPPRESSED})
    else:
        with pytest.raises(states.IllegalTransition):
            _settle(_stored(stored), queues.outcome(1, reported))


@pytest.mark.parametrize(("state", "due_at"), [(S.ACCEPTED, queues.START), (S.DEFERRED, None)])
def test_an_outcome_that_contradicts_itself_is_refused(
    state: vocabulary.RecipientState, due_at: dt.datetime | None
) -> None:
    """What is final is not due again, and what is not final is."""
    with pytest.raises(ValueError, match=state.value):
        _settle(_stored(), dataclasses.replace(queues.outcome(1, state), due_at=due_at))


def test_the_last_final_outcome_wipes_the_payload() -> None:
    """Once nobody needs the payload it goes, its namespace is given its bytes back, and seven days begin (R11)."""
    assert _settle(_stored(), queues.outcome(1, S.ACCEPTED)) == settlements.Settlement(
        is_final=True,
        is_loss=False,
        is_failure=False,
        joint=None,
        keep_until=queues.START + _WEEK,
        keep_payload_until=None,
        released_bytes=300,
        freed_bytes=300,
    )


@pytest.mark.parametrize(("state", "failed"), [(S.FAILED, 0), (S.EXPIRED, 0), (S.EXPIRED, 1), (S.ACCEPTED, 1)])
@pytest.mark.parametrize("keep_failed", [dt.timedelta(hours=1), _WEEK])
def test_the_payload_of_what_failed_is_kept(
    state: vocabulary.RecipientState, failed: int, keep_failed: dt.timedelta
) -> None:
    """Where one of the recipients failed the payload can be sent again for a while; it is no longer queued (R11)."""
    settlement = _settle(_stored(failed=failed), queues.outcome(1, state), keep_failed=keep_failed)
    assert settlement.keep_payload_until == queues.START + keep_failed
    assert (settlement.keep_until, settlement.is_failure) == (queues.START + _WEEK, state is not S.ACCEPTED)
    assert (settlement.released_bytes, settlement.freed_bytes) == (300, 0)


@pytest.mark.parametrize("failed", [0, 1])
@pytest.mark.parametrize(
    ("category", "reason", "keep_failed"),
    [
        (vocabulary.Category.PASSWORD_RECOVERY, "Tested", _WEEK),
        (vocabulary.Category.JOB_ALERT, reasons.DeliveryReason.NAMESPACE_DELETED, _WEEK),
        (vocabulary.Category.JOB_ALERT, reasons.DeliveryReason.DROPPED, _WEEK),
        (vocabulary.Category.JOB_ALERT, "Tested", dt.timedelta()),
    ],
)
def test_what_is_never_kept(category: vocabulary.Category, reason: str, keep_failed: dt.timedelta, failed: int) -> None:
    """A reset link, what a namespace that is gone has left, and anything where that is switched off, is wiped (R11)."""
    outcome = dataclasses.replace(queues.outcome(1, S.FAILED), reason=reason)
    settlement = _settle(_stored(category=category, failed=failed), outcome, keep_failed=keep_failed)
    assert (settlement.keep_payload_until, settlement.freed_bytes) == (None, 300)


@pytest.mark.parametrize(("state", "unfinished"), [(S.ACCEPTED, 2), (S.DEFERRED, 1), (S.HELD, 1)])
def test_the_payload_stays_while_somebody_needs_it(state: vocabulary.RecipientState, unfinished: int) -> None:
    """Others of the notification, or the same one's next attempt, are built from it."""
    settlement = _settle(_stored(unfinished=unfinished), queues.outcome(1, state))
    assert (settlement.keep_until, settlement.keep_payload_until) == (None, None)
    assert (settlement.released_bytes, settlement.freed_bytes) == (0, 0)


@pytest.mark.parametrize(
    ("state", "attempted", "is_loss"),
    [(S.IN_DOUBT, True, True), (S.IN_DOUBT, False, False), (S.ACCEPTED, True, False), (S.FAILED, True, False)],
)
def test_what_counts_as_a_loss(state: vocabulary.RecipientState, *, attempted: bool, is_loss: bool) -> None:
    """Only an attempt that ended in doubt is one more loss; a resend that was put off is not."""
    outcome = queues.outcome(1, state, attempted=attempted)
    assert _settle(_stored(S.IN_DOUBT), outcome).is_loss is is_loss


@hypothesis.given(st.lists(st.tuples(st.integers(1, 4), st.sampled_from(list(S)), st.booleans()), max_size=12))
def test_outcomes_together_come_to_what_they_come_to_one_by_one(reported: list[tuple[int, S, bool]]) -> None:
    """Whatever is reported, each outcome finds what those before it have left; one that is refused leaves nothing."""
    # Recipients 1 and 2 are one notification's, 3 another's; there is no 4.
    homes = {1: 1, 2: 1, 3: 2}
    outcomes = [queues.outcome(number, state, attempted=attempted) for number, state, attempted in reported]
    stored = {
        number: dataclasses.replace(_stored(unfinished=2 if home == 1 else 1), notification=home)
        for number, home in homes.items()
    }
    expected: list[settlements.Settlement | type[Exception]] = []
    after = dict(stored)
    for outcome in outcomes:
        recipient = after.get(outcome.recipient_number)
        if recipient is None:
            expected.append(LookupError)
            continue
        try:
            settlement = _settle(recipient, outcome)
        except states.IllegalTransition:
            expected.append(states.IllegalTransition)
            continue
        expected.append(settlement)
        after[outcome.recipient_number] = dataclasses.replace(recipient, state=outcome.state)
        if settlement.is_final:
            for number, other in after.items():
                if other.notification == recipient.notification:
                    after[number] = dataclasses.replace(
                        other, unfinished=other.unfinished - 1, failed=other.failed + settlement.is_failure
                    )
    found = settlements.settle_all(stored, outcomes, keep_failed=_WEEK)
    assert [type(each) if isinstance(each, Exception) else each for each in found] == expected
