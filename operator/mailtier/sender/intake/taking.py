"""Taking notifications in, the same for every way in: judged, stored, and handed to delivery.

What is committed is handed to delivery in any case, whoever gave up waiting for it (`ports.IntakeQueue.enqueue_all`).
"""

import asyncio
import dataclasses
import datetime as dt
import typing
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final, TypeAlias

from mailtier.api import notification
from mailtier.sender import ports
from mailtier.sender.intake import admission, deadlines, gathering, ids
from mailtier.sender.net import shares
from mailtier.settings import effective
from mailtier.telemetry import intake_metrics, logs

COMMIT_RECIPIENTS: Final = 64
"""What one commit of a batch holds at most; whoever comes meanwhile waits for no more than that."""
COMMIT_SECONDS: Final = 20.0
"""For a notification to be stored, or a batch as a whole."""

STALLED_SECONDS: Final = 10.0
"""A queue that has not stored something for so long takes nothing more until it has: what would wait has no bound."""

_log = logs.get_logger(__name__)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class HttpsRequest:
    """Where a notification comes from that somebody handed over by HTTPS.

    Attributes:
        caller: The account's name.
        key: The idempotency key; None without one.
    """

    caller: str
    key: str | None


Source: TypeAlias = HttpsRequest | ports.ObjectSource


class NotLetThroughError(Exception):
    """The organization's settings do not let the notification through."""

    def __init__(self, refusal: admission.Refusal) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


class UnansweredError(Exception):
    """The queue did not answer in time, so that nobody knows whether the notification was stored."""


class StalledError(UnansweredError):
    """The queue does not answer, and the notification was not stored."""


NotTaken: TypeAlias = ports.Unqueued | NotLetThroughError | UnansweredError
"""Why a notification that was offered is not queued."""

NOT_TAKEN: Final = typing.get_args(NotTaken)
"""The same, for `except`."""

