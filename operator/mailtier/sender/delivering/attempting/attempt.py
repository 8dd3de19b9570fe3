"""One attempt at one recipient: from its turn to the outcome that is stored."""

import dataclasses
import datetime as dt
import functools
from collections.abc import Callable
from typing import Any, Final

from mailtier.api import addresses, vocabulary
from mailtier.mail import headers, reasons, render, transaction
from mailtier.sender import clock, ports, settings_source
from mailtier.sender.delivering import builder, plans, recorder, tries
from mailtier.sender.delivering.attempting import (
    announcing,
    applying,
    clearing,
    consequences,
    detours,
    overlong,
    verdicts,
)
from mailtier.sender.delivering.keeping import keeper
from mailtier.sender.net import faults
from mailtier.sender.probing import prober
from mailtier.sender.scheduling import lanes, schedule, waits
from mailtier.sender.secrets import credentials, tokens
from mailtier.sender.smtp import destination, destinations, slots
from mailtier.sender.smtp.sessions import exchange, session
from mailtier.settings import effective
from mailtier.telemetry import logs

_S: Final = vocabulary.RecipientState

_PASSWORD_DOT: Final = dt.timedelta(seconds=60)
"""R10: somebody waits before a screen."""

_STALE_TRIES: Final = 3
"""How many sessions are tried while the server has closed each one before the transaction began."""
_REPAIRED_AFTER: Final = dt.timedelta(seconds=30)
"""How long a recipient waits after a defect of ours."""

_QUEUE_AWAY: Final = (OSError, ports.StorageAwayError, ports.StorageFullError)
"""What noting a final dot raises where the queue takes nothing; what a server does is no exception here."""
_AWAY_SECONDS: Final = 5.0
"""How long a recipient waits then."""

# Their sentences are made for people and quote no value.
_SPEAKING: Final = (render.RenderError, headers.MessageError, addresses.AddressError)

_log = logs.get_logger(__name__)


