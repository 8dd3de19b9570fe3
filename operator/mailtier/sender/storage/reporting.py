"""What a backend stores of outcomes that are reported to it, whichever database it is."""

import dataclasses

from mailtier.sender import ports
from mailtier.sender.queueing import crashes, settlements


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ReportedOutcome:
    """An outcome that was reported.

    Attributes:
        note: What is noted of the attempt; it is answered with this.
    """

    outcome: ports.Outcome
    note: crashes.Note | None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RecipientHome:
    """Where a recipient belongs."""

    notification: int
    namespace_uid: str
    from_object: bool


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SettledReport:
    """A report that is stored, and what follows from it."""

    report: ReportedOutcome
    home: RecipientHome
    settlement: settlements.Settlement
