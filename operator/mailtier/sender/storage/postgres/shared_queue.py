"""The queue in a database that several senders share: what `ports.Queue` asks for, on Postgres."""

import asyncio
import contextlib
import dataclasses
import datetime as dt
import functools
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, Final, NoReturn

from mailtier.api import feed, vocabulary
from mailtier.sender import ports
from mailtier.sender.between import queued
from mailtier.sender.queueing import crashes, payloads, restoring, retention
from mailtier.sender.storage import claim_book, reporting, values
from mailtier.sender.storage.postgres import backlogs, changes, claims, forgetting, records, taking_in
from mailtier.sender.storage.postgres.arriving import progress
from mailtier.sender.storage.postgres.database import committing, connections, explaining, schema
from mailtier.sender.storage.postgres.failed import filed_rows, kept
from mailtier.sender.storage.postgres.outcomes import notes, settling, snapshots
from mailtier.sender.storage.postgres.senders import bell, between_rows, memory_rows, owning, ringing, tenure

_PURGE_NOTIFICATIONS: Final = 200
"""Between two of these commits, others have their turn."""

_HASTENED_AT_ONCE: Final = 500

_NOBODY: Final = 0
"""The number of no sender."""

_AGAIN: Final = dt.timedelta(seconds=1)
"""After how long it is asked again for what another sender owns, which may give it up."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SharedOptions:
    """How a database is used.

    Attributes:
        dsn: Returns its address, with the password; asked again for each connection.
        name: This sender's: no two that run at the same time have the same, and one that starts again has its own
            again, as the pods of a StatefulSet do. What bore it before is taken for dead.
        lease: How long others wait for a sender that is not heard of.
    """

    dsn: Callable[[], str]
    name: str
    lease: dt.timedelta = tenure.LEASE


async def open_queue(
    options: SharedOptions,
    *,
    now: Callable[[], dt.datetime],
    in_doubt: crashes.InDoubtDecision = crashes.decide_in_doubt,
    keep_failed: dt.timedelta = retention.FAILED_KEPT,
    only_takes_in: bool = False,
) -> "SharedQueue":
    """Return the open queue, with what this sender's former self left behind recovered.

    Args:
        options: Where it is.
        now: Returns the aware UTC time.
        in_doubt: Decides about those whose message may have been taken.
        keep_failed: How long the payloads of notifications that failed are kept (R11); at most
            `retention.FAILED_KEPT`, and no time at all to wipe them at their end, and those that were kept.
        only_takes_in: Whether it is an intake's: nothing is recovered, and it can neither claim nor settle anything.

    Raises:
        connections.NoDatabaseError: The database cannot be used.
        schema.NewerTablesError: A newer version of this program changed its tables.
    """
    pool = connections.Connections(options.dsn, name=f"mailtier {'intake' if only_takes_in else 'delivery'}")
    rules = tenure.CrashRules(now=now, in_doubt=in_doubt, keep_failed=keep_failed)
    try:
        with explaining.explained(options.dsn()):
            await pool.patiently(functools.partial(schema.prepare, pool))
            await pool.read(progress.require_arrived)
            own = None
            if not only_takes_in:
                own = await tenure.Tenure.enter(pool, name=options.name, lease=options.lease, rules=rules)
    except Exception:
        await pool.close()
        raise
    return SharedQueue(pool, own, rules)


class SharedQueue(filed_rows.FilingTables, between_rows.BetweenTables, owning.OwningTables, memory_rows.MemoryTables):
    """Made by `open_queue`. Its methods are called on the event loop that it was opened on."""

    def __init__(self, pool: connections.Connections, own: tenure.Tenure | None, rules: tenure.CrashRules) -> None:
        filed_rows.FilingTables.__init__(self, pool)
        between_rows.BetweenTables.__init__(self, pool, shows_as=_NOBODY if own is None else own.number)
        owning.OwningTables.__init__(self, pool, own)
        memory_rows.MemoryTables.__init__(self, pool)
        self._keep_failed = rules.keep_failed
        self._now = rules.now
        self._taking = committing.Committer(pool, taking_in.NotificationTables().take, essential=False)
        self._settling = committing.Committer(pool, self._settle_all, essential=True, committed=self._note_settled)
        self._settled = 0
        self._unsettled: set[asyncio.Future[None]] = set()
        self._notes = notes.Notes(pool, sender=_NOBODY if own is None else own.number)
        self._snapshots = snapshots.Snapshots(pool, monotonic=time.monotonic)
        self._bell = bell.ChannelBell(pool, changes.CHANNEL)
        self._claims = claim_book.ClaimBook()
        # One at a time: what one reads is noted before the next one asks what is claimed.
        self._claiming = asyncio.Lock()

    async def enqueue_all(
        self, notifications: Sequence[tuple[ports.NewNotification, ports.QueueQuota]]
    ) -> Sequence[ports.Enqueued | ports.Unqueued]:
        """Store notifications in one commit; see `ports.Queue`."""
        offer = [
            taking_in.OfferedNotification(notification=each, payload=payloads.encode(each), quota=quota)
            for each, quota in notifications
        ]
        return await self._taking.submit(offer, weight_bytes=sum(len(each.payload) for each in offer))

    @property
    def was_used(self) -> bool:
        """Whether nothing else says that others sent: its rooms do (`acquire`)."""
        return False

    async def backlogs(self, due_from: ports.DueFrom | None = None) -> Mapping[ports.BacklogKey, dt.datetime]:
        """Return every backlog with a recipient without a final state; see `ports.DeliveryQueue`."""
        return await self._pool.read(functools.partial(backlogs.read_all, due_from=due_from))

    async def claim(self, demands: Sequence[ports.Demand]) -> ports.Claims:
        """Claim recipients of backlogs, those first that are due first; none of what another sender owns."""
        self._tenure.require()
        again_at = self._now() + _AGAIN
        if not self._tenure.may_own:
            return ports.Claims(claimed=(), next_due={demand.backlog: again_at for demand in demands})
        async with self._claiming:
            await self._own_backlogs(demand.backlog for demand in demands)
            claimed = {demand.backlog: self._claims.of(demand.backlog) for demand in demands}
            read = functools.partial(
                claims.claim,
                demands=demands,
                owner=self._tenure.number,
                claimed=claimed.__getitem__,
                again_at=again_at,
            )
            found, of_others = await self._pool.read(read)
            self._note_not_owned(of_others)
            self._claims.add(each.pending for each in found.claimed)
            return found

    async def claim_expired(
        self, *, now: dt.datetime, limit: int
    ) -> tuple[Sequence[ports.Pending], dt.datetime | None]:
        """Claim recipients without a final state whose max age is reached; none of what another sender owns."""
        self._tenure.require()
        if not self._tenure.may_own:
            return (), now + _AGAIN
        async with self._claiming:
            free = await self._pool.read(functools.partial(claims.expired_of_nobody, now=now))
            await self._own_backlogs(key for key in free if self._is_mine(key.lane))
            read = functools.partial(
                claims.claim_expired, owner=self._tenure.number, now=now, limit=limit, claimed=self._claims.all()
            )
            found, next_at = await self._pool.read(read)
            self._claims.add(found)
            return found, next_at

    async def claim_these(self, recipient_numbers: Sequence[int]) -> Sequence[ports.Pending]:
        """Claim recipients by their numbers; what is final, claimed already, or owned by another is left out."""
        self._tenure.require()
        if not self._tenure.may_own:
            return ()
        async with self._claiming:
            free = [number for number in recipient_numbers if number not in self._claims]
            await self._own_backlogs(await self._pool.read(functools.partial(claims.backlogs_of, numbers=free)))
            found = await self._pool.read(
                functools.partial(claims.claim_these, owner=self._tenure.number, numbers=free)
            )
            self._claims.add(found)
            return found

    async def give_up(self, rooms: Collection[str], lanes: Collection[ports.LaneKey]) -> AbstractSet[ports.LaneKey]:
        """Own rooms, and the backlogs of organizations, no longer; return those of which something is claimed still."""
        self._tenure.require()
        async with self._claiming:
            # What was reported in this turn of the loop is on its way with the next.
            await asyncio.sleep(0)
            if self._unsettled:
                await asyncio.wait(self._unsettled)
            claimed = self._claims.lanes() & set(lanes)
            await self._give_up(rooms, set(lanes) - claimed)
            return claimed

    async def hasten(self, lane: ports.LaneKey, *, now: dt.datetime) -> int:
        """Have the deferred recipients of a lane be due now; return how many were not."""
        self._tenure.require()
        return await self._in_steps(functools.partial(claims.hasten, lane=lane, now=now, limit=_HASTENED_AT_ONCE))

    def unclaim(self, recipient_numbers: Iterable[int]) -> None:
        """End claims."""
        self._claims.end(recipient_numbers)

    async def wait_to_send(self) -> None:
        """Return when a message may begin: in the last third of a lease not before its renewal."""
        await self._tenure.wait_to_send()

    async def note_dot(self, recipient_number: int, snapshot: ports.Snapshot) -> Callable[[], None]:
        """Note that a message may be about to be taken; a snapshot's first use waits for its commit."""
        own = self._tenure
        number = await self._snapshots.number_of(snapshot)
        own.require_dots()
        await self._notes.note_dot(recipient_number, number)
        # Once more: the process may have stood still meanwhile, and who took over has answered the note.
        return own.require_dots

    def note_accepted(self, recipient_number: int) -> None:
        """Note that the message was taken; that is stored a little later, where its outcome is not."""
        self._notes.note_accepted(recipient_number)

    def settle(self, outcomes: Sequence[ports.Outcome]) -> asyncio.Future[Sequence[Exception | None]]:
        """Store outcomes, and answer what is noted of the attempts; see `ports.Queue`."""
        # Without a row it raises here, before anything is noted.
        _ = self._tenure
        stored: asyncio.Future[Any] = asyncio.gather(*map(self._settle, outcomes), return_exceptions=True)
        return stored

    def _settle(self, outcome: ports.Outcome) -> asyncio.Future[None]:
        attempt = reporting.ReportedOutcome(outcome=outcome, note=self._notes.find(outcome.recipient_number))
        storing = self._settling.submit(attempt)
        self._unsettled.add(storing)
        storing.add_done_callback(self._unsettled.discard)
        return storing

    async def _settle_all(
        self, session: connections.DatabaseSession, attempts: Sequence[reporting.ReportedOutcome], *, is_again: bool
    ) -> Sequence[Any]:
        if is_again and await self._tenure.is_settled(session, self._settled):
            # Which of them were refused is not known any more; that they are a defect was all there was to say.
            return [None] * len(attempts)
        if not is_again:
            self._settled += 1
        await self._tenure.settle(session, self._settled)
        return await settling.settle(session, attempts, keep_failed=self._keep_failed)

    def _note_settled(self, attempt: reporting.ReportedOutcome, _: None) -> None:
        if attempt.note is not None:
            self._notes.settle(attempt.note)
        if attempt.outcome.due_at is None:
            self._claims.end((attempt.outcome.recipient_number,))

    async def find(self, lane: ports.LaneKey, notification_id: str) -> ports.Record | None:
        """Return a notification of a lane, or None."""
        return await self._pool.read(functools.partial(records.find, lane=lane, id_=notification_id))

    async def find_object(self, lane: ports.LaneKey, *, name: str, spec_hash: str) -> ports.Record | None:
        """Return the notification that a Notification object of a lane is, or None."""
        return await self._pool.read(functools.partial(records.find_object, lane=lane, name=name, spec_hash=spec_hash))

    async def record_probe(self, probe: feed.Probe) -> None:
        """Store the latest result for a probe key."""
        await committing.step(self._pool, functools.partial(changes.store_probe, probe=probe))

    async def probes(self) -> Sequence[feed.Probe]:
        """Return the latest result of every probe key."""
        return changes.to_probes(await self._pool.fetch("SELECT body FROM mailtier.probes ORDER BY key"))

    async def restored(self) -> str | None:
        """Return of when the backup is that it was restored from, until it goes on."""
        return await self.recall(restoring.KEY)

    async def changes(self, after: int, *, limit: int = 500) -> feed.Feed:
        """Return the latest state of Notification objects and probes that changed after a cursor."""
        if after:
            await self._pool.fetch(changes.NOTE_READ, after)
        return await self._pool.read(functools.partial(changes.read_feed, after=after, limit=limit))

    async def wait_for_change(self, after: int, *, within: dt.timedelta) -> None:
        """Return when something changed after the cursor, or when the time is over."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within.total_seconds()):
                # A cursor from the future gets its answer, which starts from the beginning, at once.
                while await self._pool.read(changes.current) == after:
                    await self._bell.wait()

    async def purge(self, *, now: dt.datetime) -> int:
        """Remove finished notifications past their retention, and whatever else nobody asks for any more."""
        await self._in_steps(functools.partial(kept.wipe_past, now=now if self._keep_failed else None))
        removed = await self._in_steps(
            functools.partial(forgetting.purge_notifications, now=now, limit=_PURGE_NOTIFICATIONS)
        )
        await committing.step(self._pool, functools.partial(forgetting.sweep, now=now))
        await committing.step(self._pool, forgetting.sweep_usage)
        await self._sweep_displays()
        if self.delivers():
            await self.forget_gone()
            # Former versions of rows have what was wiped since (R11).
            for table in ("notifications", "recipients"):
                await self._pool.vacuum(table)
        return removed

    def delivers(self) -> bool:
        """Return whether this sender is the oldest, which does what one alone has to do."""
        return self._own is not None and self._own.leads

    async def queued_namespaces(self) -> Sequence[str]:
        """Return the uids of the namespaces for which something is queued."""
        return [uid for (uid,) in await self._pool.fetch(records.QUEUED_NAMESPACES)]

    async def queued(self) -> Sequence[queued.QueuedCount]:
        """Return what is queued, each backlog and state once."""
        return [values.to_queued(row) for row in await self._pool.fetch(records.QUEUED)]

    async def counts(self) -> Mapping[vocabulary.RecipientState, int]:
        """Return how many recipients stand in each state that is not final."""
        return records.to_counts(await self._pool.fetch(records.COUNTS))

    async def oldest(self) -> dt.datetime | None:
        """Return when the oldest unfinished notification was accepted."""
        return records.to_oldest(await self._pool.fetch(records.OLDEST))

    def turn(self) -> asyncio.Event:
        """Return what is set once this sender is the oldest."""
        return self._tenure.turn

    async def announce(self, pending: Sequence[ports.Pending]) -> None:
        """Tell the sender that delivers what was queued; it finds what it did not hear of, a little later."""
        with contextlib.suppress(ports.StorageAwayError):
            await ringing.announce(self._pool, pending)

    async def announce_anew(self) -> None:
        """Tell every sender that delivers that more may be queued than was announced."""
        with contextlib.suppress(ports.StorageAwayError):
            await ringing.announce_anew(self._pool)

    async def hear(self, ring: Callable[[Sequence[ports.Pending]], None], look_anew: Callable[[], None]) -> NoReturn:
        """Hand on what others announce until cancelled, and have it looked anew where that may not be all."""
        await ringing.hear(self._pool, ring, look_anew)

    async def lost(self) -> NoReturn:
        """Wait until this sender may not send any more.

        Raises:
            TenureLostError: It was not heard of, or another came under its name; the text says which.
        """
        await self._tenure.wait_lost()

    async def close(self) -> None:
        """Commit what is under way, answer what is noted, and let another sender deliver at once."""
        await self._taking.close()
        await self._settling.close()
        await self._bell.close()
        await self._peers_bell.close()
        with contextlib.suppress(Exception):
            await self._notes.flush()
        try:
            if self._own is not None:
                await self._own.leave()
        finally:
            await self._pool.close()

    async def abandon(self) -> None:
        """Drop everything that is not stored, as a process does that is killed; for tests of that."""
        for part in (self._taking, self._settling, self._notes, self._own):
            if part is not None:
                await part.abandon()
        await self._bell.close()
        await self._peers_bell.close()
        self._pool.abandon()
