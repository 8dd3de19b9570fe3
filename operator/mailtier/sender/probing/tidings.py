"""What the operator is told of a target: what a probe found, that one waits, and which server takes the mail."""

from mailtier.api import feed
from mailtier.sender import clock
from mailtier.sender.probing import memory, probe, targets
from mailtier.sender.smtp import destinations
from mailtier.settings import effective
from mailtier.telemetry import logs

_log = logs.get_logger(__name__)


class Tidings:
    """Records what is to be told.

    Args:
        known: What was told before.
        current: The targets.
        in_use: The endpoints in use.
        time: Clocks.
    """

    def __init__(
        self,
        known: memory.ProbeMemory,
        current: targets.Targets,
        in_use: destinations.Destinations,
        time: clock.Clock,
    ) -> None:
        self._memory = known
        self._targets = current
        self._destinations = in_use
        self._clock = time

    async def record(self, target: targets.Target, result: feed.Probe) -> None:
        """Store what is told of a target from now on."""
        await self._memory.record(result, is_current=self._targets.get(target.key) is target)

    async def tell_wait(self, target: targets.Target, allowed_at: float) -> None:
        """Tell once that a change waits for its probe, and until when; what was found before it stands."""
        try:
            await self.record(
                target, self._told(target).model_copy(update={"next_at": self._clock.wall_at(allowed_at)})
            )
        except Exception:  # noqa: BLE001 - the probe itself will say more.
            _log.exception("it could not be told when a probe may begin")

    async def tell_turn(self, target: targets.Target, settings: effective.Effective) -> None:
        """Tell which of two servers takes the mail from now on."""
        since = self._destinations.fallback_since(settings)
        told = self._told(target)
        if told.fallback_since != since:
            _log.warning(
                "the first server is dead: its fallback takes the mail" if since else "the first server is back",
                server=str(settings.endpoint),
            )
            await self.record(target, told.model_copy(update={"fallback_since": since}))

    def _told(self, target: targets.Target) -> feed.Probe:
        return self._memory.find(target.key) or probe.pending(
            target.key, secret_version=target.seen_version, at=self._clock.wall()
        )
