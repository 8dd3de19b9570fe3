"""One attempt at one recipient: from its turn to the outcome that is stored."""

import dataclasses
import datetime as dt
import functools
from collections.abc import Callable
from typing import Final

from mailtier.api import addresses, patience, prose, text, vocabulary
from mailtier.mail import classify, headers, reasons, render, states, transaction
from mailtier.sender import clock, ports, settings_source
from mailtier.sender.delivering import builder, keeper, recorder, tries, verdicts
from mailtier.sender.net import faults
from mailtier.sender.probing import prober
from mailtier.sender.scheduling import holds, lanes, schedule, standing
from mailtier.sender.secrets import credentials, tokens
from mailtier.sender.smtp import destination, session
from mailtier.telemetry import logs, metrics

_S: Final = vocabulary.RecipientState

_COST_BYTES: Final = 16 * 1024
"""A message of this size or less takes one turn, a larger one as many as it has such parts."""

_PASSWORD_DOT: Final = dt.timedelta(seconds=60)
"""R10: somebody waits before a screen."""

_STALE_TRIES: Final = 3
_REBUILT_AFTER: Final = dt.timedelta(seconds=30)
_BUILDS: Final = 2
_REPAIRED_SECONDS: Final = 30.0
"""How long a recipient waits after a defect of ours."""

_TRIAL_SECONDS: Final = 900.0
_RECOVERY_TRIAL_SECONDS: Final = 60.0
"""How long a lane is held until one of its messages is tried again; somebody who waits for a link waits less."""

# Their sentences are made for people and quote no value.
_SPEAKING: Final = (render.RenderError, headers.MessageError, addresses.AddressError)

_log = logs.get_logger(__name__)


