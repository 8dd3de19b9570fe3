"""How long one who meets trouble at a server waits alone, while others go on; pure."""

from mailtier.api import patience, vocabulary
from mailtier.mail import classify
from mailtier.sender.net import breaker


class Pause:
    """What one met at a server, and nothing better since. Times are seconds of a monotonic clock.

    Pauses grow like a breaker's. A password recovery may be tried after a minute of a longer one.

    Attributes:
        trouble: What was met last; None where all is well.
    """

    __slots__ = ("_pauses", "_troubled_at", "trouble")

    def __init__(self) -> None:
        self.trouble: classify.Failure | None = None
        self._troubled_at = float("-inf")
        self._pauses = breaker.Breaker()

    def fail(self, trouble: classify.Failure, now: float, *, jitter: float) -> None:
        """Note trouble.

        Args:
            trouble: What was met.
            now: Seconds of the monotonic clock.
            jitter: Random number in [0, 1), for the pause.
        """
        self.trouble, self._troubled_at = trouble, now
        self._pauses.fail(now, jitter=jitter)

    def succeed(self) -> None:
        """Note that all is well."""
        self.trouble = None
        self._pauses.succeed()

    def allow_trial(self, now: float) -> None:
        """End the pause, as somebody asks for a trial; if that fails too, the next pause is longer all the same."""
        self._pauses.allow_trial(now)

    def retry_at(self, category: vocabulary.Category) -> float:
        """Return when a message may be tried again; in the past where all is well."""
        if self.trouble is None:
            return float("-inf")
        if category is not vocabulary.Category.PASSWORD_RECOVERY:
            return self._pauses.retry_at
        return min(self._pauses.retry_at, self._troubled_at + patience.RECOVERY_HELD.total_seconds())

    def looked_at(self, now: float) -> float | None:
        """Return when any message may be tried again, a recovery that comes meanwhile included; None if now."""
        trials = map(self.retry_at, (vocabulary.Category.PASSWORD_RECOVERY, vocabulary.Category.JOB_ALERT))
        return next((at for at in trials if at > now), None)


WELL = Pause()
"""Of whoever has met nothing; never told of anything."""
