"""The dispatcher: brings what is due to the destinations that are free, and never stops for anything.

delivery = Delivery(queue=..., settings=..., ...)
delivery.offer(enqueued.pending)      # the intake, after the commit
await delivery.run()                  # until cancelled
"""

import asyncio
import contextlib
import dataclasses
import heapq
from collections.abc import Iterable
from typing import Final, NoReturn

from mailtier.api import vocabulary
from mailtier.mail import reasons
from mailtier.sender import (
    attempt,
    builder,
    clock,
    credentials,
    destination,
    holds,
    lanes,
    ports,
    prober,
    recorder,
    schedule,
    settings_source,
    standing,
)
from mailtier.settings import effective
from mailtier.telemetry import logs

_S: Final = vocabulary.RecipientState

_SWEEP_SECONDS: Final = 1.0
"""How often idle sessions, holds and the wall clock are looked at."""

_PRUNE_SECONDS: Final = 60.0
_TOLD_AT_ONCE: Final = 200
"""How many recipients are marked as held in one sweep, so that a large hold does not keep the disk from others."""

_ACTIVE_RECHECK_SECONDS: Final = 60.0
_WORKER_GRACE_SECONDS: Final = 5.0
_RECORD_GRACE_SECONDS: Final = 5.0

_log = logs.get_logger(__name__)