class Attempts:
    """Carries out attempts. Whatever happens, the entry ends up somewhere: stored, waiting, or first in its lane."""

    def __init__(
        self,
        *,
        queue: ports.DeliveryQueue,
        found: plans.DeliveryPlans,
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
        applier: applying.Applier,
        destinations: destinations.Destinations,
        spawn: Callable[..., Any],
    ) -> None:
        self._queue = queue
        self._plans = found
        self._settings = settings
        self._messages = messages
        self._outcomes = outcomes
        self._schedule = waiting
        self._clock = time
        self._guard = guard
        self._keeper = keeping
        self._applier = applier
        self._clearance = clearing.Clearance(
            found=found,
            passwords=passwords,
            access=access,
            waiting=waiting,
            keeping=keeping,
            probes=probes,
            applier=applier,
            time=time,
        )
        self._detours = detours.Detours(
            carry_out=self._carry_out_safely,
            settings=settings,
            destinations=destinations,
            waiting=waiting,
            spawn=spawn,
            time=time,
        )
        self._overlong = overlong.Overlong(destinations, waiting=waiting, is_mine=keeping.left.is_mine, time=time)

    def break_off(self) -> None:
        """End attempts that hold too many of a server's connections for too long, while others wait (R15)."""
        self._overlong.break_off()

    async def carry_out(
        self,
        entry: lanes.LaneEntry,
        target: destination.Destination,
        slot: slots.Slot,
        follower: announcing.Follower,
    ) -> None:
        """Try to deliver to one recipient, over the slot's session or another one.

        What is in doubt at the other one of its organization's servers goes there meanwhile, over a slot of that.

        Args:
            entry: Whom.
            target: Where.
            slot: Over which.
            follower: Knows what it was announced as, and what is to be announced behind it.
        """
        if not self._detours.take(entry, target):
            await self._carry_out_safely(entry, target, slot, follower)

    async def _carry_out_safely(
        self,
        entry: lanes.LaneEntry,
        target: destination.Destination,
        slot: slots.Slot,
        follower: announcing.Follower | None = None,
    ) -> None:
        """Try to deliver to one recipient; without anybody who follows it is a detour."""
        self._overlong.begin(entry, target, slot)
        try:
            await self._outcomes.wait_for_room()
            await self._carry_out(entry, target, slot, follower)
        except ports.StorageBrokenError as error:
            self._outcomes.note_broken(error)
        except _QUEUE_AWAY as error:
            # No fault of the message, and nothing of it can be stored just now.
            _log.warning("an attempt was given up: its final dot could not be noted", error=type(error).__name__)
            if entry.place is lanes.EntryPlace.ACTIVE:
                self._schedule.defer(entry, entry.pending, due_at=self._clock.monotonic() + _AWAY_SECONDS)
        except Exception as error:  # noqa: BLE001 - one message must not stop the others.
            # Without the traceback: what raises here may have held a message.
            _log.error(
                "an attempt failed by a defect",
                recipient_number=entry.pending.recipient_number,
                error=tries.place(error),
            )
            if entry.place is lanes.EntryPlace.ACTIVE:
                self._applier.defer(entry, reasons.DeliveryReason.SENDER_DEFECT, after=_REPAIRED_AFTER)
        finally:
            self._overlong.end(slot)

    async def _carry_out(
        self,
        entry: lanes.LaneEntry,
        target: destination.Destination,
        slot: slots.Slot,
        follower: announcing.Follower | None,
    ) -> None:
        key, is_detour = entry.organization.key, follower is None
        plan = self._plans.find(key, target.key)
        if plan is None or (entry.organization.destination != target.key and not is_detour):
            self._schedule.put_back(entry)
            # At once: until it is judged, the entry would be taken again.
            self._keeper.judge(key)
            return
        usable = plan.usable
        found = await self._clearance.clear(entry, plan, target, slot, is_detour=is_detour)
        if found is None:
            return
        by = tries.user(usable, found.generation)
        if (allowed_at := target.throttles.allowed_at(by)) > self._clock.monotonic():
            told = "The message waits for the rate that the SMTP server was found to take."
            self._schedule.wait(entry, waits.for_rate(told, until=allowed_at))
            return
        if (use := target.throttles.begin(by)) is None:
            free = functools.partial(target.throttles.when_free, by)
            self._applier.wait(entry, reasons.DeliveryReason.CONNECTION_AWAITED, free)
            return
        slot.user = by
        with use:
            if (ticket := target.at.login(found, slot.seat)) is None:
                # A server may take its time with each login that it refuses.
                over = functools.partial(target.at.when_login_over, slot.seat)
                self._applier.wait(entry, reasons.DeliveryReason.LOGIN_AWAITED, over)
                return
            with ticket:
                login = tries.SignIn(usable=usable, found=found, ticket=ticket)
                attempt = tries.Try(entry=entry, job=entry.job, login=login, use=use)
                await self._hand_over(attempt, target, slot, follower)

    async def _hand_over(
        self,
        attempt: tries.Try,
        target: destination.Destination,
        slot: slots.Slot,
        follower: announcing.Follower | None,
    ) -> None:
        entry = attempt.entry
        if entry.pending.state is _S.HELD:
            # Before anything else is stored of it: nothing but this leads out of that state to another attempt.
            number = attempt.job.recipient_number
            await self._outcomes.store_alone(verdicts.returned(number, now=self._clock.wall()))
            entry.pending = dataclasses.replace(entry.pending, state=_S.QUEUED)
        event = await self._try(attempt, target, slot, follower)
        if event is None:
            return
        known = self._gather(attempt, target)
        try:
            await self._applier.apply(consequences.decide(event, known), attempt, target)
        except ports.StorageBrokenError:
            raise
        except Exception as error:
            least = None
            if isinstance(event, transaction.RecipientResult) and entry.place is lanes.EntryPlace.ACTIVE:
                least = verdicts.despite_defect(attempt.job, event.verdict, known.context)
            if least is None:
                raise
            # Tried again as if its final dot had not left, it would arrive twice, and again with each further try.
            _log.error(
                "a defect kept an attempt's consequences from being carried out; its outcome is stored",
                recipient_number=attempt.job.recipient_number,
                error=tries.place(error),
            )
            self._applier.store_least(least, attempt)

    async def _try(
        self,
        attempt: tries.Try,
        target: destination.Destination,
        slot: slots.Slot,
        follower: announcing.Follower | None,
    ) -> tries.AttemptEvent | None:
        """Return how an attempt ended; None where it did not begin, and its entry has its turn again."""
        prepared = None if follower is None else follower.prepared
        if prepared is not None and prepared.usable is not attempt.usable:
            # The settings have changed since it was announced.
            prepared = None
        try:
            built = (
                self._messages.build(attempt.job, attempt.usable.from_, server=tries.server(attempt.usable))
                if prepared is None
                else prepared.built
            )
        except Exception as error:  # noqa: BLE001 - a message that cannot be built is not worth a crash.
            message = str(error) if isinstance(error, _SPEAKING) else ""
            number = attempt.job.recipient_number
            _log.warning("a message cannot be built", recipient_number=number, error=message or tries.place(error))
            return tries.NotBuilt(message=message)
        attempt.entry.id_domain = built.id_domain
        trials = 0
        while True:
            trials += 1
            opened = await self._open(attempt, target, slot, is_fresh=trials >= _STALE_TRIES)
            if not isinstance(opened, session.Session):
                return opened
            attempt.login.ticket.give_back()
            # Its dot could not leave: the server would have taken an envelope and a body for nothing.
            await self._queue.wait_to_send()
            if not slot.pace.may_go():
                self._schedule.put_back(attempt.entry)
                return None
            limits = target.limits_of(slot)
            timeout = limits.message_timeout
            if attempt.job.category is vocabulary.Category.PASSWORD_RECOVERY:
                timeout = min(timeout, _PASSWORD_DOT)
            result = await opened.send(
                announcing.letter(built, limits) if prepared is None else prepared.letter,
                exchange.Terms(
                    before_dot=functools.partial(self._queue.note_dot, attempt.job.recipient_number, built.snapshot),
                    envelope_timeout=limits.envelope_timeout,
                    message_timeout=timeout,
                ),
                following=(lambda: None) if follower is None else follower.announce,
            )
            # If it was announced, that connection is gone.
            prepared = None
            if result is not None:
                return result

    async def _open(
        self, attempt: tries.Try, target: destination.Destination, slot: slots.Slot, *, is_fresh: bool
    ) -> session.Session | tries.AttemptEvent | None:
        """Return a session, or how the attempt ended without one; None where its entry has its turn again.

        Args:
            is_fresh: Whether it has to be a new one, which no server has closed while it was idle.
        """
        is_new = is_fresh or not target.sessions.has(slot, attempt.found.generation)
        if is_new and not await self._clearance.is_current(attempt.usable, attempt.found):
            # With what is so now, or held because nothing is.
            self._schedule.put_back(attempt.entry)
            return None
        try:
            return await target.sessions.get(
                slot,
                attempt.found,
                payer=attempt.usable.payer,
                barred=attempt.usable.barred,
                fresh=is_fresh,
            )
        except slots.MovedError:
            self._schedule.put_back(attempt.entry)
            return None
        except slots.NoRoomError:
            # They may share this server, and not what the namespace does elsewhere (R15).
            room = functools.partial(target.sessions.tell_of_room, attempt.usable.payer or "")
            self._applier.wait(attempt.entry, reasons.DeliveryReason.OPENING_AWAITED, room)
            return None
        except faults.StaleTokenError:
            return tries.StaleToken()
        except faults.DeliveryError as error:
            return tries.NotOpened(failure=error.failure, phase=error.phase)

    def _gather(self, attempt: tries.Try, target: destination.Destination) -> consequences.Circumstances:
        usable, entry = attempt.usable, attempt.entry
        present = settings_source.find(self._settings, usable.settings.organization)
        return consequences.Circumstances(
            job=attempt.job,
            usable=usable,
            is_current=present is usable.settings or present == usable.settings,
            state=entry.pending.state,
            lane_refusals=entry.lane.refusals,
            losses=entry.losses,
            crashes=entry.crashes,
            served_at=target.health.served_at,
            monotonic=self._clock.monotonic(),
            context=verdicts.VerdictContext(
                now=self._clock.wall(),
                jitter=self._clock.random(),
                expiry_paused=self._guard.is_paused(),
                for_owner=tries.is_owner(usable),
                server=usable.endpoint.host,
                at_fallback=isinstance(usable.settings.organization, effective.FallbackKey),
                secrets=attempt.found.known,
                id_domain=entry.id_domain,
            ),
        )
