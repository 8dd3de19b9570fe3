"""What the notes of a dead process come to."""

import dataclasses
import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit import queues, recipient_states
from mailtier.api import vocabulary
from mailtier.sender import ports
from mailtier.sender.queueing import crashes

S = vocabulary.RecipientState

_DOT = crashes.Note(recipient_number=7, serial=5, snapshot=1, accepted=False)
_TAKEN = crashes.Note(recipient_number=7, serial=5, snapshot=1, accepted=True)
_LATER = queues.START + dt.timedelta(minutes=2)


def _found(state: vocabulary.RecipientState = S.QUEUED, **changes: object) -> crashes.Interrupted:
    usual = crashes.Interrupted(
        state=state,
        answered=4,
        losses=0,
        category=vocabulary.Category.JOB_ALERT,
        accepted_at=queues.START,
        expires_at=queues.START + dt.timedelta(days=1),
    )
    return dataclasses.replace(usual, **changes)  # type: ignore[arg-type]  # Fields by name, for the tests' brevity.


def _answer(note: crashes.Note, found: crashes.Interrupted) -> tuple[ports.Outcome, ...]:
    return crashes.answer(note, found, now=_LATER, in_doubt=crashes.decide_in_doubt)


def test_a_message_that_was_taken_is_accepted() -> None:
    """The reply was seen: nothing is to be said or done beyond that."""
    assert _answer(_TAKEN, _found()) == (
        ports.Outcome(
            recipient_number=7, state=S.ACCEPTED, due_at=None, attempted=True, reason="", message="", at=_LATER
        ),
    )


def test_a_message_whose_dot_may_have_been_sent_is_in_doubt() -> None:
    """It is resent on the category's schedule, is an attempt and a loss, and says why it waits."""
    (outcome,) = _answer(_DOT, _found())
    assert (outcome.state, outcome.due_at) == (S.IN_DOUBT, _LATER + dt.timedelta(minutes=5))
    assert (outcome.attempted, outcome.reason) == (True, "InDoubt")
    assert outcome.message.startswith("The connection was lost after the final dot")


@pytest.mark.parametrize(
    "found",
    [
        _found(S.IN_DOUBT, losses=2),
        _found(category=vocabulary.Category.PRODUCT_UPDATE),
        _found(expires_at=queues.START + dt.timedelta(minutes=3)),
    ],
    ids=["lost too often", "late is better than twice", "too old by then"],
)
def test_a_doubt_is_given_up(found: crashes.Interrupted) -> None:
    """What is not resent fails as InDoubt, whatever was the reason to give up."""
    (outcome,) = _answer(_DOT, found)
    assert (outcome.state, outcome.due_at, outcome.reason) == (S.FAILED, None, "InDoubt")


def test_delays_may_be_given() -> None:
    """Delays in place of the category's own decide when, and how often."""
    delays = (dt.timedelta(seconds=1),)
    (outcome,) = crashes.answer(
        _DOT,
        _found(category=vocabulary.Category.PRODUCT_UPDATE),
        now=_LATER,
        in_doubt=lambda found, now: crashes.decide_in_doubt(found, now, delays=delays),
    )
    assert outcome.due_at == _LATER + delays[0]


@pytest.mark.parametrize(
    ("note", "last"), [(_DOT, S.IN_DOUBT), (_TAKEN, S.ACCEPTED)], ids=["after a dot", "after a reply"]
)
def test_a_release_that_was_not_committed_is_made_up_for(note: crashes.Note, last: S) -> None:
    """An attempt at what is stored as held means that it was released: that is stored first."""
    released, outcome = _answer(note, _found(S.HELD))
    assert (released.state, released.due_at, released.attempted) == (S.QUEUED, _LATER, False)
    assert outcome.state is last


@pytest.mark.parametrize("note", [_DOT, _TAKEN], ids=["dot", "reply"])
@pytest.mark.parametrize(
    "found",
    [
        *(_found(state) for state in (S.ACCEPTED, S.FAILED, S.EXPIRED, S.SUPPRESSED)),
        _found(answered=5),
        _found(answered=6),
    ],
    ids=["accepted", "failed", "expired", "suppressed", "answered", "older"],
)
def test_a_note_that_was_answered_says_nothing(note: crashes.Note, found: crashes.Interrupted) -> None:
    """A commit that came after a note, or ended its recipient, has told what the note tells."""
    assert _answer(note, found) == ()


@given(
    note=st.builds(
        crashes.Note,
        recipient_number=st.just(7),
        serial=st.integers(1, 5),
        snapshot=st.none() | st.just(1),
        accepted=st.booleans(),
    ),
    found=st.builds(
        crashes.Interrupted,
        state=st.sampled_from(S),
        answered=st.integers(0, 5),
        losses=st.integers(0, 3),
        category=st.sampled_from(vocabulary.Category),
        accepted_at=st.just(queues.START),
        expires_at=st.datetimes(dt.datetime(2025, 3, 1, 12), dt.datetime(2025, 3, 9)).map(  # noqa: DTZ001  # Made aware.
            lambda at: at.replace(tzinfo=dt.UTC)
        ),
    ),
)
def test_a_crash_follows_the_table_of_states(note: crashes.Note, found: crashes.Interrupted) -> None:
    """Whatever is stored and noted, what a note comes to may follow what is stored, outcome after outcome (R4)."""
    state = found.state
    for outcome in _answer(note, found):
        assert recipient_states.PAIRS[state, outcome.state], f"{state} -> {outcome.state}"
        state = outcome.state
    if note.accepted and note.serial > found.answered:
        assert state is S.ACCEPTED or found.state in {S.FAILED, S.EXPIRED, S.SUPPRESSED}
