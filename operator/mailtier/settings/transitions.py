"""Conditions as the Kubernetes API conventions want them: what is so now, and since when."""

import dataclasses
import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mailtier.api import reasons, vocabulary


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A condition without its time.

    Attributes:
        status: True, False or Unknown.
        message: What is so and what to do.
    """

    type: vocabulary.Condition
    status: str
    reason: reasons.Reason
    message: str


def by_type(conditions: Iterable[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """Return conditions by their type."""
    return {condition["type"]: condition for condition in conditions}


def timestamp(moment: dt.datetime) -> str:
    """Return an aware time as Kubernetes writes it: RFC 3339, UTC, whole seconds."""
    return moment.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def moment(text: object) -> dt.datetime | None:
    """Return the aware time that a text is, as `timestamp` or another client writes it; None for anything else."""
    try:
        found = dt.datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return found if found.tzinfo is not None else None


def progress(ready: Wanted) -> Wanted | None:
    """Return Reconciling or Stalled for a false Ready, or None; either exists only while it is true (kstatus)."""
    if ready.status == "True" or ready.reason.progress == vocabulary.Progress.NONE:
        return None
    kind = vocabulary.Condition(ready.reason.progress.value)
    return Wanted(type=kind, status="True", reason=ready.reason, message=ready.message)


def stamp(
    wanted: Sequence[Wanted], *, previous: Sequence[Mapping[str, Any]], generation: int, now: dt.datetime
) -> list[dict[str, Any]]:
    """Return conditions as they are written; lastTransitionTime moves only when the status does.

    Args:
        wanted: What is so now.
        previous: The conditions as they are.
        generation: That all of them were decided on.
        now: Aware UTC time.
    """
    before = by_type(previous)
    stamped = []
    for condition in wanted:
        old = before.get(condition.type)
        since = old["lastTransitionTime"] if old and old["status"] == condition.status else timestamp(now)
        stamped.append(
            {
                "type": condition.type.value,
                "status": condition.status,
                "reason": condition.reason.name,
                "message": condition.message,
                "observedGeneration": generation,
                "lastTransitionTime": since,
            }
        )
    return stamped
