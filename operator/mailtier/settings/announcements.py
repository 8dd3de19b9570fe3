"""What is worth an Event: a change of a condition that somebody may be waiting for, once."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from mailtier.api import reasons, vocabulary
from mailtier.settings import transitions

MAXIMUM_NOTE_BYTES: Final = 1024
"""events.k8s.io/v1: of a note, in UTF-8."""

_TOLD: Final = (vocabulary.Condition.READY, vocabulary.Condition.VERIFIED)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Announcement:
    """What happened to an object.

    Attributes:
        is_warning: Whether somebody may have to do something.
        reason: That of the condition.
        note: Its message, shortened.
        at: When the condition changed, as it stands there.
    """

    is_warning: bool
    reason: str
    note: str
    at: str


def of(previous: Sequence[Mapping[str, Any]], conditions: Sequence[Mapping[str, Any]]) -> Iterator[Announcement]:
    """Yield the events of a new status.

    Ready and Verified are told when they change. What is well from the beginning is nothing to tell, and what is only
    on its way neither.

    Args:
        previous: The conditions before; none for an object that is new.
        conditions: The conditions now.
    """
    before, now = transitions.by_type(previous), transitions.by_type(conditions)
    for type_ in _TOLD:
        new, old = now.get(type_), before.get(type_)
        if new is None or new["status"] == "Unknown" or _same(old, new):
            continue
        is_well = new["status"] == "True"
        if is_well and (old is None or old["status"] != "False"):
            continue
        reason = reasons.BY_NAME[new["reason"]]
        if reason.progress == vocabulary.Progress.RECONCILING and old is None:
            continue
        yield _announcement(new)


def of_notification(
    previous: Sequence[Mapping[str, Any]], conditions: Sequence[Mapping[str, Any]]
) -> Iterator[Announcement]:
    """Yield the event of a Notification's new status: that it came to an end that somebody may have to do something of.

    What goes well, and what is on its way, is told in status alone: a write for each message is no steady state.

    Args:
        previous: The conditions before; none for an object that is new.
        conditions: The conditions now.
    """
    new = transitions.by_type(conditions)[vocabulary.Condition.READY]
    is_over = new["status"] == "False" and reasons.BY_NAME[new["reason"]].progress == vocabulary.Progress.STALLED
    if is_over and not _same(transitions.by_type(previous).get(vocabulary.Condition.READY), new):
        yield _announcement(new)


def _announcement(condition: Mapping[str, Any]) -> Announcement:
    return Announcement(
        is_warning=condition["status"] != "True",
        reason=condition["reason"],
        note=_shorten(condition["message"]),
        at=condition["lastTransitionTime"],
    )


def _same(old: Mapping[str, Any] | None, new: Mapping[str, Any]) -> bool:
    return old is not None and (old["status"], old["reason"]) == (new["status"], new["reason"])


def _shorten(message: str) -> str:
    # Half a character at the end is left out.
    return message.encode()[:MAXIMUM_NOTE_BYTES].decode(errors="ignore")
