"""The queue as the rest of the sender sees it: what every storage backend must do, as `tests/contract/queue` has it."""

import asyncio
import dataclasses
import datetime as dt
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Protocol, Self, TypeAlias

from mailtier.api import feed, vocabulary
from mailtier.settings import effective


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, order=True)
class LaneKey:
    """An organization as rows are keyed: by the namespace's uid, so that a recreated namespace inherits nothing."""

    namespace_uid: str
    namespace: str
    organization: str

    @classmethod
    def of(cls, settings: effective.Effective) -> Self:
        """Return the key of the organization that has these settings."""
        key = settings.organization
        return cls(namespace_uid=settings.namespace_uid, namespace=key.namespace, organization=key.name)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ObjectSource:
    """The Notification object that a notification came from."""

    name: str
    object_uid: str
    spec_hash: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class NewNotification:
    """A notification to be queued.

    Attributes:
        id: Unique, chosen by the caller; sorts by time.
        locale: Language of its messages, chosen already.
        recipients: 1 to 20 addresses, resolved already (the category's where the caller named none).
        accepted_at: Aware UTC time; the Date of its messages.
        expires_at: Aware UTC time after which it is not tried again.
        idempotency_key: The caller's, unique in the lane; None without one.
        digest: Hexadecimal SHA-256 of the canonical request, to tell a repeat from another body; "" without either.
        source: None for the HTTP intake.
    """

    id: str
    lane: LaneKey
    category: vocabulary.Category
    severity: vocabulary.Severity
    locale: vocabulary.Locale
    recipients: Sequence[str]
    subject: str | None = dataclasses.field(repr=False)
    text: str | None = dataclasses.field(repr=False)
    data: Mapping[str, str] = dataclasses.field(repr=False)
    accepted_at: dt.datetime
    expires_at: dt.datetime
    idempotency_key: str | None
    digest: str
    source: ObjectSource | None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class QueueQuota:
    """What one namespace may have queued, and stored.

    Attributes:
        messages: Recipients without a final state.
        payload_bytes: Of their notifications.
        stored_bytes: Of all that is kept, finished or not (R15). Payloads of what failed make room first, then records
            of what was finished, the oldest first; keys and hashes, which tell a repeat, stay.
    """

    messages: int = 5_000
    payload_bytes: int = 64 * 1024 * 1024
    stored_bytes: int = 128 * 1024 * 1024


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """One recipient that has no final state, as the queue has it.

    Attributes:
        recipient_number: The queue's number of it; never its address, which is `rcpt_to`.
        due_at: Aware UTC time of the next attempt.
        attempts: Finished attempts.
        state: queued, deferred, in doubt or held.
    """

    recipient_number: int
    lane: LaneKey
    category: vocabulary.Category
    state: vocabulary.RecipientState
    due_at: dt.datetime
    expires_at: dt.datetime
    attempts: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Enqueued:
    """Durably queued, now or, if `repeated`, before; and what of it is `pending`, so that delivery looks."""

    id: str
    repeated: bool
    pending: Sequence[Pending]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What a message was built with beside its notification (canonical JSON), so that a resend is byte-identical."""

    settings: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One recipient with everything its message is built from.

    Attributes:
        doubts: How often it was lost after the final dot.
        snapshot: What it was built with when it was last in doubt; None otherwise.
        id_domain: Of its Message-ID, once a message was built for an attempt; None before.
        id_number: What its Message-ID has for its number, where it had another one in the queue that it came from.
    """

    recipient_number: int
    notification_id: str
    lane: LaneKey
    category: vocabulary.Category
    severity: vocabulary.Severity
    locale: vocabulary.Locale
    rcpt_to: str
    subject: str | None = dataclasses.field(repr=False)
    text: str | None = dataclasses.field(repr=False)
    data: Mapping[str, str] = dataclasses.field(repr=False)
    accepted_at: dt.datetime
    expires_at: dt.datetime
    attempts: int
    doubts: int
    snapshot: Snapshot | None
    id_domain: str | None = None
    id_number: int | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, order=True)