class Attempts:
    """Carries out attempts. Whatever happens, the entry ends up somewhere: stored, waiting, or first in its lane."""

    def __init__(
        self,
        *,
        queue: ports.Queue,
        settings: settings_source.KnownSettings,
        passwords: credentials.CredentialStore,
        access: tokens.Tokens,
        messages: builder.Builder,
        outcomes: recorder.Recorder,
        waiting: schedule.Schedule,
        time: clock.Clock,
        guard: clock.JumpGuard,
        keeping: keeper.Keeper,
        probes: prober.Prober,
        wake: Callable[[], None],
    ) -> None:
        self._queue = queue
        self._settings = settings
        self._passwords = passwords
        self._tokens = access
        self._messages = messages
        self._outcomes = outcomes
        self._schedule = waiting
        self._clock = time
        self._guard = guard
        self._keeper = keeping
        self._probes = probes
        self._wake = wake

    async def carry_out(self, entry: lanes.LaneEntry, target: destination.Destination, slot: destination.Slot) -> None:
        """Try to deliver to one recipient, over the slot's session or another one."""
        try:
            await self._outcomes.wait_for_room()
            await self._carry_out(entry, target, slot)
        except ports.StorageBrokenError as error:
            self._outcomes.note_broken(error)
        except Exception as error:  # noqa: BLE001 - one message must not stop the others.
            # Without the traceback: what raises here may have held a message.
            _log.error("an attempt failed by a defect", recipient=entry.pending.recipient, error=tries.place(error))
            if entry.place is lanes.EntryPlace.ACTIVE:
                due_at = self._clock.monotonic() + _REPAIRED_SECONDS
                self._schedule.put_back(entry, entry.pending, due_at=due_at)

    async def _carry_out(self, entry: lanes.LaneEntry, target: destination.Destination, slot: destination.Slot) -> None:
        key = entry.organization.key
        usable = standing.judge(self._settings.get(lanes.organization_of(key)), key)
        if not isinstance(usable, standing.Usable) or entry.organization.destination != target.key:
            self._schedule.put_first(entry)
            # At once: until it is judged, the entry would be taken again.
            self._keeper.judge(key)
            return
        if (until := target.retry_at(key.namespace)) > self._clock.monotonic():
            # The namespace has met something here that others have not; they go on meanwhile.
            self._schedule.rest(entry, until=until)
            return
        found = await self._credentials(entry, usable, target)
        if found is None:
            return
        if (ticket := target.at.login(found, slot.seat)) is None:
            # A server may take its time with each login that it refuses.
            self._wait(entry, functools.partial(target.at.when_login_over, slot.seat))
            return
        with ticket:
            await self._hand_over(entry, target, slot, tries.SignIn(usable=usable, found=found, ticket=ticket))

    async def _hand_over(
        self, entry: lanes.LaneEntry, target: destination.Destination, slot: destination.Slot, login: tries.SignIn
    ) -> None:
        job = await self._queue.load(entry.pending.recipient)
        if job is None:
            self._schedule.remove(entry)
            return
        if entry.pending.state is _S.HELD:
            # Before anything else is stored of it: nothing but this leads out of that state to another attempt.
            await self._queue.record(verdicts.returned(entry.pending.recipient, now=self._clock.wall()))
            entry.pending = dataclasses.replace(entry.pending, state=_S.QUEUED)
        built = self._build(entry, job, login.usable)
        if built is None:
            return
        self._schedule.charge(entry, len(built.data) // _COST_BYTES)
        await self._deliver(tries.Try(entry=entry, job=job, built=built, login=login), target, slot)

    async def _credentials(
        self, entry: lanes.LaneEntry, usable: standing.Usable, target: destination.Destination
    ) -> credentials.Credentials | None:
        """Return the credentials to use, or None with the organization held, or waiting for a token."""
        key = entry.organization.key
        try:
            found = await self._passwords.get(usable.auth, usable.endpoint)
            state = target.auth_state(found.generation)
            self._probes.recall(usable.settings, found.generation, target)
            if state.refusal is not None:
                # R12: no further AUTH with it. There may be a newer one.
                found = await self._passwords.get(
                    usable.auth, usable.endpoint, max_age_seconds=holds.FIRST_RECHECK_SECONDS
                )
        except credentials.CredentialsError as error:
            self._schedule.put_first(entry)
            meaning = reasons.MEANINGS[reasons.DeliveryReason.CREDENTIALS_UNUSABLE]
            message = prose.sentences(prose.continued(meaning, error.reason.name), error.reason.meaning)
            held = standing.Held(reason=reasons.DeliveryReason.CREDENTIALS_UNUSABLE, message=message)
            self._keeper.hold(key, held, recheck=True)
            return None
        state = target.auth_state(found.generation)
        refused = dataclasses.replace(found, failure=state.refusal)
        ready = self._tokens.peek(found) if state.refusal is None else refused
        if ready is None:
            self._await_token(entry, found, usable)
            return None
        if ready.failure is None:
            return ready
        if ready.failure.is_permanent:
            state.refusal = ready.failure
        self._schedule.put_first(entry)
        self._hold_for(key, ready.failure, usable)
        return None

    def _await_token(self, entry: lanes.LaneEntry, found: credentials.Credentials, usable: standing.Usable) -> None:
        """Let an organization's messages wait until its token server has answered; the slot is for others meanwhile."""
        key = entry.organization.key

        def go_on() -> None:
            ready = self._tokens.peek(found)
            if ready is None or ready.failure is not None:
                self._probes.request(usable.settings)
            self._keeper.look_again(key)

        self._wait(entry, lambda _then: self._tokens.fetch(found, go_on))

    def _wait(self, entry: lanes.LaneEntry, tell: Callable[[Callable[[], None]], None]) -> None:
        """Let an organization's messages wait until somebody tells; the connection is for others meanwhile."""
        self._schedule.put_first(entry)
        self._keeper.park(entry.organization.key)
        tell(lambda: self._keeper.look_again(entry.organization.key))

    def _build(self, entry: lanes.LaneEntry, job: ports.Job, usable: standing.Usable) -> builder.Built | None:
        """Return the message, or None with the recipient's outcome stored."""
        try:
            return self._messages.build(job, usable.from_)
        except Exception as error:  # noqa: BLE001 - a message that cannot be built is not worth a crash.
            message = str(error) if isinstance(error, _SPEAKING) else ""
            _log.warning("a message cannot be built", recipient=job.recipient, error=message or tries.place(error))
        entry.crashes += 1
        again = _REBUILT_AFTER if entry.crashes < _BUILDS else None
        meaning = reasons.MEANINGS[reasons.DeliveryReason.NOT_BUILDABLE]
        told = prose.continued(meaning, message) if message else meaning
        self._store(
            entry, verdicts.not_built(job, told, self._context(usable, credentials.ANONYMOUS), again_after=again)
        )
        return None

    async def _deliver(self, attempt: tries.Try, target: destination.Destination, slot: destination.Slot) -> None:
        limits = target.limits_of(slot)
        envelope, message = limits.envelope_timeout, limits.message_timeout
        if attempt.job.category is vocabulary.Category.PASSWORD_RECOVERY:
            message = min(message, _PASSWORD_DOT)
        for trial in range(_STALE_TRIES):
            is_last = trial == _STALE_TRIES - 1
            if (is_last or not target.has_session(slot, attempt.found.generation)) and not await self._is_current(
                attempt
            ):
                # With what is so now, or held because nothing is.
                self._schedule.put_first(attempt.entry)
                return
            try:
                current = await target.session_for(
                    slot,
                    attempt.found,
                    payer=attempt.usable.payer,
                    barred=attempt.usable.barred,
                    fresh=is_last,
                )
            except destination.MovedError:
                self._schedule.put_first(attempt.entry)
                return
            except destination.NoRoomError:
                # They may share this server, and not what the namespace does elsewhere (R15).
                self._wait(attempt.entry, functools.partial(target.tell_of_room, attempt.usable.payer or ""))
                return
            except faults.StaleTokenError:
                target.breaker.succeed()
                self._tokens.drop(attempt.found)
                self._await_token(attempt.entry, attempt.found, attempt.usable)
                return
            except faults.DeliveryError as error:
                failure, phase = error.failure, error.phase
                break
            attempt.login.ticket.release()
            self._keeper.settle(attempt.entry.organization.key)
            result = await current.send(
                mail_from=attempt.built.mail_from,
                rcpt_to=attempt.built.rcpt_to,
                message=attempt.built.data,
                before_dot=attempt.note_dot(self._queue),
                envelope_timeout=envelope,
                message_timeout=message,
            )
            if not result.is_stale:
                await self._conclude(attempt, target, result)
                return
        else:
            phase = classify.Phase.MAIL
            failure = classify.classify_fault(phase, classify.Fault.CONNECTION_LOST)
        await self._fail(attempt, target, failure, phase=phase)

    async def _is_current(self, attempt: tries.Try) -> bool:
        """Return whether a session may be opened with the credentials at hand: they were read just now (R9)."""
        usable = attempt.usable
        try:
            found = await self._passwords.get(usable.auth, usable.endpoint, max_age_seconds=credentials.OPENING_SECONDS)
        except credentials.CredentialsError:
            return False
        return found.generation == attempt.found.generation

    async def _conclude(self, attempt: tries.Try, target: destination.Destination, result: session.Result) -> None:
        outcome, context = result.outcome, self._context(attempt.usable, attempt.found)
        lane = attempt.entry.lane
        match outcome.verdict:
            case transaction.RecipientVerdict.ACCEPTED:
                # First of all: from here on a defect must not send it again.
                self._queue.note_accepted(attempt.job.recipient)
                self._store(attempt.entry, verdicts.accepted(attempt.job, outcome, context))
                age = (context.now - attempt.job.accepted_at).total_seconds()
                metrics.observe_delivery(category=attempt.job.category, seconds=age)
                target.note_served(attempt.entry.organization.key.namespace)
                lane.refusals.forget()
                self._probes.agree(attempt.usable.settings)
            case transaction.RecipientVerdict.IN_DOUBT:
                assert outcome.failure is not None
                target.note_fault(classify.Phase.DOT, namespace=attempt.usable.witness(classify.Phase.DOT))
                self._store(attempt.entry, verdicts.in_doubt(attempt.job, outcome.failure, context))
            case _:
                assert outcome.failure is not None
                await self._fail(attempt, target, outcome.failure, phase=classify.Phase.RCPT, was_open=True)

    async def _fail(
        self,
        attempt: tries.Try,
        target: destination.Destination,
        failure: classify.Failure,
        *,
        phase: classify.Phase,
        was_open: bool = False,
    ) -> None:
        """Store why an attempt failed, and tell whom else it concerns.

        Args:
            phase: In which it failed; with a session, any in which the server knew for whom it was.
            was_open: Whether there was a session, so that the message may have been the cause.
        """
        namespace = attempt.usable.witness(phase)
        is_server_s = failure.scope is classify.Scope.SERVER
        if was_open and is_server_s and attempt.entry.lose(self._clock.monotonic(), served_at=target.served_at):
            failure = dataclasses.replace(failure, scope=classify.Scope.MESSAGE)
        elif is_server_s:
            target.note_fault(phase, namespace=namespace)
            # What deliveries have met is soon told by Verified too, and not only after the next half hour.
            self._probes.request(attempt.usable.settings)
        elif failure.reason not in faults.UNASKED:
            target.note_served(namespace)
        if was_open and failure.reason is reasons.DeliveryReason.AUTHENTICATION_REQUIRED:
            # After MAIL no probe gets to where it was said.
            await self._probes.contradict(attempt.usable, failure, secret_version=attempt.found.generation.version)
        if failure.scope is classify.Scope.CREDENTIALS:
            await self._reread(attempt, target, failure)
        if failure.scope is classify.Scope.SETTINGS:
            await self._hold_lane(attempt, attempt.entry.lane, failure)
        context = self._context(attempt.usable, attempt.found)
        back_in = max(target.retry_at(attempt.entry.organization.key.namespace) - self._clock.monotonic(), 0.0)
        if was_open:
            policy = patience.POLICIES[attempt.job.category]
            back_in = max(back_in, policy.minimal_backoff.total_seconds() * (1 + context.jitter))
        back_at = context.now + dt.timedelta(seconds=back_in)
        self._store(attempt.entry, verdicts.failed(attempt.job, failure, context, server_back_at=back_at))

    async def _hold_lane(self, attempt: tries.Try, lane: lanes.Lane, failure: classify.Failure) -> None:
        """Hold a lane once it is clear that the settings are refused and no recipient is to blame; have it told."""
        now = self._clock.monotonic()
        if not lane.refusals.note(text.lower_ascii(attempt.job.rcpt_to), failure, now):
            return
        key = attempt.entry.organization.key
        _log.warning(
            "a lane is held: the server refuses its settings",
            organization=str(lanes.organization_of(key)),
            reason=failure.reason,
        )
        is_recovery = attempt.job.category is vocabulary.Category.PASSWORD_RECOVERY
        self._schedule.hold(lane, until=now + (_RECOVERY_TRIAL_SECONDS if is_recovery else _TRIAL_SECONDS))
        await self._probes.contradict(attempt.usable, failure, secret_version=attempt.found.generation.version)

    async def _reread(self, attempt: tries.Try, target: destination.Destination, failure: classify.Failure) -> None:
        """Read the Secret at once after a refusal (R9), and hold the organization unless there is a newer one."""
        usable, key = attempt.usable, attempt.entry.organization.key
        self._probes.request(usable.settings)
        try:
            found = await self._passwords.get(usable.auth, usable.endpoint, max_age_seconds=0)
        except credentials.CredentialsError:
            found = attempt.found
        if found.generation == attempt.found.generation or target.auth_state(found.generation).refusal is not None:
            self._hold_for(key, failure, usable)

    def _hold_for(self, key: ports.LaneKey, failure: classify.Failure, usable: standing.Usable) -> None:
        told = faults.describe(failure, for_owner=tries.is_owner(usable), server=usable.endpoint.host)
        self._keeper.hold(key, standing.Held(reason=failure.reason, message=told), recheck=True)

    def _store(self, entry: lanes.LaneEntry, outcome: ports.Outcome) -> None:
        if outcome.state in states.FINAL:
            self._schedule.remove(entry)
            self._outcomes.store(outcome)
            return
        assert outcome.due_at is not None
        due_at = outcome.due_at
        if not states.may_follow(entry.pending.state, outcome.state):
            # It stays in doubt: any other state would say that it was certainly not delivered.
            self._schedule.put_back(entry, entry.pending, due_at=self._clock.monotonic_at(due_at))
            return
        pending = dataclasses.replace(
            entry.pending,
            state=outcome.state,
            due_at=due_at,
            attempts=entry.pending.attempts + outcome.attempted,
        )

        def wait() -> None:
            self._schedule.put_back(entry, pending, due_at=self._clock.monotonic_at(due_at))
            self._wake()

        self._outcomes.store(outcome, wait)

    def _context(self, usable: standing.Usable, found: credentials.Credentials) -> verdicts.VerdictContext:
        return verdicts.VerdictContext(
            now=self._clock.wall(),
            jitter=self._clock.random(),
            expiry_paused=self._guard.is_paused(),
            for_owner=tries.is_owner(usable),
            server=usable.endpoint.host,
            secrets=found.secrets(),
        )
