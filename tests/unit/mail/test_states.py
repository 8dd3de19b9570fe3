"""The table of recipient states."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailtier.api import vocabulary
from mailtier.mail import states

S, E = vocabulary.RecipientState, states.RecipientEvent


@pytest.mark.parametrize(
    ("state", "event", "following"),
    [
        (S.QUEUED, E.START, S.ACTIVE),
        (S.ACTIVE, E.ACCEPT, S.ACCEPTED),
        (S.ACTIVE, E.REJECT, S.FAILED),
        (S.ACTIVE, E.DEFER, S.DEFERRED),
        (S.ACTIVE, E.LOSE_AFTER_DOT, S.IN_DOUBT),
        (S.ACTIVE, E.RETURN, S.QUEUED),
        (S.ACTIVE, E.EXPIRE, S.EXPIRED),
        (S.IN_DOUBT, E.START, S.ACTIVE),
        (S.IN_DOUBT, E.FAIL, S.FAILED),
        (S.DEFERRED, E.START, S.ACTIVE),
        (S.DEFERRED, E.RETRY, S.QUEUED),
        (S.QUEUED, E.HOLD, S.HELD),
        (S.HELD, E.RELEASE, S.QUEUED),
        (S.HELD, E.EXPIRE, S.EXPIRED),
        (S.QUEUED, E.SUPPRESS, S.SUPPRESSED),
    ],
)
def test_a_recipient_moves_on(
    state: vocabulary.RecipientState, event: states.RecipientEvent, following: vocabulary.RecipientState
) -> None:
    """The ordinary courses of a delivery are in the table."""
    assert states.advance(state, event) is following


def test_each_state_and_event_either_leads_on_or_raises() -> None:
    """There is no third way: what the table does not hold raises, and says what was tried."""
    for state, event in itertools.product(S, E):
        if event in states.TRANSITIONS[state]:
            assert states.advance(state, event) in S
        else:
            with pytest.raises(states.IllegalTransition, match=f"{state.value} cannot {event.value}"):
                states.advance(state, event)


def test_every_state_has_a_row_and_every_event_a_use() -> None:
    """The table is complete: no state and no event is missing."""
    assert set(states.TRANSITIONS) == set(S)
    assert {event for row in states.TRANSITIONS.values() for event in row} == set(E)


def test_nothing_leaves_a_final_state() -> None:
    """Final is final: accepted, failed, expired, suppressed, and only those."""
    assert {state for state, row in states.TRANSITIONS.items() if not row} == states.FINAL
    assert {S.ACCEPTED, S.FAILED, S.EXPIRED, S.SUPPRESSED} == states.FINAL


def test_every_state_is_reached_and_can_end() -> None:
    """From the first state each other is reached, and from each one a final one is (R4)."""
    reached = {states.INITIAL}
    while more := {target for state in reached for target in states.TRANSITIONS[state].values()} - reached:
        reached |= more
    assert reached == set(S)
    assert all(states.FINAL & set(states.TRANSITIONS[state].values()) for state in set(S) - states.FINAL)


def test_in_doubt_does_not_end_as_if_nothing_was_sent() -> None:
    """A recipient that may have been served is never recorded as expired or suppressed."""
    for event in (E.EXPIRE, E.SUPPRESS, E.HOLD):
        with pytest.raises(states.IllegalTransition):
            states.advance(S.IN_DOUBT, event)


@given(st.lists(st.sampled_from(E), max_size=40))
def test_any_course_ends_once(events: list[states.RecipientEvent]) -> None:
    """Whatever happens in whatever order, a final state is never left, and an illegal event changes nothing."""
    state = states.INITIAL
    for event in events:
        try:
            following = states.advance(state, event)
        except states.IllegalTransition:
            continue
        assert state not in states.FINAL
        state = following


def test_the_table_cannot_be_changed() -> None:
    """One table, read by all, written by none."""
    with pytest.raises(TypeError):
        states.TRANSITIONS[S.ACCEPTED] = {}  # type: ignore[index]
    with pytest.raises(TypeError):
        states.TRANSITIONS[S.ACCEPTED][E.START] = S.ACTIVE  # type: ignore[index]


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
