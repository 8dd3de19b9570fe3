"""What delivery asks of the queue, on SQLite."""

import asyncio
import contextlib
import datetime as dt
import functools
import hashlib
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Final

from mailtier.api import feed, vocabulary
from mailtier.sender import ports
from mailtier.sender.between import requests as requests_port
from mailtier.sender.queueing import noted
from mailtier.sender.storage import claim_book, journal, reporting
from mailtier.sender.storage.sqlite import (
    changes,
    claims,
    forgetting,
    memories,
    rows,
    settling,
    suppressions,
)
from mailtier.sender.storage.sqlite.failed import kept, resending
from mailtier.sender.storage.sqlite.halves import displays, half, requests

# Between two of these commits, others have their turn. A payload row is all but empty when it is removed.
_PURGE_NOTIFICATIONS: Final = 200
_PURGE_PAYLOAD_ROWS: Final = 2_000
_HASTENED_AT_ONCE: Final = 500


class DeliveryHalf(half.Half):
    """Delivery's half."""

    def __init__(self, opened: half.Opened, *, completions: journal.Journal, keep_failed: dt.timedelta) -> None:
        half.Half.__init__(self, opened)
        self._journal = completions
        self._settling = functools.partial(settling.settle, keep_failed=keep_failed)
        self._keep_failed = keep_failed
        self._claims = claim_book.ClaimBook()
        # One at a time: what one reads is noted before the next one asks what is claimed.
        self._claiming = asyncio.Lock()
        # Numbers of stored snapshots by their digest, and those of them that were used since the last purge.
        self._snapshots: dict[bytes, int] = {}
        self._used_snapshots: set[bytes] = set()
        # The last request that was taken: in memory, so that the next process takes what this one leaves behind.
        self._taken = 0
        self._swept_displays = 0

    @property
    def was_used(self) -> bool:
        """Whether delivery's half was opened before: whoever did may have sent until it died."""
        return self._journal.epoch > 1

    async def backlogs(self, due_from: ports.DueFrom | None = None) -> Mapping[ports.BacklogKey, dt.datetime]:
        """Return every backlog with a recipient without a final state; see `ports.DeliveryQueue`."""
        return await self._readers.read(functools.partial(claims.read_backlogs, due_from=due_from))

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

    async def claim_these(self, recipient_numbers: Sequence[int]) -> Sequence[ports.Pending]:
        """Claim recipients by their numbers; what is final, and what is claimed already, is left out."""
        async with self._claiming:
            free = [number for number in recipient_numbers if number not in self._claims]
            found = await self._readers.read(functools.partial(claims.claim_these, numbers=free))
            self._claims.add(found)
            return found

    async def hasten(self, lane: ports.LaneKey, *, now: dt.datetime) -> int:
        """Have the deferred recipients of a lane be due now; return how many were not."""
        return await self._in_steps(functools.partial(claims.hasten, lane=lane, now=now, limit=_HASTENED_AT_ONCE))

    def unclaim(self, recipient_numbers: Iterable[int]) -> None:
        """End claims."""
        self._claims.end(recipient_numbers)

    async def wait_to_send(self) -> None:
        """Return: what is this process's alone may be sent at any time."""

    def note_dot(self, recipient_number: int, snapshot: ports.Snapshot) -> Awaitable[None]:
        """Note that a message may be about to be taken; a snapshot's first use waits for its commit."""
        digest = _digest(snapshot.settings)
        number = self._snapshots.get(digest)
        if number is None:
            return self._note_first(recipient_number, snapshot, digest)
        self._used_snapshots.add(digest)
        self._journal.note_dot(recipient_number, number)
        return noted.NOTED

    async def _note_first(self, recipient_number: int, snapshot: ports.Snapshot, digest: bytes) -> None:
        # Of what is finished, as it were: nothing is delivered without it, and what is delivered makes room.
        number = await self._writer.submit(
            functools.partial(settling.store_snapshot, snapshot=snapshot),
            essential=True,
            weight_bytes=len(snapshot.settings),
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
        stored: asyncio.Future[Sequence[Exception | None]] = asyncio.get_running_loop().create_future()
        if not outcomes:
            stored.set_result(())
            return stored
        reports = [
            reporting.ReportedOutcome(outcome=outcome, note=self._journal.find(outcome.recipient_number))
            for outcome in outcomes
        ]
        errors: list[Exception | None] = []

        def tell(part: Sequence[reporting.ReportedOutcome], found: Sequence[Exception | None]) -> None:
            for report, error in zip(part, found, strict=True):
                if error is None:
                    self._note_settled(report)
            errors.extend(found)
            if len(errors) == len(reports) and not stored.cancelled():
                stored.set_result(errors)

        self._writer.submit_items(self._settling, reports, tell, essential=True)
        return stored

    def _note_settled(self, report: reporting.ReportedOutcome) -> None:
        if report.note is not None:
            self._journal.settle(report.note)
        if report.outcome.due_at is None:
            self._claims.end((report.outcome.recipient_number,))

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

    async def strike(self, key: str, member: str) -> None:
        """Keep a member of the JSON object under a key no longer, and the key with its last one."""
        await self._writer.submit(functools.partial(memories.strike, key=key, member=member))

    async def forget(self, key: str) -> None:
        """Keep what was kept under a key no longer."""
        await self._writer.submit(functools.partial(memories.drop, key=key))

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
        # Of what was taken back since the last purge the intake may not have heard yet.
        await self._writer.submit(functools.partial(displays.sweep, before=self._swept_displays))
        self._swept_displays = await self._readers.read(displays.current)
        return removed

    async def counts(self) -> Mapping[vocabulary.RecipientState, int]:
        """Return how many recipients stand in each state that is not final."""
        return await self._readers.read(rows.count_pending)

    async def oldest(self) -> dt.datetime | None:
        """Return when the oldest unfinished notification was accepted."""
        return await self._readers.read(rows.oldest_pending)

    async def suppressed(self, *, now: dt.datetime) -> int:
        """Return to how many addresses nothing is sent."""
        return await self._readers.read(functools.partial(suppressions.count, now=now))

    async def kept_payloads(self) -> int:
        """Return of how many notifications that failed the payload is kept."""
        return await self._readers.read(kept.count)

    async def wipe_namespace(self, namespace_uid: str) -> None:
        """Wipe what is kept of a namespace that is gone."""
        await self._in_steps(functools.partial(kept.wipe_namespace, namespace_uid=namespace_uid))
        await self._writer.submit(
            functools.partial(suppressions.clear, namespace_uid=namespace_uid, organization=None, addresses=None)
        )

    async def drop(self, namespace_uid: str, notification_id: str) -> None:
        """Wipe what is kept of a notification that has ended."""
        await self._writer.submit(functools.partial(resending.drop, namespace_uid=namespace_uid, id_=notification_id))

    async def take_requests(
        self,
        *,
        now: dt.datetime,
        is_mine: Callable[[requests_port.TakenRequest], bool] = requests_port.everything,
    ) -> Sequence[requests_port.TakenRequest]:
        """Return requests that nobody has taken; see `requests.AnsweringQueue`."""
        found = await self._readers.read(functools.partial(requests.untaken, after=self._taken, now=now))
        fresh = [each for each in found if each.number > self._taken]
        self._taken = max([self._taken, *(each.number for each in fresh)])
        # Nobody else could take it.
        return [each for each in fresh if is_mine(each)]

    async def reply(self, number: int, body: str, *, is_final: bool) -> bool:
        """Store an answer to a request."""
        return await self._writer.submit(functools.partial(requests.reply, number=number, body=body, is_final=is_final))

    async def show(self, texts: Mapping[ports.LaneKey, str | None]) -> None:
        """Show texts of organizations; see `displays.ShowingQueue`."""
        await self._writer.submit(functools.partial(displays.show, texts=texts))

    async def show_nothing(self) -> None:
        """Take back all that is shown."""
        await self._writer.submit(displays.show_nothing)

    async def _purge_payload_rows(self) -> None:
        before = await self._writer.submit(forgetting.first_needed)
        after: int | None = 0
        while after is not None:
            _, after = await self._writer.submit(
                functools.partial(forgetting.purge_payload_rows, before=before, after=after, limit=_PURGE_PAYLOAD_ROWS)
            )


@functools.lru_cache(maxsize=1_024)
def _digest(settings: str) -> bytes:
    """Return by what a snapshot is known; the same few come back with each message."""
    return hashlib.sha256(settings.encode()).digest()
