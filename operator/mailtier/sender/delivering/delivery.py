"""The dispatcher: brings what is due to the destinations that are free, and never stops for anything.

delivery = Delivery(queue=..., settings=..., ...)
delivery.ring(enqueued.pending)       # the intake, after the commit
await delivery.run()                  # until cancelled
"""

import asyncio
import contextlib
from collections.abc import Iterable
from typing import Final, NoReturn

from mailtier.api import vocabulary
from mailtier.sender import clock, ports, settings_source
from mailtier.sender.between import bell
from mailtier.sender.delivering import builder, plans, recorder, releasing
from mailtier.sender.delivering.attempting import announcing, applying, attempt, carriers
from mailtier.sender.delivering.keeping import claiming, filling, keeper, leaving, restored, showing
from mailtier.sender.probing import prober
from mailtier.sender.scheduling import backlogs, lane_display, schedule, standing, waits
from mailtier.sender.secrets import credentials, tokens
from mailtier.sender.smtp import destinations, estate
from mailtier.sender.smtp.servers import destination_key
from mailtier.settings import effective
from mailtier.telemetry import claim_metrics, hold_metrics, logs, metrics, tasks

_SWEEP_SECONDS: Final = 1.0
"""How often idle sessions, holds and the wall clock are looked at."""

_PRUNE_SECONDS: Final = 60.0
_WORKER_GRACE_SECONDS: Final = 5.0
_RECORD_GRACE_SECONDS: Final = 5.0

_log = logs.get_logger(__name__)


