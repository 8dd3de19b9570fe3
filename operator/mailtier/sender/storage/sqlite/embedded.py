"""The queue in a directory of its own: what `ports.Queue` asks for, on SQLite."""

import asyncio
import contextlib
import dataclasses
import datetime as dt
import functools
import hashlib
import pathlib
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from mailtier.api import feed, vocabulary
from mailtier.sender import ports
from mailtier.sender.queueing import crashes, payloads, retention
from mailtier.sender.storage import claim_book, journal, volume
from mailtier.sender.storage.sqlite import (
    changes,
    claims,
    forgetting,
    intake,
    memories,
    readers,
    recovery,
    rows,
    schema,
    settling,
    writer,
)
from mailtier.sender.storage.sqlite.failed import filed_rows, kept

_DATABASE: Final = "queue.sqlite3"
_JOURNAL: Final = "completions.journal"
_LOCK: Final = "queue.lock"
_RESERVE: Final = "reserve"

# Between two of these commits, others have their turn. A payload row is all but empty when it is removed.
_PURGE_NOTIFICATIONS: Final = 200
_PURGE_PAYLOAD_ROWS: Final = 2_000


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class VolumeLimits:
    """How the queue treats its volume.

    Attributes:
        full_at: Fraction of the volume in use at which new work is refused.
        reserve_bytes: Held back for recording what was finished.
        truncate_every: How long a wiped payload may stay in the write-ahead log (R11).
    """

    full_at: float = volume.FULL_AT
    reserve_bytes: int = volume.RESERVE_BYTES
    truncate_every: dt.timedelta = dt.timedelta(minutes=1)


async def open_queue(
    directory: pathlib.Path,
    *,
    now: Callable[[], dt.datetime],
    in_doubt: crashes.InDoubtDecision = crashes.decide_in_doubt,
    limits: VolumeLimits | None = None,
    keep_failed: dt.timedelta = retention.FAILED_KEPT,
) -> "EmbeddedQueue":
    """Return the open queue, with what a dead process left behind recovered.

    On a volume that is full, and whose reserve is used up, this waits until there is room for the recovery.

    Args:
        directory: On a local file system; made if it is missing.
        now: Returns the aware UTC time.
        in_doubt: Decides about those whose message may have been taken.
        limits: How the volume is treated.
        keep_failed: How long the payloads of notifications that failed are kept (R11); at most
            `retention.FAILED_KEPT`, and no time at all to wipe them at their end, and those that were kept.

    Raises:
        volume.InUseError: Another sender has it open.
        schema.NewerSchemaError: A newer version of this program wrote it.
        schema.DamagedError: Parts of it cannot be read.
    """
    async with contextlib.AsyncExitStack() as opened:
        room, connection, notes = await asyncio.to_thread(_prepare, directory, limits or VolumeLimits(), opened)
        news = _News()
        commits = writer.Writer(
            connection,
            room=room,
            truncate_every=(limits or VolumeLimits()).truncate_every,
            on_change=news.announce,
        )
        opened.push_async_callback(commits.close)
        reads = readers.Readers(directory / _DATABASE)
        opened.push_async_callback(reads.close)
        # One by one, for the writer to fit them into what room there is.
        await asyncio.gather(
            *(
                commits.submit(
                    functools.partial(
                        recovery.answer, note=note, now=now(), in_doubt=in_doubt, keep_failed=keep_failed
                    ),
                    essential=True,
                )
                for note in notes
            )
        )
        while await commits.submit(claims.adopt, essential=True):
            pass
        epoch = await commits.submit(recovery.begin, essential=True)
        # Only now: a crash before the commit finds the notes again, and one after it finds that they are answered.
        completions = await asyncio.to_thread(journal.Journal.create, directory / _JOURNAL, epoch=epoch)
        opened.callback(completions.close)
        return EmbeddedQueue(
            commits=commits,
            reads=reads,
            completions=completions,
            room=room,
            news=news,
            keep_failed=keep_failed,
            opened=opened.pop_all(),
        )


def _prepare(
    directory: pathlib.Path, limits: VolumeLimits, opened: contextlib.AsyncExitStack
) -> tuple[volume.Room, sqlite3.Connection, Sequence[crashes.Note]]:
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = volume.Lock(directory / _LOCK)
    opened.callback(lock.release)
    room = volume.Room(directory / _RESERVE, full_at=limits.full_at, reserve_bytes=limits.reserve_bytes)
    opened.callback(room.close)
    return room, schema.open_writer(directory / _DATABASE), journal.read(directory / _JOURNAL)


@functools.lru_cache(maxsize=1_024)
def _digest(settings: str) -> bytes:
    """Return by what a snapshot is known; the same few come back with each message."""
    return hashlib.sha256(settings.encode()).digest()


