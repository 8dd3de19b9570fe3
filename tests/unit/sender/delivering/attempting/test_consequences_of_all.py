"""What holds of the consequences of every attempt, however it ended and whatever was so."""

import dataclasses
import datetime as dt

from hypothesis import given
from hypothesis import strategies as st

from kit import attempts
from mailtier.api import vocabulary
from mailtier.mail import classify, reasons, states, transaction
from mailtier.sender import ports
from mailtier.sender.delivering import tries
from mailtier.sender.delivering.attempting import consequences, verdicts
from mailtier.sender.scheduling import refusals

_C = vocabulary.Category
_P = classify.Phase
_R = reasons.DeliveryReason
_S = vocabulary.RecipientState
_Scope = classify.Scope

_FAILURES = st.builds(
    classify.Failure,
    scope=st.sampled_from(_Scope),
    permanence=st.sampled_from(classify.Permanence),
    phase=st.sampled_from([_P.MAIL, _P.RCPT]),
    reason=st.sampled_from(_R),
    code=st.sampled_from([None, 421, 450, 535, 550, 554]),
)
_EVENTS = st.one_of(
    st.builds(tries.NotOpened, failure=_FAILURES, phase=st.sampled_from(_P)),
    st.builds(attempts.refused, _FAILURES),
    st.builds(tries.NotBuilt, message=st.sampled_from(["", "No such value."])),
    st.sampled_from([attempts.ACCEPTED, attempts.LOST, tries.StaleToken()]),
)


@st.composite
def _circumstances(draw: st.DrawFn) -> consequences.Circumstances:
    doubts = draw(st.integers(0, 3))
    waiting = st.sampled_from([_S.QUEUED, _S.DEFERRED])
    age = draw(st.timedeltas(dt.timedelta(), dt.timedelta(days=2)))
    lost = draw(st.integers(0, 4))
    return consequences.Circumstances(
        job=dataclasses.replace(
            attempts.JOB,
            category=draw(st.sampled_from(_C)),
            attempts=draw(st.integers(0, 50)),
            doubts=doubts,
            accepted_at=attempts.NOW - age,
            expires_at=attempts.NOW - age + dt.timedelta(days=1),
        ),
        usable=attempts.usable(draw(st.sampled_from([vocabulary.Origin.ORG, vocabulary.Origin.HOST]))),
        is_current=draw(st.booleans()),
        state=_S.IN_DOUBT if doubts else draw(waiting),
        lane_refusals=attempts.against_settings(
            *draw(st.sets(st.sampled_from("abc"))), at=draw(st.sampled_from([0.0, attempts.MONOTONIC]))
        ),
        losses=refusals.Losses(phase=_P.RCPT if lost else None, count=lost, first_at=10.0 if lost else 0.0),
        crashes=draw(st.integers(0, 1)),
        served_at=draw(st.sampled_from([float("-inf"), 5.0, attempts.MONOTONIC])),
        monotonic=attempts.MONOTONIC,
        context=verdicts.VerdictContext(
            now=attempts.NOW,
            jitter=draw(st.floats(0, 1, exclude_max=True)),
            expiry_paused=draw(st.booleans()),
            for_owner=draw(st.booleans()),
        ),
    )


@given(_EVENTS, _circumstances())
def test_every_end_leads_to_one_state_that_may_follow(
    event: tries.AttemptEvent, known: consequences.Circumstances
) -> None:
    """An attempt ends in exactly one state of the table, final where no other attempt is due, or was none at all."""
    outcome = consequences.decide(event, known).for_recipient
    match outcome:
        case ports.Outcome():
            assert states.may_follow(known.state, outcome.state)
            assert (outcome.due_at is None) == (outcome.state in states.FINAL)
            assert outcome.due_at is None or outcome.due_at >= attempts.NOW
        case consequences.StillInDoubt(due_at=due_at):
            assert known.state is _S.IN_DOUBT
            assert due_at >= attempts.NOW
        case consequences.AwaitsToken():
            assert event == tries.StaleToken()


@given(_EVENTS, _circumstances())
def test_nobody_pays_for_another_s_fault(event: tries.AttemptEvent, known: consequences.Circumstances) -> None:
    """A fault of the server charges no attempt (R12), and only such a fault opens its breaker.

    Only credentials that are refused, or that are not the host's and could not be checked, have the Secret read again
    and the organization held; only refused settings are remembered of the lane, and only a refused token is dropped.
    """
    decided = consequences.decide(event, known)
    failure = event.failure if isinstance(event, (tries.NotOpened, transaction.RecipientResult)) else None
    is_lost = event == attempts.LOST
    scope = failure.scope if failure is not None and not is_lost else None
    is_troubled = isinstance(decided.destination, consequences.LoginTroubled)
    assert is_troubled is (
        scope is _Scope.SERVER
        and isinstance(event, tries.NotOpened)
        and event.phase is _P.AUTH
        and known.usable.has_own_login
    )
    if is_troubled:
        scope = _Scope.CREDENTIALS
    charged = decided.destination is None and scope is _Scope.SERVER
    assert not charged or (isinstance(event, transaction.RecipientResult) and known.losses.count >= 2)
    assert not charged or (failure is not None and failure.code is None and failure.phase is known.losses.phase)
    if scope is _Scope.SERVER and isinstance(decided.for_recipient, ports.Outcome):
        assert charged or not decided.for_recipient.attempted
    assert isinstance(decided.destination, consequences.Faulted) is (
        is_lost or (scope is _Scope.SERVER and not charged)
    )
    assert decided.waits_for_server is (scope is _Scope.SERVER and not charged)
    assert (decided.refused is not None) is (scope is _Scope.CREDENTIALS and known.is_current)
    assert scope is _Scope.SETTINGS or decided.holds_lane is None
    assert decided.holds_lane is None or (failure is not None and failure.is_permanent)
    assert decided.frees_lane is (event == attempts.ACCEPTED and known.is_current)
    is_past_login = event == attempts.ACCEPTED or (
        isinstance(event, transaction.RecipientResult) and scope in {_Scope.SETTINGS, _Scope.RECIPIENT, _Scope.MESSAGE}
    )
    assert decided.confirms is (known.is_current and is_past_login and decided.destination is not None)
    assert scope is _Scope.SETTINGS or event == attempts.ACCEPTED or decided.lane_refusals == known.lane_refusals
    assert decided.drops_token is (event == tries.StaleToken())
    assert decided.probe.agrees is (event == attempts.ACCEPTED and known.is_current)
    assert decided.crashes == known.crashes + isinstance(event, tries.NotBuilt)
