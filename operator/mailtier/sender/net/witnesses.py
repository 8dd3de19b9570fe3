"""Who met faults of one server once it had greeted, and whether they are the server's; pure.

What a server does after its greeting it may do for somebody's sake: it says 421 to who sent too much, and drops whoever
sent too long a message. Let that open the breaker that all share, and one tenant stops
the mail of the others. So it is the server's only when two namespaces meet it within a minute; until then, whoever met
it waits alone, as long as for a server that is down.
"""

import collections
from typing import Final

from mailtier.sender.net import breaker

TOGETHER_SECONDS: Final = 60.0
_REMEMBERED: Final = 10_000


class Accord:
    """Who met something last, and who before them. Times are seconds of a monotonic clock."""

    def __init__(self) -> None:
        self._last: tuple[str, float] | None = None
        self._before: tuple[str, float] | None = None

    def testify(self, namespace: str, now: float) -> bool:
        """Note that a namespace met it; return whether another one did within the last minute."""
        if self._last is not None and self._last[0] != namespace:
            self._before = self._last
        self._last = (namespace, now)
        return self._before is not None and now - self._before[1] <= TOGETHER_SECONDS


class Witnesses:
    """The namespaces that met a fault and nothing better since. Times are seconds of a monotonic clock."""

    def __init__(self) -> None:
        self._pauses: collections.OrderedDict[str, breaker.Breaker] = collections.OrderedDict()
        self._accord = Accord()

    def testify(self, namespace: str, now: float, *, jitter: float) -> bool:
        """Note a fault that a namespace met; return whether another one met one within the last minute.

        Args:
            namespace: Whose message, sender address or credentials it was.
            now: Seconds of the monotonic clock.
            jitter: Random number in [0, 1), for the namespace's pause.
        """
        is_shared = self._accord.testify(namespace, now)
        pause = self._pauses.pop(namespace, None) or breaker.Breaker()
        self._pauses[namespace] = pause
        pause.fail(now, jitter=jitter)
        if len(self._pauses) > _REMEMBERED:
            self._pauses.popitem(last=False)
        return is_shared

    def acquit(self, namespace: str) -> None:
        """Note that the server served a namespace."""
        self._pauses.pop(namespace, None)

    def retry_at(self, namespace: str) -> float:
        """Return when a namespace may try again; in the past where it has met nothing."""
        pause = self._pauses.get(namespace)
        return pause.retry_at if pause is not None else float("-inf")