class BacklogKey:
    """What is queued of one organization in one category: as much as it may be, and in the queue alone."""

    lane: LaneKey
    category: vocabulary.Category


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What is wanted of a backlog.

    Attributes:
        due_by: Aware UTC time; what is due later stays. None: whatever its time.
        due_from: Aware UTC time from which on everything is wanted at once: the clock was set back. None for none.
        states: Those in which recipients are wanted.
        limit: Recipients at most; limit_bytes: of their payloads together (one is claimed however large it is).
    """

    backlog: BacklogKey
    due_by: dt.datetime | None
    states: AbstractSet[vocabulary.RecipientState]
    limit: int
    limit_bytes: int
    due_from: dt.datetime | None = None


DueFrom: TypeAlias = Mapping[vocabulary.Category, dt.datetime]
"""`Demand.due_from` of each category."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """One recipient, with all that an attempt needs, and until when its address is suppressed. Nobody else has it."""

    pending: Pending
    job: Job
    payload_bytes: int
    suppressed_until: dt.datetime | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """What was claimed, in the demands' order; and of each, when the first that was left is due, None if none was."""

    claimed: Sequence[Claimed]
    next_due: Mapping[BacklogKey, dt.datetime | None]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one attempt, or why there was none.

    Attributes:
        state: The state after it. A recipient that was in doubt and was not tried, or was refused for now, stays in
            doubt (with `attempted` False): it may have been delivered.
        due_at: Aware UTC time of the next attempt; None for a final state and only there.
        attempted: Whether it counts as an attempt, and in doubt as a loss (a fault of the server does not, R12).
        reason: CamelCase; message: one sentence, fit for the tenant.
        failure: What the attempt met; None where that was nothing: what is stored of an earlier one stays.
        id_domain: Of the Message-ID it was built with, if it met something; the first one is stored and stays.
    """

    recipient_number: int
    state: vocabulary.RecipientState
    due_at: dt.datetime | None
    at: dt.datetime
    attempted: bool = False
    reason: str = ""
    message: str = ""
    failure: feed.LastFailure | None = None
    id_domain: str | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A notification and where its recipients stand, for whoever asks by id.

    Attributes:
        accepted_at: Aware UTC time.
        expires_at: Aware UTC time after which it is not tried again.
        recipients: In the caller's order; empty where `totals` is there.
        totals: What is left of them where the namespace's share was used up; only of what came as an object.
        kept_until: Until when its payload is kept, so that it can be sent again; None where that is not so.
    """

    id: str
    lane: LaneKey
    category: vocabulary.Category
    accepted_at: dt.datetime
    expires_at: dt.datetime
    complete: bool
    recipients: Sequence[feed.Recipient]
    totals: feed.Tally | None = None
    kept_until: dt.datetime | None = None


class QuotaExceededError(Exception):
    """The namespace has as much queued as it may; nothing was stored."""


class StorageFullError(Exception):
    """The volume is too full for new work; what is queued goes on, nothing was stored."""


class StorageBrokenError(Exception):
    """The storage failed in a way that only a restart of the sender mends; nothing more is stored until then."""


class StorageAwayError(Exception):
    """The storage does not answer at present; asking again helps."""


class IdempotencyConflictError(Exception):
    """Another request was queued under this key."""


Unqueued: TypeAlias = QuotaExceededError | StorageFullError | IdempotencyConflictError
"""Why a notification was not stored."""


class IntakeQueue(Protocol):
    """What the intake asks of the queue. Methods that store return after the commit.

    Where it failed for good it raises StorageBrokenError, and StorageAwayError while it does not answer.
    """

    async def enqueue_all(
        self, notifications: Sequence[tuple[NewNotification, QueueQuota]]
    ) -> Sequence[Enqueued | Unqueued]:
        """Store notifications in their order and in one commit, or find the same ones; return what became of each.

        One that is refused takes no other with it. What is stored before it in the same call counts for its quota,
        and its idempotency key may be one of theirs. A caller that may be cancelled shields this call and tells
        delivery in any case, which else looks late.

        Raises:
            StorageFullError: The volume is too full for any of them.
        """

    async def find(self, lane: LaneKey, notification_id: str) -> Record | None:
        """Return a notification of a lane, or None."""

    async def find_object(self, lane: LaneKey, *, name: str, spec_hash: str) -> Record | None:
        """Return the notification that a Notification object of a lane is, taken now or before; None without one."""

    async def changes(self, after: int, *, limit: int = 500) -> feed.Feed:
        """Return the latest state of Notification objects and probes that changed after a cursor.

        A cursor from the future (the volume it came from is gone) is answered like 0. What changed up to the cursor
        was read: only then the recipients of an object are forgotten where its namespace's share is used up.
        """

    async def wait_for_change(self, after: int, *, within: dt.timedelta) -> None:
        """Return when something changed after the cursor, or when the time is over."""

    async def restored(self) -> str | None:
        """Return of when the backup is that it was restored from, until it goes on (`queueing.restoring`)."""

    async def queued_namespaces(self) -> Sequence[str]:
        """Return the uids of the namespaces for which something is queued, each once, in order."""

    async def kept_namespaces(self) -> Sequence[str]:
        """Return the uids of the namespaces of which such a payload is kept, each once."""

    async def close(self) -> None:
        """Commit what is under way and close."""


