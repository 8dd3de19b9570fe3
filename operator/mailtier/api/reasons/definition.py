"""What a reason of a condition is."""

import dataclasses
from typing import Final

from mailtier.api import vocabulary


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """One reason of a condition.

    Attributes:
        name: CamelCase, as it stands in status.
        conditions: The condition types it appears on, beside Ready, Reconciling and Stalled that repeat it.
        progress: What it means to whoever waits for Ready.
        meaning: One sentence.
        remedy: What to do, in the imperative; a runbook's entry.
    """

    name: str
    conditions: tuple[vocabulary.Condition, ...]
    progress: vocabulary.Progress = vocabulary.Progress.NONE
    meaning: str
    remedy: str

    def __str__(self) -> str:
        return self.name


def reconciling(condition: vocabulary.Condition, *, name: str, meaning: str, remedy: str) -> Reason:
    """Return a reason of what may be on its way."""
    progress = vocabulary.Progress.RECONCILING
    return Reason(name=name, conditions=(condition,), progress=progress, meaning=meaning, remedy=remedy)


def stalled(condition: vocabulary.Condition, *, name: str, meaning: str, remedy: str) -> Reason:
    """Return a reason that lasts until somebody changes something."""
    progress = vocabulary.Progress.STALLED
    return Reason(name=name, conditions=(condition,), progress=progress, meaning=meaning, remedy=remedy)


NOTHING: Final = "Nothing."
"""The remedy of what is well."""