class Deliverer:
    """Delivers everything that is queued.

    Args:
        queue: Where it is stored.
        settings: Effective settings of every organization; listed once before `run`.
        destinations: The endpoints in use; shared with the prober.
        passwords: Credentials; shared with the prober.
        access: Access tokens; shared with the prober.
        messages: Builds messages.
        probes: Told of refusals and of settings that changed.
        time: Clocks and chance.
        active: The active set's books, with how large it may be.
        whose: Whose mail it is; this sender's by default.
    """

    def __init__(
        self,
        *,
        queue: ports.DeliveryQueue,
        settings: settings_source.KnownSettings,
        destinations: destinations.Destinations,
        passwords: credentials.CredentialStore,
        access: tokens.Tokens,
        messages: builder.Builder,
        probes: prober.Prober,
        time: clock.Clock,
        active: backlogs.Backlogs | None = None,
        whose: estate.Whose | None = None,
    ) -> None:
        self._destinations = destinations
        self._passwords = passwords
        self._tokens = access
        self._probes = probes
        self._clock = time
        self._schedule = schedule.Schedule(destinations.limit, sent_until=destinations.sent_until)
        self._claims = claiming.Claimer(queue, waiting=self._schedule, known=active or backlogs.Backlogs(), time=time)
        self._wake = asyncio.Event()
        self._outcomes = recorder.Recorder(queue, on_broken=self._wake.set)
        self._workers = tasks.Background()
        # Destinations to look at although nothing new is ready for them.
        self._touched: set[destination_key.DestinationKey] = set()
        self._next_sweep = 0.0
        self._surveying: asyncio.Task[None] | None = None
        self._next_prune = 0.0
        guard = clock.JumpGuard(time)
        self._restored = restored.RestoredHold(queue)
        self._keeper = keeper.Keeper(
            settings=settings,
            destinations=destinations,
            waiting=self._schedule,
            claims=self._claims,
            outcomes=self._outcomes,
            time=time,
            guard=guard,
            wake=self._wake.set,
            restoring=self._restored,
            whose=whose or estate.EverythingMine(),
        )
        self._filling = filling.Filling(
            self._claims, keeping=self._keeper, outcomes=self._outcomes, time=time, wake=self._wake.set
        )
        applier = applying.Applier(
            queue=queue,
            outcomes=self._outcomes,
            waiting=self._schedule,
            keeping=self._keeper,
            probes=probes,
            passwords=passwords,
            access=access,
            time=time,
            wake=self._wake.set,
        )
        self._releaser = releasing.Releaser(
            keeping=self._keeper,
            destinations=destinations,
            passwords=passwords,
            access=access,
            probes=probes,
            time=time,
        )
        self._plans = plans.DeliveryPlans(settings=settings, passwords=passwords)
        self._attempts = attempt.Attempts(
            queue=queue,
            found=self._plans,
            settings=settings,
            passwords=passwords,
            access=access,
            messages=messages,
            outcomes=self._outcomes,
            waiting=self._schedule,
            time=time,
            guard=guard,
            keeping=self._keeper,
            probes=probes,
            applier=applier,
            destinations=destinations,
            spawn=self._workers.spawn,
        )
        self._carriers = carriers.Carriers(
            attempts=self._attempts,
            preparer=announcing.Preparer(
                found=self._plans, access=access, messages=messages, outcomes=self._outcomes, time=time
            ),
            waiting=self._schedule,
            time=time,
            background=self._workers,
        )
        destinations.listen(self._note_free, self._keeper.note_move)

    def __len__(self) -> int:
        """Return how many recipients are in memory."""
        return len(self._schedule)

    @property
    def loaded(self) -> bool:
        """Whether it was looked which backlogs there are."""
        return self._filling.loaded

    def held(self) -> dict[ports.LaneKey, waits.Wait]:
        """Return the organizations whose messages are held, and why."""
        return self._keeper.held()

    def hold_of(self, key: ports.LaneKey, category: vocabulary.Category | None = None) -> waits.Wait | None:
        """Return why an organization's messages, or those of one category, are held; None where they are not."""
        return self._keeper.hold_of(key, category)

    def brief_wait(self, key: ports.LaneKey) -> waits.Wait | None:
        """Return what an organization's messages wait for that is over soon; None for nothing."""
        return showing.brief_wait(
            key, waiting=self._schedule, find=self._destinations.find, now=self._clock.monotonic()
        )

    async def displays(self) -> dict[ports.LaneKey, lane_display.LaneDisplay]:
        """Return what is to be shown of organizations that wait for something."""
        return await showing.look(
            self.held(), waiting=self._schedule, find=self._destinations.find, now=self._clock.monotonic()
        )

    def ring(self, pending: Iterable[ports.Pending | bell.RungBacklog]) -> None:
        """Note that recipients were queued, so that those that are due are claimed at once."""
        self._keeper.ring(pending)
        self._wake.set()

    def look_anew(self) -> None:
        """Look at once which backlogs there are: more may be queued than was told."""
        self._filling.look_now()
        self._wake.set()

    def note_settings(self, organization: effective.OrganizationKey) -> None:
        """Judge an organization anew, as its settings changed; the callback for whoever watches them."""
        self._keeper.note_settings(organization)
        self._wake.set()

    @property
    def left(self) -> leaving.LeftLanes:
        """What is another sender's from now on."""
        return self._keeper.left

    def note_owned(self) -> None:
        """Look at what others did with what is this sender's from now on, and leave to them what is theirs."""
        self._keeper.judge_changed()
        self.look_anew()

    def namespaces(self) -> tuple[str, ...]:
        """Return the uids of the namespaces for which something is queued, each once, in order."""
        return tuple(sorted(self._claims.namespaces()))

    def note_namespace_deleted(self, namespace_uid: str) -> None:
        """Give up everything that is queued for a namespace that is gone; what is on the wire goes on.

        To be told again until `namespaces` does not name it any more: an attempt may end with another to follow.
        """
        self._keeper.fail_namespace(namespace_uid)

    async def drop(self, key: ports.LaneKey, recipient_numbers: Iterable[int]) -> int:
        """End recipients that somebody dropped; return how many once it is stored. What is on the wire goes on."""
        stored = asyncio.Semaphore(0)
        dropped = await self._keeper.drop(key, recipient_numbers, then=lambda _error: stored.release())
        for _ in range(dropped):
            await stored.acquire()
        return dropped

    async def release(self, key: ports.LaneKey) -> standing.Released:
        """Let an organization's messages be tried now, also those that were deferred; what holds it still does."""
        freed = await self._releaser.release(key)
        hastened = 0 if freed.held is not None else await self._claims.hasten(key)
        self._wake.set()
        return standing.Released(
            is_waiting=self._claims.has(key), held=freed.held, tries_login=freed.tries_login, hastened=hastened
        )

    def wake(self) -> None:
        """Look at the clock again."""
        self._wake.set()

    async def run(self) -> NoReturn:
        """Deliver until cancelled; then end what is under way, for a few seconds at most.

        Raises:
            ports.StorageBrokenError: The queue needs a restart of the process.
        """
        await asyncio.gather(self._probes.load(), self._restored.load())
        try:
            while True:
                self._wake.clear()
                pause = self._step_safely()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await self._wake.wait()
        finally:
            self._carriers.stop()
            await self._filling.stop()
            await self._workers.finish(within_seconds=_WORKER_GRACE_SECONDS)
            for each in self._destinations:
                each.close_idle(self._workers.spawn, everything=True)
            await self._workers.finish(within_seconds=_WORKER_GRACE_SECONDS)
            await self._destinations.keep()
            await self._outcomes.close(within_seconds=_RECORD_GRACE_SECONDS)

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
        self._keeper.judge_due()
        self._schedule.advance(now)
        self._keeper.expiry.end_in_memory(now)
        if now >= self._next_sweep:
            self._next_sweep = now + _SWEEP_SECONDS
            self._sweep(now)
        self._touched.update(self._carriers.due(now))
        self._filling.begin(now)
        touched, self._touched = self._touched, set()
        for key in touched | self._schedule.rounds.take_touched():
            self._carriers.end_lingering(key)
            found = self._destinations.find(key)
            if found is not None:
                self._carriers.start(found, now)
        nexts = [self._next_sweep, self._schedule.next_event(), self._carriers.next_event()]
        nexts.append(self._filling.next_event(now))
        return max(min(at for at in nexts if at is not None) - self._clock.monotonic(), 0.0)

    def _sweep(self, now: float) -> None:
        self._keeper.sweep(now)
        self._carriers.withdraw(now)
        self._attempts.break_off()
        if self._surveying is None or self._surveying.done():
            self._surveying = self._workers.spawn(self._survey())
        self._workers.spawn(self._destinations.keep())
        self._workers.spawn(self._restored.look(self._keeper.judge_all))
        claim_metrics.set_active(len(self._schedule))
        if now >= self._next_prune:
            self._next_prune = now + _PRUNE_SECONDS
            self._passwords.forget_old()
            self._tokens.forget_old()
            self._prune_destinations()
            self._keeper.prune(now)
            self._plans.prune(self._schedule)
        elif self._destinations.is_crowded:
            self._prune_destinations()

    async def _survey(self) -> None:
        """Look at every server and every organization; what is due meanwhile does not wait for it."""
        paced = await self._destinations.sweep(self._workers.spawn)
        rounds = self._schedule.rounds
        metrics.set_waiting(for_rate=rounds.waiting_for_rate() + sum(map(rounds.ready_organizations, paced)))
        hold_metrics.set_holds(await self._keeper.survey())

    def _prune_destinations(self) -> None:
        self._destinations.prune(keep={each.destination for each in self._schedule.organizations()})

    def _note_free(self, key: destination_key.DestinationKey) -> None:
        self._touched.add(key)
        self._wake.set()