class Delivery:
    """Delivers everything that is queued.

    Args:
        queue: Where it is stored.
        settings: Effective settings of every organization; listed once before `run`.
        destinations: The endpoints in use; shared with the prober.
        passwords: Credentials; shared with the prober.
        messages: Builds messages.
        probes: Told of refusals and of settings that changed.
        time: Clocks and chance.
    """

    def __init__(
        self,
        *,
        queue: ports.Queue,
        settings: settings_source.Settings,
        destinations: destination.Destinations,
        passwords: credentials.CredentialStore,
        messages: builder.Builder,
        probes: prober.Prober,
        time: clock.Clock,
    ) -> None:
        self._queue = queue
        self._settings = settings
        self._destinations = destinations
        self._passwords = passwords
        self._probes = probes
        self._clock = time
        self._guard = clock.JumpGuard()
        self._schedule = schedule.Schedule()
        self._holds = holds.Holds()
        self._wake = asyncio.Event()
        self._outcomes = recorder.Recorder(queue, on_broken=self._wake.set)
        self._workers = recorder.Background()
        self._keys: dict[effective.OrganizationKey, set[ports.LaneKey]] = {}
        self._unjudged: set[ports.LaneKey] = set()
        # Destinations to look at although nothing new is ready for them, and when.
        self._touched: set[destination.Key] = set()
        self._retries: list[tuple[float, int, destination.Key]] = []
        self._retry_number = 0
        self._stranded: list[lanes.Entry] = []
        self._next_sweep = 0.0
        self._next_prune = 0.0
        self._attempts = attempt.Attempts(
            queue=queue,
            settings=settings,
            passwords=passwords,
            messages=messages,
            outcomes=self._outcomes,
            waiting=self._schedule,
            time=time,
            guard=self._guard,
            hooks=attempt.Hooks(
                hold=self._hold,
                settle=self._holds.settle,
                judge=self._rejudge,
                refused=probes.request,
                recall=probes.recall,
                wake=self._wake.set,
            ),
        )
        self.loaded = False

    def __len__(self) -> int:
        """Return how many recipients are in memory."""
        return len(self._schedule)

    def offer(self, pending: Iterable[ports.Pending]) -> None:
        """Take in recipients that were queued; those that are here already are left as they are."""
        for each in pending:
            entry = self._schedule.offer(
                each,
                due_at=self._clock.monotonic_at(each.due_at),
                expires_at=self._clock.monotonic_at(each.expires_at),
            )
            if entry is not None and entry.organization.destination is None and self._holds.find(each.lane) is None:
                self._keys.setdefault(attempt.organization_of(each.lane), set()).add(each.lane)
                self._unjudged.add(each.lane)
        self._wake.set()

    def note_settings(self, organization: effective.OrganizationKey) -> None:
        """Look at an organization's settings again; the callback for whoever watches them."""
        for key in self._keys.get(organization, ()):
            self._holds.release(key)
            self._unjudged.add(key)
        self._wake.set()

    def note_namespace_deleted(self, namespace_uid: str) -> None:
        """Give up everything that is queued for a namespace that is gone."""
        for organization in list(self._schedule.organizations()):
            if organization.key.namespace_uid == namespace_uid:
                self._fail_all(organization, reasons.DeliveryReason.NAMESPACE_DELETED)

    def wake(self) -> None:
        """Look at the clock again."""
        self._wake.set()

    async def run(self) -> NoReturn:
        """Deliver until cancelled; then end what is under way, for a few seconds at most.

        Raises:
            ports.StorageBrokenError: The queue needs a restart of the process.
        """
        await self._probes.load()
        loading = asyncio.get_running_loop().create_task(self._load(), name="load the queue")
        try:
            while True:
                self._wake.clear()
                pause = self._step_safely()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await self._wake.wait()
        finally:
            loading.cancel()
            await asyncio.gather(loading, return_exceptions=True)
            await self._workers.finish(within_seconds=_WORKER_GRACE_SECONDS)
            for each in self._destinations:
                each.close_idle(self._workers.spawn, everything=True)
            await self._workers.finish(within_seconds=_WORKER_GRACE_SECONDS)
            await self._outcomes.close(within_seconds=_RECORD_GRACE_SECONDS)

    async def _load(self) -> None:
        """Take in what was queued before the start; again from the beginning where reading fails."""
        while not self.loaded:
            try:
                async for pending in self._queue.pending():
                    self.offer((pending,))
                self.loaded = True
            except Exception:  # noqa: BLE001 - whatever it is may pass; the queue must be read in the end.
                _log.exception("the queue could not be read; trying again")
                await asyncio.sleep(_SWEEP_SECONDS)

    def _step_safely(self) -> float:
        if self._outcomes.broken is not None:
            raise self._outcomes.broken
        try:
            return self._step()
        except Exception:  # noqa: BLE001 - a defect in one step must not end delivery.
            _log.exception("a step of the dispatcher failed; going on")
            return _SWEEP_SECONDS

    def _step(self) -> float:
        """Do what is to be done now; return after how many seconds there is more."""
        now = self._clock.monotonic()
        self._judge_all()
        self._schedule.advance(now)
        self._expire(now)
        if now >= self._next_sweep:
            self._next_sweep = now + _SWEEP_SECONDS
            self._sweep(now)
        while self._retries and self._retries[0][0] <= now:
            self._touched.add(heapq.heappop(self._retries)[2])
        touched, self._touched = self._touched, set()
        for key in touched | self._schedule.take_touched():
            found = self._destinations.find(key) if isinstance(key, destination.Key) else None
            if found is not None:
                self._start_workers(found, now)
        nexts = [self._next_sweep, self._schedule.next_event(), self._retries[0][0] if self._retries else None]
        return max(min(at for at in nexts if at is not None) - self._clock.monotonic(), 0.0)

    # Settings and holds.

    def _rejudge(self, key: ports.LaneKey) -> None:
        self._unjudged.add(key)
        self._wake.set()

    def _judge_all(self) -> None:
        unjudged, self._unjudged = self._unjudged, set()
        for key in unjudged:
            if self._schedule.organization(key) is not None:
                self._judge(key)

    def _judge(self, key: ports.LaneKey) -> None:
        judged = standing.judge(self._settings.get(attempt.organization_of(key)), key)
        if isinstance(judged, standing.Held):
            self._hold(key, judged, False)  # noqa: FBT003 - a callback's arguments have no names.
            return
        self._holds.release(key) if self._is_held_by_settings(key) else self._holds.lift(key)
        target = self._destinations.get(judged.endpoint, judged.settings.delivery)
        self._schedule.attach(key, target.key, rate_per_minute=judged.settings.delivery.rate_per_minute)

    def _is_held_by_settings(self, key: ports.LaneKey) -> bool:
        hold = self._holds.find(key)
        return hold is not None and hold.recheck_at is None

    def _hold(self, key: ports.LaneKey, held: standing.Held, recheck: bool) -> None:
        now = self._clock.monotonic()
        if self._holds.find(key) is None:
            _log.info("messages are held", organization=str(attempt.organization_of(key)), reason=held.reason)
        self._holds.hold(key, held, now=now, recheck=recheck)
        self._schedule.detach(key)
        self._wake.set()

    def _sweep(self, now: float) -> None:
        if self._guard.observe(wall=self._clock.wall(), monotonic=now):
            _log.warning("the wall clock jumped; nothing expires for an hour")
        for key in self._holds.to_recheck(now):
            self._rejudge(key)
        for key, reason in self._holds.to_fail(now):
            organization = self._schedule.organization(key)
            if organization is not None:
                self._fail_all(organization, reason)
        self._tell_held(now)
        for each in self._destinations:
            each.close_idle(self._workers.spawn)
        self._destinations.tell_metrics()
        if now >= self._next_prune:
            self._next_prune = now + _PRUNE_SECONDS
            self._prune()

    def _prune(self) -> None:
        self._passwords.forget_old()
        self._destinations.prune()
        for key in self._schedule.prune():
            self._holds.release(key)
            organization = attempt.organization_of(key)
            self._keys.get(organization, set()).discard(key)
            if not self._keys.get(organization, True):
                del self._keys[organization]

    def _tell_held(self, now: float) -> None:
        """Store for what waits in a held organization that it is held, and why."""
        self._stranded += self._schedule.take_stranded()
        told, kept = 0, []
        for entry in self._stranded:
            key = entry.organization.key
            hold = self._holds.find(key)
            if entry.place is not lanes.Place.READY or hold is None:
                continue
            if told >= _TOLD_AT_ONCE or not self._holds.is_told(key, now):
                kept.append(entry)
            elif entry.pending.state not in {_S.HELD, _S.IN_DOUBT}:
                told += 1
                self._store_held(entry, hold.held)
        self._stranded = kept

    def _store_held(self, entry: lanes.Entry, held: standing.Held) -> None:
        at = self._clock.wall()
        entry.pending = dataclasses.replace(entry.pending, state=_S.HELD)
        self._outcomes.store(
            ports.Outcome(
                recipient=entry.pending.recipient,
                state=_S.HELD,
                due_at=at,
                attempted=False,
                reason=held.reason,
                message=held.message,
                at=at,
            )
        )

    # The end of waiting.

    def _expire(self, now: float) -> None:
        for entry in self._schedule.expired(now):
            left = (entry.pending.expires_at - self._clock.wall()).total_seconds()
            if left > 0:
                # The wall clock was set back since; nothing is older than it says.
                self._schedule.watch_expiry(entry, at=now + left)
            elif self._guard.is_paused(now) or entry.place is lanes.Place.ACTIVE:
                self._schedule.watch_expiry(entry, at=now + _ACTIVE_RECHECK_SECONDS)
            else:
                self._finish(entry, *self._expiry_of(entry))

    def _expiry_of(self, entry: lanes.Entry) -> tuple[vocabulary.RecipientState, reasons.DeliveryReason, str]:
        if entry.pending.state is _S.IN_DOUBT:
            # It may have been delivered; "expired" would say that it was not.
            reason = reasons.DeliveryReason.IN_DOUBT
            return _S.FAILED, reason, reasons.MEANINGS[reason]
        reason, hold = reasons.DeliveryReason.EXPIRED, self._holds.find(entry.organization.key)
        message = reasons.MEANINGS[reason]
        return _S.EXPIRED, reason, f"{message} {hold.held.message}" if hold else message

    def _fail_all(self, organization: lanes.Organization, reason: reasons.DeliveryReason) -> None:
        for entry in list(organization.entries.values()):
            if entry.place is not lanes.Place.ACTIVE:
                self._finish(entry, _S.FAILED, reason, reasons.MEANINGS[reason])

    def _finish(
        self, entry: lanes.Entry, state: vocabulary.RecipientState, reason: reasons.DeliveryReason, message: str
    ) -> None:
        self._schedule.remove(entry)
        self._outcomes.store(
            ports.Outcome(
                recipient=entry.pending.recipient,
                state=state,
                due_at=None,
                attempted=False,
                reason=reason,
                message=message,
                at=self._clock.wall(),
            )
        )

    # Work.

    def _start_workers(self, target: destination.Destination, now: float) -> None:
        """Start a worker for each free slot, as long as there is something for it."""
        while self._schedule.has_ready(target.key):
            slot = target.reserve()
            if slot is None:
                if target.breaker.retry_at > now:
                    self._retry_number += 1
                    heapq.heappush(self._retries, (target.breaker.retry_at, self._retry_number, target.key))
                return
            entry = self._schedule.take(target.key, now)
            if entry is None:
                target.give_back(slot)
                return
            self._workers.spawn(self._work(target, slot, entry))

    async def _work(self, target: destination.Destination, slot: destination.Slot, entry: lanes.Entry) -> None:
        """Deliver one message after the other over one slot, until there is none or others should have it."""
        following: lanes.Entry | None = entry
        try:
            while following is not None:
                await self._attempts.carry_out(following, target, slot)
                if target.must_yield or target.breaker.retry_at > self._clock.monotonic():
                    break
                following = self._schedule.take(target.key, self._clock.monotonic())
        finally:
            await target.release(slot)
            self._touched.add(target.key)
            self._wake.set()
