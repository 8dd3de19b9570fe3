"""The states of one recipient, and the one table of how it moves between them.

The queue, the tests and the diagram in the documentation all read this table; nothing else decides what may
follow what.
"""

import enum
import types
from collections.abc import Mapping
from typing import Final

from mailtier.api import vocabulary

_S: Final = vocabulary.RecipientState

INITIAL: Final = _S.QUEUED

FINAL: Final = frozenset({_S.ACCEPTED, _S.FAILED, _S.EXPIRED, _S.SUPPRESSED})
"""States that nothing leaves: payloads are wiped there (R11)."""


class RecipientEvent(enum.StrEnum):
    """What can happen to a recipient."""

    START = "start"
    """An attempt begins."""
    ACCEPT = "accept"
    """The next hop took the message."""
    REJECT = "reject"
    """The next hop refused recipient or message for good."""
    DEFER = "defer"
    """The attempt failed and another follows after a delay."""
    LOSE_AFTER_DOT = "lose after dot"
    """The connection was lost after the final dot: nobody knows whether the message was taken."""
    RETURN = "return"
    """The attempt ended before the message was offered, by no fault of its own; it waits as before."""
    HOLD = "hold"
    """Settings, policy or credentials do not let it go; it waits until they do."""
    RELEASE = "release"
    """What held it is gone."""
    RETRY = "retry"
    """A person, or a breaker that closed, does not want to wait for the next attempt."""
    FAIL = "fail"
    """It is given up for a reason of ours: twice in doubt, poison, dropped, organization deleted."""
    EXPIRE = "expire"
    """It reached its max age."""
    SUPPRESS = "suppress"
    """Its address is on the suppression list."""


class IllegalTransition(Exception):  # noqa: N818 - the field's word, as h11 and state machines have it.
    """The event cannot happen in that state; nothing was changed."""


# Resending after a loss begins from IN_DOUBT like any attempt. A recipient in doubt neither expires nor is
# suppressed or held: it may have been delivered, and a record that says otherwise would be untrue. It ends as
# accepted, rejected, or failed with the reason InDoubt.
TRANSITIONS: Final[Mapping[vocabulary.RecipientState, Mapping[RecipientEvent, vocabulary.RecipientState]]] = (
    types.MappingProxyType(
        {
            _S.QUEUED: types.MappingProxyType(
                {
                    RecipientEvent.START: _S.ACTIVE,
                    RecipientEvent.HOLD: _S.HELD,
                    RecipientEvent.FAIL: _S.FAILED,
                    RecipientEvent.EXPIRE: _S.EXPIRED,
                    RecipientEvent.SUPPRESS: _S.SUPPRESSED,
                }
            ),
            _S.ACTIVE: types.MappingProxyType(
                {
                    RecipientEvent.ACCEPT: _S.ACCEPTED,
                    RecipientEvent.REJECT: _S.FAILED,
                    RecipientEvent.DEFER: _S.DEFERRED,
                    RecipientEvent.LOSE_AFTER_DOT: _S.IN_DOUBT,
                    RecipientEvent.RETURN: _S.QUEUED,
                    RecipientEvent.HOLD: _S.HELD,
                    RecipientEvent.FAIL: _S.FAILED,
                    RecipientEvent.EXPIRE: _S.EXPIRED,
                }
            ),
            _S.IN_DOUBT: types.MappingProxyType(
                {
                    RecipientEvent.START: _S.ACTIVE,
                    RecipientEvent.FAIL: _S.FAILED,
                }
            ),
            _S.DEFERRED: types.MappingProxyType(
                {
                    RecipientEvent.START: _S.ACTIVE,
                    RecipientEvent.RETRY: _S.QUEUED,
                    RecipientEvent.HOLD: _S.HELD,
                    RecipientEvent.FAIL: _S.FAILED,
                    RecipientEvent.EXPIRE: _S.EXPIRED,
                    RecipientEvent.SUPPRESS: _S.SUPPRESSED,
                }
            ),
            _S.HELD: types.MappingProxyType(
                {
                    RecipientEvent.RELEASE: _S.QUEUED,
                    RecipientEvent.FAIL: _S.FAILED,
                    RecipientEvent.EXPIRE: _S.EXPIRED,
                    RecipientEvent.SUPPRESS: _S.SUPPRESSED,
                }
            ),
            _S.ACCEPTED: types.MappingProxyType({}),
            _S.FAILED: types.MappingProxyType({}),
            _S.EXPIRED: types.MappingProxyType({}),
            _S.SUPPRESSED: types.MappingProxyType({}),
        }
    )
)


def advance(state: vocabulary.RecipientState, event: RecipientEvent) -> vocabulary.RecipientState:
    """Return the state that follows.

    Raises:
        IllegalTransition: The event cannot happen in this state.
    """
    try:
        return TRANSITIONS[state][event]
    except KeyError:
        raise IllegalTransition(f"a recipient that is {state.value} cannot {event.value}") from None


def diagram() -> str:
    """Return the table as a Mermaid state diagram, one line for each pair of states."""
    lines = ["stateDiagram-v2", f"    [*] --> {_identifier(INITIAL)}"]
    lines += [
        f'    state "{state.value}" as {_identifier(state)}'
        for state in vocabulary.RecipientState
        if _identifier(state) != state.value
    ]
    for state, following in TRANSITIONS.items():
        by_target: dict[vocabulary.RecipientState, list[str]] = {}
        for event, target in following.items():
            by_target.setdefault(target, []).append(event.value)
        lines += [
            f"    {_identifier(state)} --> {_identifier(target)}: {', '.join(events)}"
            for target, events in by_target.items()
        ]
    lines += [f"    {_identifier(state)} --> [*]" for state in TRANSITIONS if state in FINAL]
    return "\n".join(lines) + "\n"


def _identifier(state: vocabulary.RecipientState) -> str:
    # Mermaid takes no blank in a state's identifier.
    return state.value.replace(" ", "_")
