"""How often a namespace may have servers probed (R7): a probe must not become a port scanner, nor load a relay.

Three at once, for somebody is mending a server and looks after each change; then one a minute. The sender's own probes
count at organizations' own endpoints and, at the host's, where they follow an organization's own edit: a change of the
host's settings, or of its Secret, is no tenant's to pay for. Those that somebody asks for count whosever the endpoint
is.
"""

from typing import Final

from mailtier.sender.scheduling import limiter

BURST: Final = 3
EVERY_SECONDS: Final = 60.0

_PROMISED_SECONDS: Final = 15.0
"""How long the probe that somebody was told to wait for is kept from the sender's own."""


class TooSoonError(Exception):
    """The namespace had its probes, or the host's endpoint was probed a moment ago (R7).

    Attributes:
        retry_after_seconds: When it may be probed again.
    """

    def __init__(self, retry_after_seconds: float) -> None:
        super().__init__(f"the next probe may begin in {retry_after_seconds:.0f} s")
        self.retry_after_seconds = retry_after_seconds


class ProbeBudget:
    """What each namespace has left. Times are seconds of a monotonic clock."""

    def __init__(self) -> None:
        self._buckets = limiter.Buckets[str](burst=BURST, every_seconds=EVERY_SECONDS)
        self._promised: dict[str, float] = {}

    def allowed_at(self, namespace: str, now: float) -> float:
        """Return when the next probe that somebody asks for may begin; at most `now` if it may now."""
        return self._buckets.allowed_at(namespace, now)

    def own_allowed_at(self, namespace: str, now: float) -> float:
        """Return when the sender may begin its own next probe: what is promised to somebody is not taken away."""
        return max(self._buckets.allowed_at(namespace, now), self._promised.get(namespace, now))

    def promise(self, namespace: str, at: float, now: float) -> None:
        """Note that somebody was told when to come back."""
        self._promised = {known: until for known, until in self._promised.items() if until > now}
        self._promised[namespace] = at + _PROMISED_SECONDS

    def take(self, namespace: str, now: float) -> None:
        """Count a probe that begins now."""
        self._buckets.take(namespace, now)
        self._promised.pop(namespace, None)