Verdict: TypeAlias = ports.Enqueued | NotTaken
"""What became of a notification that was offered."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    """A notification that is about to be stored.

    Attributes:
        organization: Whose it is.
        origin: Where it comes from, for the log.
        audited: What would refuse it if the host's policy were enforced.
    """

    organization: effective.OrganizationKey
    origin: Source
    added: ports.NewNotification
    quota: ports.QueueQuota
    audited: admission.Refusal | None


class Taking:
    """Takes notifications in.

    Args:
        queue: Where they go.
        identifiers: Theirs.
        on_pending: Told what was queued, after the commit.
        quota: What one namespace may have queued where the host's policy says nothing.
        now: Returns aware UTC time.
        commit_seconds: How long whoever offers something waits until it is stored.
        stalled_seconds: How long the queue may take for something before others are refused at once.
    """

    def __init__(
        self,
        queue: ports.IntakeQueue,
        *,
        identifiers: ids.TimeSortedIds,
        on_pending: Callable[[Sequence[ports.Pending]], None],
        quota: ports.QueueQuota,
        now: Callable[[], dt.datetime],
        commit_seconds: float = COMMIT_SECONDS,
        stalled_seconds: float = STALLED_SECONDS,
    ) -> None:
        self._queue = queue
        self._ids = identifiers
        self._on_pending = on_pending
        self._quota = quota
        self._now = now
        self._commit_seconds = commit_seconds
        self._stalled_seconds = stalled_seconds
        self._turns = shares.Shares("commits", total=1, each=1)
        self._alone = gathering.Gathering(self._store)
        self._deadlines: deadlines.Deadlines[Verdict] = deadlines.Deadlines(commit_seconds, late=UnansweredError)
        self._storing: set[asyncio.Task[Any]] = set()

    async def take(
        self, content: notification.Content, settings: effective.Effective, source: Source
    ) -> ports.Enqueued:
        """Return what is durably queued: a notification, or the same one that was taken before.

        Raises:
            NotLetThroughError: The settings refuse it.
            QuotaExceededError: The namespace's quota is used up, or too many password recoveries began in this minute.
            StorageFullError: The volume is too full.
            IdempotencyConflictError: Its idempotency key names another request.
            StalledError: The queue does not answer.
            UnansweredError: It may be stored, or not.
        """
        verdict = await self.offer(content, settings, source)
        if not isinstance(verdict, ports.Enqueued):
            raise verdict
        return verdict

    def offer(
        self, content: notification.Content, settings: effective.Effective, source: Source
    ) -> asyncio.Future[Verdict]:
        """Return what will have become of a notification; it is stored also if nobody waits for that any more.

        Raises:
            NotLetThroughError: The settings refuse it.
            StalledError: The queue does not answer.
        """
        if self._is_stalled:
            raise StalledError
        entry = self._prepare(content, settings, source)
        if not isinstance(entry, _Entry):
            raise entry
        told = self._alone.offer(entry, namespace=settings.organization.namespace, weight_bytes=_weight_bytes(content))
        self._deadlines.watch(told)
        return told

    async def take_all(
        self, offered: Sequence[tuple[notification.Content, HttpsRequest]], settings: effective.Effective
    ) -> Sequence[Verdict]:
        """Return what became of notifications of one organization, in their order.

        They are stored in commits of at most 64 recipients, which take turns with those of other namespaces: what
        comes meanwhile has its own commit in between.
        """
        verdicts: list[Verdict] = []
        if self._is_stalled:
            return [StalledError() for _ in offered]
        try:
            async with asyncio.timeout(self._commit_seconds):
                for portion in _portions(offered, settings):
                    # Outside the task: who gives up before its turn has stored nothing.
                    turn = await self._turns.take(settings.organization.namespace)
                    verdicts += await asyncio.shield(self._begin(self._store_portion(portion, settings, turn)))
        except TimeoutError:
            verdicts += [UnansweredError() for _ in offered[len(verdicts) :]]
        return verdicts

    def stalled(self) -> str | None:
        """Return for how long the queue has not answered, in a sentence; None where it does."""
        if not self._is_stalled:
            return None
        return f"the queue has not answered for {self._alone.seconds_under_way:.0f} seconds, and nothing is taken in"

    @property
    def _is_stalled(self) -> bool:
        return self._alone.seconds_under_way > self._stalled_seconds

    async def drain(self) -> None:
        """Return when everything that was being stored is stored and handed on."""
        await self._alone.drain()
        await asyncio.gather(*self._storing, return_exceptions=True)

    def _begin(self, storing: Coroutine[Any, Any, Sequence[Verdict]]) -> asyncio.Task[Sequence[Verdict]]:
        # A task of its own: a caller that is given up must not leave behind a row that no scheduler knows of.
        task = asyncio.create_task(storing, name="intake-store")
        self._storing.add(task)
        task.add_done_callback(self._storing.discard)
        return task

    def _prepare(
        self, content: notification.Content, settings: effective.Effective, source: Source
    ) -> _Entry | NotLetThroughError:
        """Return what is to be stored, or why nothing is."""
        refusal = admission.refuse(content, settings)
        if refusal is not None:
            return NotLetThroughError(refusal)
        key = source.key if isinstance(source, HttpsRequest) else None
        return _Entry(
            organization=settings.organization,
            origin=source,
            added=admission.new_notification(
                content,
                settings,
                notification_id=self._ids.new(),
                now=self._now(),
                idempotency_key=key,
                source=source if isinstance(source, ports.ObjectSource) else None,
            ),
            quota=admission.quota(settings, self._quota),
            audited=admission.audit(content, settings),
        )

    async def _store_portion(
        self,
        portion: Sequence[tuple[notification.Content, HttpsRequest]],
        settings: effective.Effective,
        turn: shares.ShareSlot,
    ) -> Sequence[Verdict]:
        with turn:
            prepared = [self._prepare(content, settings, source) for content, source in portion]
            entries = [entry for entry in prepared if isinstance(entry, _Entry)]
            stored = iter(await self._store(entries))
        return [next(stored) if isinstance(entry, _Entry) else entry for entry in prepared]

    async def _store(self, entries: Sequence[_Entry]) -> Sequence[Verdict]:
        """Store notifications in one commit, hand them to delivery, count them, and return what became of each."""
        if not entries:
            return ()
        found: Sequence[Verdict]
        try:
            found = await self._queue.enqueue_all([(entry.added, entry.quota) for entry in entries])
        except ports.StorageFullError as error:
            found = [error for _ in entries]
        except (ports.StorageBrokenError, ports.StorageAwayError):
            found = [UnansweredError() for _ in entries]
        except Exception:
            # Of several each is stored by itself then (`gathering`), and counts when that is over.
            if len(entries) == 1:
                self._note(entries[0], UnansweredError())
            raise
        for entry, verdict in zip(entries, found, strict=True):
            self._note(entry, verdict)
        return found

    def _note(self, entry: _Entry, verdict: Verdict) -> None:
        if isinstance(verdict, ports.Enqueued) and not verdict.repeated:
            self._on_pending(verdict.pending)
            intake_metrics.count_accepted(
                category=entry.added.category, source="http" if entry.added.source is None else "object"
            )
            if entry.audited is not None:
                intake_metrics.count_would_refuse(reason=str(entry.audited.reason))
            # For each notification, and so not at the usual level: a line costs as much as storing what it tells of.
            if logs.tells_details(__name__):
                _log.debug(
                    "notification queued",
                    id=verdict.id,
                    organization=str(entry.organization),
                    category=str(entry.added.category),
                    recipients=len(verdict.pending),
                    **_origin(entry.origin, entry.organization),
                )


def _portions(
    offered: Sequence[tuple[notification.Content, HttpsRequest]], settings: effective.Effective
) -> Sequence[Sequence[tuple[notification.Content, HttpsRequest]]]:
    """Return what goes into one commit each."""
    portions: list[list[tuple[notification.Content, HttpsRequest]]] = []
    room = 0
    for content, source in offered:
        # One that is refused later takes its place too.
        wanted = max(1, len(admission.recipients(content, settings)))
        if wanted > room:
            portions.append([])
            room = COMMIT_RECIPIENTS
        portions[-1].append((content, source))
        room -= wanted
    return portions


def _weight_bytes(content: notification.Content) -> int:
    """Return about how much a notification takes in memory and in a commit."""
    return len(content.text or "") + sum(map(len, (content.data or {}).values()))


def _origin(source: Source, organization: effective.OrganizationKey) -> dict[str, str]:
    """Return what the log says of where it came from."""
    if isinstance(source, HttpsRequest):
        return {"caller": source.caller}
    return {"object": f"{organization.namespace}/{source.name}"}
