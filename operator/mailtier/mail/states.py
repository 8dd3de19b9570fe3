"""The states of one recipient, and the one table of how it moves between them.

The queue, the delivery and the diagram in the documentation all read this table; nothing else decides what may follow
what. The tests hold it to a table of their own.

An attempt is one step: that it has begun is not stored, because it would double the writes, and what was under way at a
crash is told by the queue's notes. A recipient that is in doubt stays in doubt while it is sent again, and when that is
refused for now: it may have been delivered, and a record that says otherwise would be untrue. So it neither waits as
deferred or held, and neither expires nor is suppressed; it ends as accepted, refused, or failed with the reason
InDoubt.
"""

import enum
import types
from collections.abc import Mapping
from typing import Final

from mailtier.api import vocabulary

_S: Final = vocabulary.RecipientState

INITIAL: Final = _S.QUEUED

FINAL: Final = frozenset({_S.ACCEPTED, _S.FAILED, _S.EXPIRED, _S.SUPPRESSED})
"""States that no attempt leaves; a person may send again what failed, expired or was suppressed."""

FAILURES: Final = frozenset({_S.FAILED, _S.EXPIRED, _S.SUPPRESSED})
"""Those of them in which the message was not delivered, or not certainly."""

UNFINISHED: Final = frozenset(_S) - FINAL

TIMED: Final = frozenset({_S.DEFERRED, _S.IN_DOUBT})
"""Those of them that wait for a time; the others go when they can, or when what holds them is over."""


class RecipientEvent(enum.StrEnum):
    """What can happen to a recipient."""

    ACCEPT = "accept"
    """The next hop took the message."""
    REJECT = "reject"
    """The next hop refused recipient or message for good."""
    DEFER = "defer"
    """An attempt failed and another follows after a delay."""
    LOSE_AFTER_DOT = "lose after dot"
    """The connection was lost after the final dot: nobody knows whether the message was taken."""
    HOLD = "hold"
    """Settings, policy or credentials do not let it go; it waits until they do."""
    RELEASE = "release"
    """What held it is gone."""
    FAIL = "fail"
    """It is given up for a reason of ours: too often in doubt, not buildable, organization deleted."""
    EXPIRE = "expire"
    """It reached its max age."""
    SUPPRESS = "suppress"
    """Its address was refused as unknown before, and nothing is sent to it for a while."""
    RETRY = "retry"
    """A person has it sent again."""


class IllegalTransition(Exception):  # noqa: N818 - the field's word, as h11 and state machines have it.
    """Nothing leads from the one state to the other; nothing was changed."""


_Row = Mapping[RecipientEvent, vocabulary.RecipientState]

_WAITING: Final[_Row] = types.MappingProxyType(
    {
        RecipientEvent.ACCEPT: _S.ACCEPTED,
        RecipientEvent.REJECT: _S.FAILED,
        RecipientEvent.DEFER: _S.DEFERRED,
        RecipientEvent.LOSE_AFTER_DOT: _S.IN_DOUBT,
        RecipientEvent.HOLD: _S.HELD,
        RecipientEvent.FAIL: _S.FAILED,
        RecipientEvent.EXPIRE: _S.EXPIRED,
        RecipientEvent.SUPPRESS: _S.SUPPRESSED,
    }
)
_NOTHING: Final[_Row] = types.MappingProxyType({})
_AGAIN: Final[_Row] = types.MappingProxyType({RecipientEvent.RETRY: _S.QUEUED})

TRANSITIONS: Final[Mapping[vocabulary.RecipientState, _Row]] = types.MappingProxyType(
    {
        _S.QUEUED: _WAITING,
        _S.DEFERRED: _WAITING,
        _S.IN_DOUBT: types.MappingProxyType(
            {
                RecipientEvent.ACCEPT: _S.ACCEPTED,
                RecipientEvent.REJECT: _S.FAILED,
                RecipientEvent.DEFER: _S.IN_DOUBT,
                RecipientEvent.LOSE_AFTER_DOT: _S.IN_DOUBT,
                RecipientEvent.FAIL: _S.FAILED,
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
        _S.ACCEPTED: _NOTHING,
        _S.FAILED: _AGAIN,
        _S.EXPIRED: _AGAIN,
        _S.SUPPRESSED: _AGAIN,
    }
)


def may_follow(stored: vocabulary.RecipientState, reported: vocabulary.RecipientState) -> bool:
    """Return whether something that delivery reports leads from the stored state to the reported one.

    What a person asks for is no report: a late outcome must not bring back what has ended.
    """
    return any(
        following is reported for event, following in TRANSITIONS[stored].items() if event is not RecipientEvent.RETRY
    )


def retried(stored: vocabulary.RecipientState) -> vocabulary.RecipientState:
    """Return the state of a recipient that a person has sent again.

    Raises:
        IllegalTransition: It was accepted, or has no end yet.
    """
    following = TRANSITIONS[stored].get(RecipientEvent.RETRY)
    if following is None:
        raise IllegalTransition(f"a recipient that is {stored.value} is not sent again")
    return following


def require(stored: vocabulary.RecipientState, reported: vocabulary.RecipientState) -> None:
    """Return when something leads from the stored state to the reported one.

    Raises:
        IllegalTransition: Nothing does.
    """
    if not may_follow(stored, reported):
        raise IllegalTransition(f"a recipient that is {stored.value} cannot become {reported.value}")


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
