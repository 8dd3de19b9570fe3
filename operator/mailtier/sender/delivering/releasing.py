"""Letting go what is held, because somebody asks: holds and pauses end, and a refused login is tried once more."""

import dataclasses

from mailtier.mail import reasons
from mailtier.sender import clock, ports
from mailtier.sender.delivering import tries
from mailtier.sender.delivering.keeping import keeper
from mailtier.sender.probing import prober
from mailtier.sender.scheduling import holds, standing, waits
from mailtier.sender.secrets import credentials, tokens
from mailtier.sender.smtp import destination, destinations


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Freed:
    """What became of an organization's pauses and login at a server.

    Attributes:
        held: What holds its messages there all the same; None where nothing is known to.
        tries_login: Whether a login that was refused is tried once more.
    """

    held: waits.Wait | None = None
    tries_login: bool = False


class Releaser:
    """Ends what keeps an organization's messages back, as far as that is the organization's own.

    A server that is left alone by all stays so: others have met the same. The host's login is for the platform team to
    try again.

    Args:
        keeping: Holds.
        destinations: The endpoints in use.
        passwords: Credentials.
        access: Access tokens.
        probes: What earlier processes learned of a login.
        time: Clocks.
    """

    def __init__(
        self,
        *,
        keeping: keeper.Keeper,
        destinations: destinations.Destinations,
        passwords: credentials.CredentialStore,
        access: tokens.Tokens,
        probes: prober.Prober,
        time: clock.Clock,
    ) -> None:
        self._keeper = keeping
        self._destinations = destinations
        self._passwords = passwords
        self._tokens = access
        self._probes = probes
        self._clock = time

    async def release(self, key: ports.LaneKey) -> Freed:
        """End the holds and pauses of an organization for now, and return what still holds its messages."""
        judged = self._keeper.judgement(key)
        freed = Freed(held=judged) if isinstance(judged, waits.Wait) else await self._free(judged)
        self._keeper.release(key)
        return freed

    async def _free(self, usable: standing.Usable) -> Freed:
        target = self._destinations.get(usable.settings)
        with target.in_use():
            target.health.pause(usable.settings.organization.namespace).allow_trial(self._clock.monotonic())
            freed = await self._free_login(usable, target)
        if freed.held is None and target.health.breaker.retry_at > self._clock.monotonic():
            until = target.health.breaker.retry_at
            wait = waits.of(reasons.DeliveryReason.SERVER_UNAVAILABLE, waits.WaitEnd.TIME, until=until)
            return dataclasses.replace(freed, held=wait)
        return freed

    async def _free_login(self, usable: standing.Usable, target: destination.Destination) -> Freed:
        """Let a login that is the organization's own be tried once more, within its budget of refusals (R12)."""
        try:
            found = await self._passwords.get(usable.auth, usable.endpoint, max_age_seconds=holds.FIRST_RECHECK_SECONDS)
        except credentials.CredentialsError as error:
            return Freed(held=tries.unusable(error))
        state = target.auth_state(found.generation)
        self._probes.recall(usable.settings, found.generation, target)
        ready = self._tokens.peek(found) if state.refusal is None else None
        refusal = state.refusal or (ready.failure if ready is not None else None)
        if not usable.has_own_login:
            return Freed(held=None if refusal is None else tries.wait(refusal, usable))
        state.pause.allow_trial(self._clock.monotonic())
        if (too_many := target.at.forgive(found.generation)) is not None:
            return Freed(held=tries.wait(too_many, usable))
        self._tokens.forgive(found)
        return Freed(tries_login=refusal is not None and refusal.is_permanent)
