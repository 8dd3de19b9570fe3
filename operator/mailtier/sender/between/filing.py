"""What people ask of the queue, beside what delivery does: lists of it, and what failed sent again or dropped.

`tests/contract/queue/test_filing.py` holds the contract; every backend passes it.
"""

import dataclasses
import datetime as dt
from collections.abc import Collection, Sequence
from typing import Protocol

from mailtier.api import vocabulary
from mailtier.sender import ports


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which notifications are listed; None asks for nothing.

    Attributes:
        state: One that a recipient is in.
        reason: One that a recipient has; of the same recipient as the state.
        organizations: The names of some.
        accepted_before: Aware UTC time.
        waiting: Of which organizations and categories recipients without an end wait for the reason now: they are
            listed whatever is stored as theirs.
    """

    state: vocabulary.RecipientState | None = None
    reason: str | None = None
    organizations: Sequence[str] | None = None
    accepted_before: dt.datetime | None = None
    waiting: Collection[tuple[str, vocabulary.Category]] = ()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class FiledPage:
    """A part of a list, the latest first.

    Attributes:
        following: The id after which the list goes on; None at its end. There may be more where `records` is empty:
            no page looks at more than a few thousand notifications.
    """

    records: Sequence[ports.Record]
    following: str | None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Filed:
    """A notification as it stands.

    Attributes:
        unfinished: The queue's numbers of its recipients without a final state.
    """

    record: ports.Record
    unfinished: Sequence[int]


class NotRetryableError(Exception):
    """There is nothing of it that can be sent again; the text says why."""


def nothing_failed(lane: ports.LaneKey, *, unfinished: int) -> NotRetryableError:
    """Return why a notification of a lane is not sent again of which nothing failed, and what to do for what waits."""
    told = "none of its recipients failed, expired or was suppressed"
    if not unfinished:
        return NotRetryableError(told)
    return NotRetryableError(
        f"{told}; to have what waits tried now, run `mailtier queue release {lane.namespace}/{lane.organization}`"
    )


class NotDroppableError(Exception):
    """There is nothing of it that can be dropped; the text says why."""


SuppressionKey = tuple[str, str]
"""An organization's name, and an address that nothing is sent to."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Suppression:
    """An address to which an organization sends nothing for a while (`queueing.suppressions`).

    Attributes:
        organization: Its name.
        address: In lower case.
        refused_at: Aware UTC time of the last refusal.
        until: Aware UTC time of its end.
    """

    organization: str
    address: str
    refused_at: dt.datetime
    until: dt.datetime


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SuppressionPage:
    """A part of a list, by organization and address.

    Attributes:
        following: After what the list goes on; None at its end.
    """

    suppressions: Sequence[Suppression]
    following: SuppressionKey | None


class FilingQueue(Protocol):
    """A queue that people can look into. Rows are a namespace's by its uid."""

    async def page(self, namespace_uid: str, wanted: Filter, *, after: str | None, limit: int) -> FiledPage:
        """Return a part of a namespace's notifications, the latest first.

        Args:
            namespace_uid: Whose.
            wanted: Which of them.
            after: The id after which it goes on; None to begin.
            limit: How many records it holds at most.

        Raises:
            LookupError: There is no such id any more.
        """

    async def look(self, namespace_uid: str, notification_id: str) -> Filed | None:
        """Return a notification of a namespace; None where there is none, or nothing of it but what is left of it."""

    async def retry(
        self,
        namespace_uid: str,
        notification_id: str,
        *,
        at: dt.datetime,
        expires_at: dt.datetime,
        quota: ports.QueueQuota,
    ) -> Sequence[ports.Pending]:
        """Queue those recipients of a notification anew that failed or expired; return what the scheduler has to know.

        Ids and Message-IDs stay; attempts and losses begin anew. A caller that may be cancelled does as with
        `enqueue_all`.

        Args:
            at: Aware UTC time.
            expires_at: Aware UTC time after which it is not tried again.
            quota: What its namespace may have queued.

        Raises:
            LookupError: There is no such notification.
            NotRetryableError: None of its recipients failed, or its payload is wiped.
            QuotaExceededError: The namespace's quota is used up.
            StorageFullError: The volume is too full.
        """

    async def suppressions(
        self, namespace_uid: str, *, now: dt.datetime, after: SuppressionKey, limit: int
    ) -> SuppressionPage:
        """Return a part of the addresses to which a namespace's organizations send nothing.

        Args:
            namespace_uid: Whose.
            now: Aware UTC time; what is over is not listed.
            after: After what it goes on; two empty texts to begin.
            limit: How many at most.
        """

    async def resume(self) -> str | None:
        """Have a queue that was restored from a backup go on; return of when that is, None where it was not."""

    async def clear_suppressions(
        self, namespace_uid: str, *, organization: str | None, addresses: Sequence[str] | None
    ) -> int:
        """Let addresses be tried again, as if no server had refused them; return how many were known.

        What ended as suppressed stays so until somebody has it sent again.

        Args:
            namespace_uid: Whose.
            organization: By its name; None for all of them.
            addresses: None for all.
        """


class DroppingQueue(Protocol):
    """A queue of which delivery drops what people want dropped."""

    async def drop(self, namespace_uid: str, notification_id: str) -> None:
        """Wipe what is kept of a notification whose recipients are all final; it cannot be sent again then."""
