"""The table of recipient states."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit import recipient_states
from mailtier.api import vocabulary
from mailtier.mail import states

S, E = vocabulary.RecipientState, states.RecipientEvent


def test_every_pair_is_written_down() -> None:
    """The tests' own table speaks of each pair of states there is, and of no other."""
    assert set(recipient_states.PAIRS) == set(itertools.product(S, S))


@pytest.mark.parametrize(("pair", "may_be"), recipient_states.PAIRS.items())
def test_what_may_follow_what(pair: recipient_states.Pair, *, may_be: bool) -> None:
    """Each pair is allowed or refused as the tests' own table has it, and a refusal says what was tried (R4)."""
    stored, reported = pair
    assert states.may_follow(stored, reported) is may_be
    if may_be:
        states.require(stored, reported)
    else:
        with pytest.raises(states.IllegalTransition, match=f"that is {stored.value} cannot become {reported.value}$"):
            states.require(stored, reported)


@pytest.mark.parametrize(
    ("state", "event", "following"),
    [
        (S.QUEUED, E.ACCEPT, S.ACCEPTED),
        (S.QUEUED, E.REJECT, S.FAILED),
        (S.QUEUED, E.DEFER, S.DEFERRED),
        (S.QUEUED, E.LOSE_AFTER_DOT, S.IN_DOUBT),
        (S.QUEUED, E.HOLD, S.HELD),
        (S.QUEUED, E.FAIL, S.FAILED),
        (S.QUEUED, E.EXPIRE, S.EXPIRED),
        (S.QUEUED, E.SUPPRESS, S.SUPPRESSED),
        (S.DEFERRED, E.ACCEPT, S.ACCEPTED),
        (S.DEFERRED, E.REJECT, S.FAILED),
        (S.DEFERRED, E.DEFER, S.DEFERRED),
        (S.DEFERRED, E.LOSE_AFTER_DOT, S.IN_DOUBT),
        (S.DEFERRED, E.HOLD, S.HELD),
        (S.DEFERRED, E.FAIL, S.FAILED),
        (S.DEFERRED, E.EXPIRE, S.EXPIRED),
        (S.DEFERRED, E.SUPPRESS, S.SUPPRESSED),
        (S.IN_DOUBT, E.ACCEPT, S.ACCEPTED),
        (S.IN_DOUBT, E.REJECT, S.FAILED),
        (S.IN_DOUBT, E.DEFER, S.IN_DOUBT),
        (S.IN_DOUBT, E.LOSE_AFTER_DOT, S.IN_DOUBT),
        (S.IN_DOUBT, E.FAIL, S.FAILED),
        (S.HELD, E.RELEASE, S.QUEUED),
        (S.HELD, E.FAIL, S.FAILED),
        (S.HELD, E.EXPIRE, S.EXPIRED),
        (S.HELD, E.SUPPRESS, S.SUPPRESSED),
        (S.FAILED, E.RETRY, S.QUEUED),
        (S.EXPIRED, E.RETRY, S.QUEUED),
        (S.SUPPRESSED, E.RETRY, S.QUEUED),
    ],
)
def test_an_event_leads_on(
    state: vocabulary.RecipientState, event: states.RecipientEvent, following: vocabulary.RecipientState
) -> None:
    """What the documentation tells of an event is what happens to the recipient."""
    assert states.TRANSITIONS[state][event] is following


def test_every_state_has_a_row_and_every_event_a_use() -> None:
    """The table is complete: no state and no event is missing."""
    assert set(states.TRANSITIONS) == set(S)
    assert {event for row in states.TRANSITIONS.values() for event in row} == set(E)


def test_no_attempt_leaves_a_final_state() -> None:
    """Final is final, for four states and only those, until a person sends again what failed."""
    left = {state for state, row in states.TRANSITIONS.items() if set(row) <= {E.RETRY}}
    assert left == states.FINAL == {S.ACCEPTED, S.FAILED, S.EXPIRED, S.SUPPRESSED}


@pytest.mark.parametrize("stored", S)
def test_what_a_person_may_send_again(stored: vocabulary.RecipientState) -> None:
    """What failed, expired or was suppressed is queued again, and nothing else, as the tests' own table has it."""
    if (stored, S.QUEUED) in recipient_states.AGAIN:
        assert states.retried(stored) is S.QUEUED
    else:
        with pytest.raises(states.IllegalTransition, match=f"that is {stored.value} is not sent again$"):
            states.retried(stored)


def test_every_state_is_reached_and_can_end() -> None:
    """From the first state each other is reached, and from each one a final one is (R4)."""
    reached = {states.INITIAL}
    while more := {target for state in reached for target in states.TRANSITIONS[state].values()} - reached:
        reached |= more
    assert reached == set(S)
    assert all(states.FINAL & set(states.TRANSITIONS[state].values()) for state in set(S) - states.FINAL)


@given(st.lists(st.sampled_from(S), max_size=40))
def test_a_doubt_ends_as_accepted_or_failed(reported: list[vocabulary.RecipientState]) -> None:
    """Whatever is reported in whatever order, what was in doubt is never recorded as if nothing had been sent."""
    state, was_in_doubt = states.INITIAL, False
    for following in reported:
        if not states.may_follow(state, following):
            continue
        assert state not in states.FINAL
        state = following
        was_in_doubt |= state is S.IN_DOUBT
        assert not was_in_doubt or state in {S.IN_DOUBT, S.ACCEPTED, S.FAILED}


def test_the_table_cannot_be_changed() -> None:
    """One table, read by all, written by none."""
    with pytest.raises(TypeError):
        states.TRANSITIONS[S.ACCEPTED] = {}  # type: ignore[index]
    with pytest.raises(TypeError):
        states.TRANSITIONS[S.ACCEPTED][E.DEFER] = S.DEFERRED  # type: ignore[index]


def test_the_diagram_shows_the_whole_table() -> None:
    """Every event of every row stands on its arrow, and final states end."""
    lines = states.diagram().splitlines()
    assert lines[0] == "stateDiagram-v2"
    assert "    [*] --> queued" in lines
    assert '    state "in doubt" as in_doubt' in lines
    for state, row in states.TRANSITIONS.items():
        for event, target in row.items():
            arrow = f"    {state.value} --> {target.value}: ".replace("in doubt", "in_doubt")
            (line,) = [line for line in lines if line.startswith(arrow)]
            assert event.value in line.removeprefix(arrow).split(", ")
    assert [line for line in lines if line.endswith("--> [*]")] == [
        f"    {state.value} --> [*]" for state in S if state in states.FINAL
    ]