class _News:
    """The cursor of the feed as it was last committed, and who waits for it to move."""

    def __init__(self) -> None:
        self.cursor = 0
        self._moved = asyncio.Event()

    def announce(self, cursor: int) -> None:
        """Wake those who wait, if the cursor moved."""
        if cursor != self.cursor:
            self.cursor = cursor
            self._moved.set()
            self._moved = asyncio.Event()

    async def wait(self) -> None:
        """Return when the cursor moves."""
        await self._moved.wait()


class EmbeddedQueue(filed_rows.FiledRows):
    """Made by `open_queue`. Its methods are called on the event loop that it was opened on."""

    def __init__(
        self,
        *,
        commits: writer.Writer,
        reads: readers.Readers,
        completions: journal.Journal,
        room: volume.Room,
        news: _News,
        keep_failed: dt.timedelta,
        opened: contextlib.AsyncExitStack,
    ) -> None:
        super().__init__(commits, reads, room)
        self._journal = completions
        # Made once: what is taken in by the same work is taken in together.
        self._taking = functools.partial(intake.take, room=room)
        self._settling = functools.partial(settling.settle, keep_failed=keep_failed)
        self._news = news
        self._keep_failed = keep_failed
        self._claims = claim_book.ClaimBook()
        # One at a time: what one reads is noted before the next one asks what is claimed.
        self._claiming = asyncio.Lock()
        self._opened = opened
        # Numbers of stored snapshots by their digest, and those of them that were used since the last purge.
        self._snapshots: dict[bytes, int] = {}
        self._used_snapshots: set[bytes] = set()
        # Not stored: whoever reads the feed comes back with its cursor.
        self._read = 0

    async def enqueue(self, notification: ports.NewNotification, *, quota: ports.QueueQuota) -> ports.Enqueued:
        """Store a notification, or find the same one; see `ports.Queue`."""
        (verdict,) = await self._take([(notification, quota)])
        if not isinstance(verdict, ports.Enqueued):
            raise verdict
        return verdict

    async def enqueue_all(
        self, notifications: Sequence[tuple[ports.NewNotification, ports.QueueQuota]]
    ) -> Sequence[ports.Enqueued | ports.Unqueued]:
        """Store notifications in one commit; see `ports.Queue`."""
        return await self._take(notifications)

    def _take(
        self, notifications: Sequence[tuple[ports.NewNotification, ports.QueueQuota]]
    ) -> asyncio.Future[Sequence[intake.Verdict]]:
        entries = [
            intake.Entry(notification=notification, payload=payloads.encode(notification), quota=quota)
            for notification, quota in notifications
        ]
        return self._writer.submit_item(
            self._taking,
            intake.Offering(entries=entries, read=self._read),
            weight_bytes=sum(len(entry.payload) for entry in entries),
        )

    async def backlogs(self) -> Mapping[ports.BacklogKey, dt.datetime]:
        """Return every backlog with a recipient without a final state, and when its first one is due."""
        return await self._readers.read(claims.read_backlogs)

    async def claim(self, demands: Sequence[ports.Demand]) -> ports.Claims:
        """Claim recipients of backlogs, those first that are due first."""
        async with self._claiming:
            claimed = {demand.backlog: self._claims.of(demand.backlog) for demand in demands}
            found = await self._readers.read(
                functools.partial(claims.claim, demands=demands, claimed=claimed.__getitem__)
            )
            self._claims.add(each.pending for each in found.claimed)
            return found

    async def claim_expired(
        self, *, now: dt.datetime, limit: int
    ) -> tuple[Sequence[ports.Pending], dt.datetime | None]:
        """Claim recipients without a final state whose max age is reached."""
        async with self._claiming:
            found, next_at = await self._readers.read(
                functools.partial(claims.claim_expired, now=now, limit=limit, claimed=self._claims.all())
            )
            self._claims.add(found)
            return found, next_at

    async def claim_these(self, recipients: Sequence[int]) -> Sequence[ports.Pending]:
        """Claim recipients by their numbers; what is final, and what is claimed already, is left out."""
        async with self._claiming:
            free = [number for number in recipients if number not in self._claims]
            found = await self._readers.read(functools.partial(claims.claim_these, recipients=free))
            self._claims.add(found)
            return found

    def release(self, recipients: Iterable[int]) -> None:
        """End claims."""
        self._claims.end(recipients)

    async def note_dot(self, recipient_number: int, snapshot: ports.Snapshot) -> None:
        """Note that a message may be about to be taken; a snapshot's first use waits for its commit."""
        digest = _digest(snapshot.settings)
        number = self._snapshots.get(digest)
        if number is None:
            number = await self._writer.submit(
                functools.partial(settling.store_snapshot, snapshot=snapshot), weight_bytes=len(snapshot.settings)
            )
            self._snapshots[digest] = number
        self._used_snapshots.add(digest)
        self._journal.note_dot(recipient_number, number)

    def note_accepted(self, recipient_number: int) -> None:
        """Note that the message was taken."""
        # Without the note a crash finds the recipient in doubt, which is the safe side; the outcome comes anyway.
        with contextlib.suppress(OSError):
            self._journal.note_accepted(recipient_number)

    def settle(self, outcomes: Sequence[ports.Outcome]) -> asyncio.Future[Sequence[Exception | None]]:
        """Store outcomes, and answer what the journal says of the attempts; see `ports.Queue`."""
        # Each by itself: on a volume that is full, what does not fit at once may fit in parts.
        stored: asyncio.Future[Any] = asyncio.gather(*map(self._settle, outcomes), return_exceptions=True)
        return stored

    def _settle(self, outcome: ports.Outcome) -> asyncio.Future[None]:
        report = settling.ReportedOutcome(outcome=outcome, note=self._journal.find(outcome.recipient_number))
        return self._writer.submit_item(
            self._settling, report, essential=True, committed=functools.partial(self._note_settled, report)
        )

    def _note_settled(self, report: settling.ReportedOutcome) -> None:
        if report.note is not None:
            self._journal.settle(report.note)
        if report.outcome.due_at is None:
            self._claims.end((report.outcome.recipient_number,))

    async def find(self, lane: ports.LaneKey, notification_id: str) -> ports.Record | None:
        """Return a notification of a lane, or None."""
        return await self._readers.read(functools.partial(rows.find_record, lane=lane, id_=notification_id))

    async def find_object(self, lane: ports.LaneKey, *, name: str, spec_hash: str) -> ports.Record | None:
        """Return the notification that a Notification object of a lane is, or None."""
        return await self._readers.read(functools.partial(rows.find_object, lane=lane, name=name, spec_hash=spec_hash))

    async def record_probe(self, probe: feed.Probe) -> None:
        """Store the latest result for a probe key."""
        await self._writer.submit(functools.partial(changes.store_probe, probe=probe))

    async def probes(self) -> Sequence[feed.Probe]:
        """Return the latest result of every probe key."""
        return await self._readers.read(changes.read_probes)

    async def remember(self, key: str, text: str) -> None:
        """Keep what the sender learned under a key, in place of what was kept there."""
        await self._writer.submit(functools.partial(memories.store, key=key, text=text))

    async def recall(self, key: str) -> str | None:
        """Return what was kept under a key; None where nothing was."""
        return await self._readers.read(functools.partial(memories.read, key=key))

    async def recall_all(self, prefix: str) -> Mapping[str, str]:
        """Return what was kept under keys with a beginning."""
        return await self._readers.read(functools.partial(memories.read_all, prefix=prefix))

    async def forget(self, key: str) -> None:
        """Keep what was kept under a key no longer."""
        await self._writer.submit(functools.partial(memories.drop, key=key))

    async def changes(self, after: int, *, limit: int = 500) -> feed.Feed:
        """Return the latest state of Notification objects and probes that changed after a cursor."""
        if after <= self._news.cursor:
            self._read = max(self._read, after)
        return await self._readers.read(functools.partial(changes.read_feed, after=after, limit=limit))

    async def wait_for_change(self, after: int, *, within: dt.timedelta) -> None:
        """Return when something changed after the cursor, or when the time is over."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within.total_seconds()):
                # A cursor from the future gets its answer, which starts from the beginning, at once.
                while self._news.cursor == after:
                    await self._news.wait()

    async def purge(self, *, now: dt.datetime) -> int:
        """Remove finished notifications past their retention, and whatever else nobody asks for any more."""
        await self._in_steps(functools.partial(kept.wipe_past, now=now if self._keep_failed else None))
        removed = await self._in_steps(
            functools.partial(forgetting.purge_notifications, now=now, limit=_PURGE_NOTIFICATIONS)
        )
        await self._purge_payload_rows()
        self._snapshots = {
            digest: number for digest, number in self._snapshots.items() if digest in self._used_snapshots
        }
        self._used_snapshots.clear()
        needed = self._journal.snapshots.union(self._snapshots.values())
        await self._writer.submit(functools.partial(forgetting.sweep, now=now, snapshots=needed))
        return removed

    async def counts(self) -> Mapping[vocabulary.RecipientState, int]:
        """Return how many recipients stand in each state that is not final."""
        return await self._readers.read(rows.count_pending)

    async def oldest(self) -> dt.datetime | None:
        """Return when the oldest unfinished notification was accepted."""
        return await self._readers.read(rows.oldest_pending)

    async def close(self) -> None:
        """Commit what is under way, leave no payload outside the database, and let another sender open the queue."""
        await self._opened.aclose()

    async def _purge_payload_rows(self) -> None:
        before = await self._writer.submit(forgetting.first_needed)
        after: int | None = 0
        while after is not None:
            _, after = await self._writer.submit(
                functools.partial(forgetting.purge_payload_rows, before=before, after=after, limit=_PURGE_PAYLOAD_ROWS)
            )
