"""Carrying out what an attempt means, and letting an organization wait for a moment: what is decided is done here."""

import dataclasses
import datetime as dt
from collections.abc import Callable
from typing import Final

from mailtier.api import vocabulary
from mailtier.mail import reasons, states
from mailtier.sender import clock, ports
from mailtier.sender.delivering import recorder, tries
from mailtier.sender.delivering.attempting import consequences
from mailtier.sender.delivering.keeping import keeper
from mailtier.sender.probing import prober
from mailtier.sender.scheduling import lanes, schedule, standing, waits
from mailtier.sender.secrets import credentials, tokens
from mailtier.sender.smtp import destination
from mailtier.telemetry import attempt_metrics, logs

_S: Final = vocabulary.RecipientState

_log = logs.get_logger(__name__)


class Applier:
    """Does what `consequences` has decided; it decides nothing itself.

    Args:
        queue: Where acceptances are noted.
        outcomes: Where outcomes are stored.
        waiting: The active set.
        keeping: What organizations wait for.
        probes: Told what deliveries have met.
        passwords: Credentials, read again after a refusal.
        access: Access tokens.
        time: Clocks and chance.
        wake: Called when something may be ready.
    """

    def __init__(
        self,
        *,
        queue: ports.DeliveryQueue,
        outcomes: recorder.Recorder,
        waiting: schedule.Schedule,
        keeping: keeper.Keeper,
        probes: prober.Prober,
        passwords: credentials.CredentialStore,
        access: tokens.Tokens,
        time: clock.Clock,
        wake: Callable[[], None],
    ) -> None:
        self._queue = queue
        self._outcomes = outcomes
        self._schedule = waiting
        self._keeper = keeping
        self._probes = probes
        self._passwords = passwords
        self._tokens = access
        self._clock = time
        self._wake = wake

    async def apply(
        self, decided: consequences.Consequences, attempt: tries.Try, target: destination.Destination
    ) -> None:
        """Carry out what an attempt means; what is deferred goes last, when all else is so."""
        outcome, entry = decided.for_recipient, attempt.entry
        if isinstance(outcome, ports.Outcome) and outcome.state in states.FINAL:
            self._end(outcome, attempt)
        self._tell_destination(decided.destination, attempt, target)
        self._tell_throttles(decided, attempt, target)
        entry.losses, entry.crashes = decided.losses, decided.crashes
        self._tell_lane(decided, entry)
        if decided.probe.contradicts is not None:
            version = attempt.found.generation.version
            await self._probes.contradict(attempt.usable, decided.probe.contradicts, secret_version=version)
        if decided.probe.requests:
            self._probes.request(attempt.usable.settings)
        if decided.probe.agrees:
            self._probes.agree(attempt.usable.settings)
        if decided.drops_token:
            self._tokens.drop(attempt.found)
        if decided.refused is not None:
            await self._reread(decided.refused, attempt, target)
        match outcome:
            case consequences.AwaitsToken():
                self.wait_for_token(entry, attempt.found, attempt.usable)
            case consequences.StillInDoubt(due_at=due_at):
                due_at = self._due(due_at, decided, attempt, target)
                self._schedule.defer(entry, entry.pending, due_at=self._clock.monotonic_at(due_at))
            case ports.Outcome(due_at=dt.datetime() as due_at):
                self._store(outcome, self._due(due_at, decided, attempt, target), entry)
            case _:
                # It was stored first of all.
                pass

    def store_least(self, outcome: ports.Outcome, attempt: tries.Try) -> None:
        """Store the outcome of an attempt alone, where a defect keeps all else from being carried out."""
        if outcome.due_at is None:
            self._end(outcome, attempt)
        else:
            self._store(outcome, outcome.due_at, attempt.entry)

    def wait(
        self, entry: lanes.LaneEntry, reason: reasons.DeliveryReason, tell: Callable[[Callable[[], None]], None]
    ) -> None:
        """Put an entry back, and have its organization wait until somebody tells; the connection is for others.

        Args:
            entry: It is ACTIVE.
            reason: What for.
            tell: Has it told when that is over.
        """
        self._schedule.wait(entry, waits.of(reason, waits.WaitEnd.EVENT))
        tell(lambda: self._keeper.judge_soon(entry.organization.key))

    def wait_for_token(self, entry: lanes.LaneEntry, found: credentials.Credentials, usable: standing.Usable) -> None:
        """Have an organization wait until its token server has answered."""

        def go_on() -> None:
            ready = self._tokens.peek(found)
            if ready is None or ready.failure is not None:
                self._probes.request(usable.settings)
            self._keeper.judge_soon(entry.organization.key)

        self.wait(entry, reasons.DeliveryReason.TOKEN_AWAITED, lambda _then: self._tokens.fetch(found, go_on))

    def defer(self, entry: lanes.LaneEntry, reason: reasons.DeliveryReason, *, after: dt.timedelta) -> None:
        """Let an entry that could not be tried wait for a time, and store why, unless something else is to be told."""
        at = self._clock.wall()
        due_at = at + after
        if not states.may_follow(entry.pending.state, _S.DEFERRED):
            self._schedule.defer(entry, entry.pending, due_at=self._clock.monotonic_at(due_at))
            return
        outcome = ports.Outcome(
            recipient_number=entry.pending.recipient_number,
            state=_S.DEFERRED,
            due_at=due_at,
            attempted=False,
            reason=reason,
            message=reasons.MEANINGS[reason],
            at=at,
        )
        self._store(outcome, due_at, entry)

    def _end(self, outcome: ports.Outcome, attempt: tries.Try) -> None:
        """Store a final state first of all: from here on a defect must not send it again."""
        if outcome.state is _S.ACCEPTED:
            self._queue.note_accepted(outcome.recipient_number)
        self._keeper.end(attempt.entry)
        self._outcomes.store(outcome)
        if outcome.state is _S.ACCEPTED:
            age = (outcome.at - attempt.job.accepted_at).total_seconds()
            attempt_metrics.observe_delivery(category=attempt.job.category, seconds=age)

    def _store(self, outcome: ports.Outcome, due_at: dt.datetime, entry: lanes.LaneEntry) -> None:
        """Store an outcome that another attempt follows; once it is stored, the entry goes on in the queue."""
        pending = dataclasses.replace(
            entry.pending,
            state=outcome.state,
            due_at=due_at,
            attempts=entry.pending.attempts + outcome.attempted,
        )

        def go_on(error: Exception | None) -> None:
            if error is None:
                self._keeper.unclaim(entry, due_at)
            else:
                self._schedule.defer(entry, pending, due_at=self._clock.monotonic_at(due_at))
            self._wake()

        self._outcomes.store(dataclasses.replace(outcome, due_at=due_at), go_on)

    def _due(
        self,
        due_at: dt.datetime,
        decided: consequences.Consequences,
        attempt: tries.Try,
        target: destination.Destination,
    ) -> dt.datetime:
        """Return when an entry is due: where it waits for the server, not before the pause that it was just given."""
        entry, now = attempt.entry, self._clock.monotonic()
        has_other = attempt.usable.settings.fallback is not None and target.health.route.since(now) is not None
        if not decided.waits_for_server or has_other:
            return due_at
        retry_at = target.health.retry_at(entry.organization.key.namespace, entry.pending.category)
        pause = retry_at - now
        return max(due_at, self._clock.wall() + dt.timedelta(seconds=pause))

    @staticmethod
    def _tell_destination(
        news: consequences.Served | consequences.Faulted | consequences.LoginTroubled | None,
        attempt: tries.Try,
        target: destination.Destination,
    ) -> None:
        match news:
            case consequences.Served(namespace=namespace):
                target.health.note_served(namespace)
            case consequences.Faulted(phase=phase, failure=failure, namespace=namespace):
                target.health.note_fault(phase, failure, namespace=namespace)
            case consequences.LoginTroubled(trouble=trouble):
                target.note_login_trouble(attempt.found.generation, trouble)

    @staticmethod
    def _tell_throttles(
        decided: consequences.Consequences, attempt: tries.Try, target: destination.Destination
    ) -> None:
        asked, outcome = decided.asked_for_less, decided.for_recipient
        if asked is not None:
            target.throttles.note_refused(
                attempt.use, namespace=asked.namespace, is_for_all=asked.is_for_all, is_paced=asked.is_paced
            )
        elif isinstance(outcome, ports.Outcome) and outcome.state is _S.ACCEPTED:
            target.throttles.note_taken(attempt.use)

    def _tell_lane(self, decided: consequences.Consequences, entry: lanes.LaneEntry) -> None:
        entry.lane.refusals = decided.lane_refusals
        if decided.confirms:
            self._keeper.confirm(entry.organization.key)
        if decided.frees_lane:
            self._schedule.end_hold(entry)
        if decided.holds_lane is None:
            return
        _log.warning(
            "a lane is held: the server refuses its settings",
            organization=str(lanes.organization_of(entry.organization.key)),
            reason=decided.holds_lane.reason,
        )
        self._schedule.hold_lane(entry.lane, decided.holds_lane)

    async def _reread(self, wait: waits.Wait, attempt: tries.Try, target: destination.Destination) -> None:
        """Read the Secret at once after a refusal (R9), and hold the organization unless there is a newer one."""
        try:
            found = await self._passwords.get(attempt.usable.auth, attempt.usable.endpoint, max_age_seconds=0)
        except credentials.CredentialsError:
            found = attempt.found
        if found.generation == attempt.found.generation or target.auth_state(found.generation).refusal is not None:
            trial_at = target.auth_state(found.generation).pause.looked_at(self._clock.monotonic())
            if trial_at is not None:
                wait = dataclasses.replace(wait, until=trial_at)
            self._keeper.hold(attempt.entry.organization.key, wait, recheck=True)
