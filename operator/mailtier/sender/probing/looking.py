"""One look at an endpoint: with which credentials, and what of that is recorded and told."""

from collections.abc import Callable

from mailtier.api import feed, reasons, vocabulary
from mailtier.sender import clock
from mailtier.sender.probing import accusations, limits, probe, targets, tidings, trace
from mailtier.sender.secrets import credentials, tokens
from mailtier.sender.smtp import destination, destinations
from mailtier.settings import effective
from mailtier.telemetry import logs, metrics

_log = logs.get_logger(__name__)


class Looking:
    """Probes targets.

    Args:
        destinations: The endpoints in use; shared with delivery.
        passwords: Credentials; shared with delivery.
        access: Access tokens; shared with delivery.
        time: Clocks and chance.
        bounds: Who may be probed, and when.
        news: Records what was found.
        accused: What deliveries were told against settings.
        recall: Notes what earlier processes learned of a login.
    """

    def __init__(
        self,
        *,
        destinations: destinations.Destinations,
        passwords: credentials.CredentialStore,
        access: tokens.Tokens,
        time: clock.Clock,
        bounds: limits.ProbeLimits,
        news: tidings.Tidings,
        accused: accusations.Accusations,
        recall: Callable[[effective.Effective, credentials.Generation, destination.Destination], None],
    ) -> None:
        self._destinations = destinations
        self._passwords = passwords
        self._tokens = access
        self._clock = time
        self._limits = bounds
        self._tidings = news
        self._accusations = accused
        self._recall = recall

    async def look(self, target: targets.Target, told: trace.Trace, *, fresh: bool, again: bool) -> feed.Probe | None:
        """Probe a target, and record what was found; None where there was nothing to probe it with.

        Args:
            target: What is probed.
            told: Where it is told meanwhile.
            fresh: Whether its Secret is read now, and a session is opened anew.
            again: Whether a login that was refused is tried once more.
        """
        usable = self._limits.usable(target)
        if usable is None or not self._limits.is_mine(target):
            told.problem = reasons.NOT_PROBED
            return None
        at = self._destinations.get(usable.settings)
        with at.in_use():
            told.reading = True
            try:
                found = await self._passwords.get(
                    usable.auth, usable.endpoint, max_age_seconds=0.0 if fresh else credentials.OPENING_SECONDS
                )
            except credentials.CredentialsError as error:
                _log.info("no probe without credentials", reason=error.reason.name)
                told.problem, told.explanation = error.reason, str(error)
                if fresh and not isinstance(error, credentials.SecretUnavailableError):
                    # The status may still tell of a Secret that is no more what it was.
                    await self._tidings.record(
                        target, probe.pending(target.key, secret_version="", at=self._clock.wall())
                    )
                return None
            told.read_at = self._clock.wall() if fresh and found.generation.version else None
            state = at.auth_state(found.generation)
            self._recall(usable.settings, found.generation, at)
            if again and (too_many := at.at.forgive(found.generation)) is not None:
                told.problem, told.explanation = reasons.TOO_MANY_REFUSED_LOGINS, too_many.text
                return None
            if again:
                self._tokens.forgive(found)
            was_refused = state.refusal is not None
            phases = trace.Phases(told.tell, mode=usable.endpoint.tls.mode, mechanism=usable.auth.mechanism)
            finding = await probe.look(
                usable, at, found, access=self._tokens, time=self._clock, fresh=fresh, observe=phases.begin
            )
            result, version = probe.report(target.key, finding, at=self._clock.wall()), found.generation.version
            result = result.model_copy(update={"fallback_since": self._destinations.fallback_since(usable.settings)})
            told_by = self._accusations.standing(target.key, secret_version=version, now=self._clock.monotonic())
            if finding.failure is None and told_by is not None:
                result = told_by.as_probe(target.key, usable, result, at=result.probed_at)
            if target.is_new or fresh:
                # Where the sender repeats itself it is no news, and would be a write of the status each time.
                result = result.model_copy(update={"next_at": self._limits.next_at(target, self._clock)})
            # Before the last stage is told: whoever hears that it failed asks at once why.
            told.result, told.is_remembered = result, was_refused and result.stage is vocabulary.ProbeStage.AUTH
            if result.stage is vocabulary.ProbeStage.AUTH and state.refusal is not None:
                told.logins_left = at.at.logins_left(found.generation)
            phases.finish(result.stage)
            metrics.count_probe(reason=result.reason)
            target.is_new = False
            await self._tidings.record(target, result)
            return result
