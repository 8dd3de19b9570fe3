"""What a backend stores of outcomes that are reported to it, whichever database it is."""

import dataclasses
import datetime as dt
from collections.abc import Iterable, Sequence
from typing import Any

from mailtier.api import vocabulary
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


def settle(
    rows: Iterable[Sequence[Any]], reports: Sequence[ReportedOutcome], *, keep_failed: dt.timedelta
) -> tuple[Sequence[SettledReport], Sequence[Exception | None]]:
    """Return the reports that are to be stored, and of each report None, or why it changes nothing.

    Args:
        rows: Of the recipients, as they are before: number, state, number of the notification; of that the category,
            how many are unfinished and how many failed, bytes of the payload, uid of the namespace, and whether it came
            as an object.
        reports: In the order in which they came.
        keep_failed: How long the payload of what failed is kept.
    """
    stored = dict[int, settlements.StoredRecipient]()
    homes = dict[int, RecipientHome]()
    for number, state, notification, category, unfinished, failed, payload_bytes, namespace_uid, from_object in rows:
        stored[number] = settlements.StoredRecipient(
            state=vocabulary.RecipientState(state),
            category=vocabulary.Category(category),
            notification=notification,
            unfinished=unfinished,
            failed=failed,
            payload_bytes=payload_bytes,
        )
        homes[number] = RecipientHome(
            notification=notification, namespace_uid=namespace_uid, from_object=bool(from_object)
        )
    found = settlements.settle_all(stored, [report.outcome for report in reports], keep_failed=keep_failed)
    settled = [
        SettledReport(report=report, home=homes[report.outcome.recipient_number], settlement=settlement)
        for report, settlement in zip(reports, found, strict=True)
        if isinstance(settlement, settlements.Settlement)
    ]
    return settled, [None if isinstance(each, settlements.Settlement) else each for each in found]
