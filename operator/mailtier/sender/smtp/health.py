"""How a server behaves, as far as one endpoint shows it: whether it is left alone, by all or by one namespace."""

from mailtier.api import vocabulary
from mailtier.mail import classify
from mailtier.sender import clock
from mailtier.sender.net import breaker, pause, witnesses
from mailtier.sender.smtp.servers import routing


class ServerHealth:
    """What is known of how a server behaves at one endpoint.

    Args:
        time: Clocks and chance.

    Attributes:
        breaker: Whether the server is left alone.
        served_at: When it last did what it was asked to; seconds of the monotonic clock.
        route: Whether it is so dead that its fallback takes the mail, where there is one.
        trial_at: When it is its turn to be tried after a pause, in seconds of the monotonic clock; None where it is not
            in line.
    """

    def __init__(self, time: clock.Clock) -> None:
        self.breaker = breaker.Breaker()
        self.route = routing.Route()
        self.trial_at: float | None = None
        self.served_at = float("-inf")
        self._witnesses = witnesses.Witnesses()
        self._clock = time

    @property
    def has_served(self) -> bool:
        """Whether it ever did what it was asked to."""
        return self.served_at > float("-inf")

    def retry_at(self, namespace: str, category: vocabulary.Category) -> float:
        """Return when a namespace may use the server again; in the past where nothing keeps it from that."""
        return max(self.breaker.retry_at, self._witnesses.pause(namespace).retry_at(category))

    def pause(self, namespace: str) -> pause.Pause:
        """Return how long a namespace waits alone, and why."""
        return self._witnesses.pause(namespace)

    def note_served(self, namespace: str | None) -> None:
        """Note that the server did, for a namespace or for the host, what a server does."""
        self.breaker.succeed()
        self.served_at = self._clock.monotonic()
        self.route.note_served(self.served_at)
        if namespace is not None:
            self._witnesses.acquit(namespace)

    def note_alive(self) -> None:
        """Note that the server answers, and what it said then concerns a login alone."""
        self.breaker.note_alive()
        self.route.note_reached()

    def note_fault(self, phase: classify.Phase, failure: classify.Failure, *, namespace: str | None) -> None:
        """Note a fault, and leave the server alone if it is the server's.

        Args:
            phase: In which it came; whoever connects meets the same until EHLO is answered.
            failure: What it was.
            namespace: Whose message or sender address it was; None for the host's, and for its credentials.
        """
        now, jitter = self._clock.monotonic(), self._clock.random()
        is_for_all = namespace is None or phase in classify.BEFORE_AUTH
        faults = self.breaker.faults
        if is_for_all or self._witnesses.testify(str(namespace), failure, now, jitter=jitter):
            self.breaker.fail(now, jitter=jitter)
        else:
            self.breaker.note_alive()
        if not routing.is_dead(phase, failure):
            self.route.note_reached()
        elif self.breaker.faults > faults:
            self.route.note_dead(failure, now)
