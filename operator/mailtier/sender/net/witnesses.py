"""Who met faults of one server once it had greeted, and whether they are the server's; pure.

What a server does after its greeting it may do for somebody's sake: it says 421 to who sent too much, and drops whoever
sent too long a message. Let that open the breaker that all share, and one tenant stops
the mail of the others. So it is the server's only when two namespaces meet it within a minute; until then, whoever met
it waits alone, as long as for a server that is down.
"""

import collections
from typing import Final

from mailtier.mail import classify
from mailtier.sender.net import pause

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
        self._pauses: collections.OrderedDict[str, pause.Pause] = collections.OrderedDict()
        self._accord = Accord()

    def testify(self, namespace: str, trouble: classify.Failure, now: float, *, jitter: float) -> bool:
        """Note a fault that a namespace met; return whether another one met one within the last minute.

        Args:
            namespace: Whose message or sender address it was.
            trouble: What it met.
            now: Seconds of the monotonic clock.
            jitter: Random number in [0, 1), for the namespace's pause.
        """
        is_shared = self._accord.testify(namespace, now)
        found = self._pauses.pop(namespace, None) or pause.Pause()
        self._pauses[namespace] = found
        found.fail(trouble, now, jitter=jitter)
        if len(self._pauses) > _REMEMBERED:
            self._pauses.popitem(last=False)
        return is_shared

    def acquit(self, namespace: str) -> None:
        """Note that the server served a namespace."""
        self._pauses.pop(namespace, None)

    def pause(self, namespace: str) -> pause.Pause:
        """Return how long a namespace waits alone, and why."""
        return self._pauses.get(namespace, pause.WELL)