class DeliveryQueue(Protocol):
    """What delivery asks of the queue; the same holds as of the intake's."""

    async def backlogs(self, due_from: DueFrom | None = None) -> Mapping[BacklogKey, dt.datetime]:
        """Return every backlog with a recipient without a final state, and when that is due which is claimed first.

        It takes as long as there are backlogs, not recipients. What a crash cut off is in doubt or queued again.
        """

    async def claim(self, demands: Sequence[Demand]) -> Claims:
        """Claim recipients of backlogs, those first that are due first, with all that their messages are built from.

        What is claimed already is left out. A claim ends with a final outcome, with `unclaim`, and with the process.
        """

    async def claim_expired(self, *, now: dt.datetime, limit: int) -> tuple[Sequence[Pending], dt.datetime | None]:
        """Claim recipients whose max age is reached; return with them when the next one is, None for none."""

    async def claim_these(self, recipient_numbers: Sequence[int]) -> Sequence[Pending]:
        """Claim recipients by their numbers; what is final, and what is claimed already, is left out."""

    async def hasten(self, lane: LaneKey, *, now: dt.datetime) -> int:
        """Have the deferred recipients of a lane be due at a time, aware UTC; return how many were due later."""

    def unclaim(self, recipient_numbers: Iterable[int]) -> None:
        """End claims: whoever asks next may be given these recipients, as they are stored."""

    async def wait_to_send(self) -> None:
        """Return when a message may begin: not while its final dot could not leave, as a lease ends soon."""

    def note_dot(self, recipient_number: int, snapshot: Snapshot) -> Awaitable[Callable[[], None] | None]:
        """Note, before the final dot is written, that a message may be about to be taken (survives SIGKILL).

        What it returns, if anything, is called at the last moment before the dot, and raises OSError as this does.

        Raises:
            StorageFullError, OSError: It could not be stored; the dot must not be sent.
        """

    def note_accepted(self, recipient_number: int) -> None:
        """Note, on the reply to the final dot, that the message was taken (survives SIGKILL; no commit)."""

    def settle(self, outcomes: Sequence[Outcome]) -> asyncio.Future[Sequence[Exception | None]]:
        """Store outcomes; payloads are wiped once every recipient of the notification is final.

        Where one failed or expired, the payload is kept for a while (R11); not that of a password recovery, and nothing
        of a namespace that is gone. They are on their way when this returns: the loop need not await them (the notes
        cover a crash), only look at their errors in the end. They are stored in the order of the calls, and of each;
        one that is refused takes no other with it. While the volume is full they are tried until there is room.

        The future has None for each that is stored, else why it changed nothing: StorageBrokenError; LookupError (there
        is no such recipient); ValueError (`due_at` does not fit the state); or states.IllegalTransition.
        """

    async def record_probe(self, probe: feed.Probe) -> None:
        """Store the latest result for a probe key; it is a change unless only its time is new."""

    async def probes(self) -> Sequence[feed.Probe]:
        """Return the latest result of every probe key."""

    async def restored(self) -> str | None:
        """Return of when the backup is that it was restored from, until it goes on (`queueing.restoring`)."""

    async def wipe_namespace(self, namespace_uid: str) -> None:
        """Wipe what is kept of a namespace that is gone: texts, and addresses that were refused."""

    async def purge(self, *, now: dt.datetime) -> int:
        """Remove finished notifications past their retention, and wipe what was kept for its time; return how many.

        Not while the wall clock is in doubt (R14): what is forgotten too early is sent again when its object returns.
        """

    async def counts(self) -> Mapping[vocabulary.RecipientState, int]:
        """Return how many recipients stand in each state that is not final."""

    async def close(self) -> None:
        """Commit what is under way and close."""


class Queue(IntakeQueue, DeliveryQueue, Protocol):
    """Both halves in one process, for what needs no other."""
