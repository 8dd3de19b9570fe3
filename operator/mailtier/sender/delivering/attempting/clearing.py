"""Whether a message whose turn it is may go to its server now, and with which credentials, or what it waits for."""

import dataclasses

from mailtier.api import patience
from mailtier.mail import reasons
from mailtier.sender import clock
from mailtier.sender.delivering import plans, tries
from mailtier.sender.delivering.attempting import applying
from mailtier.sender.delivering.keeping import keeper
from mailtier.sender.probing import prober
from mailtier.sender.scheduling import holds, lanes, schedule, standing, waits
from mailtier.sender.secrets import credentials, tokens
from mailtier.sender.smtp import destination, slots


class Clearance:
    """Sees whether a message may go.

    Args:
        found: How messages go.
        passwords: Credentials.
        access: Access tokens.
        waiting: The active set.
        keeping: Holds organizations.
        probes: What earlier processes learned of a login.
        applier: Lets organizations wait for a token.
        time: Clocks.
    """

    def __init__(
        self,
        *,
        found: plans.DeliveryPlans,
        passwords: credentials.CredentialStore,
        access: tokens.Tokens,
        waiting: schedule.Schedule,
        keeping: keeper.Keeper,
        probes: prober.Prober,
        applier: applying.Applier,
        time: clock.Clock,
    ) -> None:
        self._plans = found
        self._passwords = passwords
        self._tokens = access
        self._schedule = waiting
        self._keeper = keeping
        self._probes = probes
        self._applier = applier
        self._clock = time

    async def clear(
        self,
        entry: lanes.LaneEntry,
        plan: plans.DeliveryPlan,
        target: destination.Destination,
        slot: slots.Slot,
        *,
        is_detour: bool,
    ) -> credentials.Credentials | None:
        """Return the credentials to use; None where the entry, put back or deferred, waits with its organization.

        Args:
            entry: It is ACTIVE.
            plan: How its message goes.
            target: Where.
            slot: Over which.
            is_detour: Whether the entry alone is concerned, as its organization's others go another way.
        """
        usable = plan.usable
        if (wait := self._server_wait(entry, usable, target)) is not None:
            if is_detour:
                self._schedule.defer(entry, entry.pending, due_at=wait.until)
            else:
                self._schedule.wait(entry, wait)
            return None
        try:
            found = self._plans.peek(plan) or await self._passwords.get(usable.auth, usable.endpoint)
            state = target.auth_state(found.generation)
            if found.generation.version and not state.is_recalled:
                self._probes.recall(usable.settings, found.generation, target)
            if state.refusal is not None:
                # R12: no further AUTH with it. There may be a newer one.
                found = await self._passwords.get(
                    usable.auth, usable.endpoint, max_age_seconds=holds.FIRST_RECHECK_SECONDS
                )
                state = target.auth_state(found.generation)
        except credentials.CredentialsError as error:
            self._hold(entry, tries.unusable(error), is_detour=is_detour)
            return None
        pause, now = state.pause, self._clock.monotonic()
        is_paused = pause.trouble is not None and pause.retry_at(entry.pending.category) > now
        if is_paused and pause.trouble is not None and not target.sessions.has(slot, found.generation):
            trial_at = pause.looked_at(now) or now
            self._hold(entry, tries.wait(pause.trouble, usable, until=trial_at), is_detour=is_detour)
            return None
        ready = self._tokens.peek(found) if state.refusal is None else dataclasses.replace(found, failure=state.refusal)
        if ready is None:
            self._applier.wait_for_token(entry, found, usable)
            return None
        if ready.failure is None:
            return ready
        if ready.failure.is_permanent:
            state.refusal = ready.failure
        self._hold(entry, tries.wait(ready.failure, usable), is_detour=is_detour)
        return None

    async def is_current(self, usable: standing.Usable, used: credentials.Credentials) -> bool:
        """Return whether a session may be opened with the credentials at hand: they were read just now (R9)."""
        try:
            found = await self._passwords.get(usable.auth, usable.endpoint, max_age_seconds=credentials.OPENING_SECONDS)
        except credentials.CredentialsError:
            return False
        return found.generation == used.generation

    def _server_wait(
        self, entry: lanes.LaneEntry, usable: standing.Usable, target: destination.Destination
    ) -> waits.Wait | None:
        """Return what an entry waits for at its server; None where it may go."""
        namespace, now = entry.organization.key.namespace, self._clock.monotonic()
        if target.health.retry_at(namespace, entry.pending.category) <= now:
            return None
        pause = target.health.pause(namespace)
        if pause.trouble is None or pause.retry_at(entry.pending.category) <= now:
            # The server is left alone by all.
            until = target.health.breaker.retry_at
            return waits.of(reasons.DeliveryReason.SERVER_UNAVAILABLE, waits.WaitEnd.TIME, until=until)
        # The namespace has met something here that others have not; they go on meanwhile.
        # Looked at again soon: a recovery may have come by then, or be served while this one waits.
        until = min(pause.retry_at(entry.pending.category), now + patience.RECOVERY_HELD.total_seconds())
        return tries.wait(pause.trouble, usable, until=until)

    def _hold(self, entry: lanes.LaneEntry, wait: waits.Wait, *, is_detour: bool) -> None:
        """Let an entry be the next of its lane, and its organization wait; of a detour, the entry alone."""
        if is_detour:
            due_at = self._clock.monotonic() + holds.FIRST_RECHECK_SECONDS
            self._schedule.defer(entry, entry.pending, due_at=due_at)
            return
        self._schedule.put_back(entry)
        self._keeper.hold(entry.organization.key, wait, recheck=True)
