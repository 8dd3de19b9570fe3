"""What follows from an outcome."""

import dataclasses
import datetime as dt

import hypothesis
import pytest
from hypothesis import strategies as st

from kit import queues, recipient_states
from mailtier.api import vocabulary
from mailtier.mail import states
from mailtier.sender.queueing import settlements

S = vocabulary.RecipientState


def _stored(state: vocabulary.RecipientState = S.QUEUED, *, unfinished: int = 1) -> settlements.StoredRecipient:
    return settlements.StoredRecipient(state=state, notification=1, unfinished=unfinished, payload_bytes=300)


@pytest.mark.parametrize(("pair", "may_be"), recipient_states.PAIRS.items())
def test_an_outcome_follows_what_is_stored(pair: recipient_states.Pair, *, may_be: bool) -> None:
    """The rules refuse what the tests' own table refuses, and nothing else (R4)."""
    stored, reported = pair
    if may_be:
        settlement = settlements.settle(_stored(stored), queues.outcome(1, reported))
        assert settlement.is_final == (reported in {S.ACCEPTED, S.FAILED, S.EXPIRED})
    else:
        with pytest.raises(states.IllegalTransition):
            settlements.settle(_stored(stored), queues.outcome(1, reported))


@pytest.mark.parametrize(("state", "due_at"), [(S.ACCEPTED, queues.START), (S.DEFERRED, None)])
def test_an_outcome_that_contradicts_itself_is_refused(
    state: vocabulary.RecipientState, due_at: dt.datetime | None
) -> None:
    """What is final is not due again, and what is not final is."""
    with pytest.raises(ValueError, match=state.value):
        settlements.settle(_stored(), dataclasses.replace(queues.outcome(1, state), due_at=due_at))


@pytest.mark.parametrize("state", [S.ACCEPTED, S.FAILED, S.EXPIRED])
def test_the_last_final_outcome_wipes_the_payload(state: vocabulary.RecipientState) -> None:
    """Once nobody needs the payload it goes, its namespace is given its bytes back, and seven days begin (R11)."""
    assert settlements.settle(_stored(), queues.outcome(1, state)) == settlements.Settlement(
        is_final=True, is_loss=False, keep_until=queues.START + dt.timedelta(days=7), freed_bytes=300
    )


@pytest.mark.parametrize(("state", "unfinished"), [(S.ACCEPTED, 2), (S.DEFERRED, 1), (S.HELD, 1)])
def test_the_payload_stays_while_somebody_needs_it(state: vocabulary.RecipientState, unfinished: int) -> None:
    """Others of the notification, or the same one's next attempt, are built from it."""
    settlement = settlements.settle(_stored(unfinished=unfinished), queues.outcome(1, state))
    assert (settlement.keep_until, settlement.freed_bytes) == (None, 0)


@pytest.mark.parametrize(
    ("state", "attempted", "is_loss"),
    [(S.IN_DOUBT, True, True), (S.IN_DOUBT, False, False), (S.ACCEPTED, True, False), (S.FAILED, True, False)],
)
def test_what_counts_as_a_loss(state: vocabulary.RecipientState, *, attempted: bool, is_loss: bool) -> None:
    """Only an attempt that ended in doubt is one more loss; a resend that was put off is not."""
    outcome = queues.outcome(1, state, attempted=attempted)
    assert settlements.settle(_stored(S.IN_DOUBT), outcome).is_loss is is_loss


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
            settlement = settlements.settle(recipient, outcome)
        except states.IllegalTransition:
            expected.append(states.IllegalTransition)
            continue
        expected.append(settlement)
        after[outcome.recipient_number] = dataclasses.replace(recipient, state=outcome.state)
        if settlement.is_final:
            for number, other in after.items():
                if other.notification == recipient.notification:
                    after[number] = dataclasses.replace(other, unfinished=other.unfinished - 1)
    found = settlements.settle_all(stored, outcomes)
    assert [type(each) if isinstance(each, Exception) else each for each in found] == expected
