"""Which of two servers takes the mail: the first one, or its fallback while the first one is dead; pure.

A server is dead when nothing is there that greets: no address connects, or what connects does not get to EHLO. Where it
is there and something else is wrong, such as its certificate, a login or a sender, the fallback would only hide it.
"""

import dataclasses
import datetime as dt
from typing import Final

from mailtier.api import doubling
from mailtier.mail import classify, reasons
from mailtier.settings import effective

_R: Final = reasons.DeliveryReason

_DEAD: Final = {
    classify.Phase.CONNECT: {_R.NAME_NOT_RESOLVED, _R.CONNECTION_FAILED, _R.CONNECTION_LOST, _R.TIMED_OUT},
    # With Implicit it comes before the greeting: what stands before a server may accept connections without it.
    classify.Phase.TLS: {_R.CONNECTION_LOST, _R.TIMED_OUT},
    classify.Phase.GREETING: {
        _R.CONNECTION_LOST,
        _R.TIMED_OUT,
        _R.PROTOCOL_ERROR,
        _R.SERVER_UNAVAILABLE,
        _R.SERVER_REFUSED,
    },
    classify.Phase.EHLO: {_R.CONNECTION_LOST, _R.TIMED_OUT, _R.SERVER_UNAVAILABLE, _R.SERVER_REFUSED},
}
"""What a dead server does not do, by phase."""

_ENOUGH: Final = 2
"""So many faults in a row make it dead: a restart of the server, or its word that there are too many connections, does
not send all mail elsewhere. A time-out has lasted long enough to count as so many."""

_AWAY: Final = doubling.Backoff(first=dt.timedelta(minutes=1), most=dt.timedelta(minutes=16))
"""How long the fallback is used at least; longer each time that the first one does not stay."""

_STEADY_SECONDS: Final = 3600.0
"""A first server that has served for so long stays."""

TRIAL_SECONDS: Final = 60.0
"""How often the first one is probed meanwhile: a trial that costs no message its time."""


def is_dead(phase: classify.Phase, failure: classify.Failure) -> bool:
    """Return whether a failure says that there is no server; not, what is wrong with one that is there."""
    return failure.scope is classify.Scope.SERVER and failure.reason in _DEAD.get(phase, ())


def pinned(settings: effective.Effective, server: str) -> effective.Effective | None:
    """Return settings for the server at which a message is in doubt: it is resent there, and nowhere else.

    A second server cannot know what the first one has taken. None where neither server of the settings is that one.

    Args:
        settings: With the first server.
        server: At which its final dot was sent, as text; "" where there was no fallback then, which is the first one.
    """
    if not server or str(settings.endpoint) == server:
        return settings
    there = settings.at_fallback()
    return there if there is not None and str(there.endpoint) == server else None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Away:
    """That the fallback takes the mail.

    Attributes:
        since: Since when.
        times: How often in a row the first one did not stay.
    """

    since: float
    times: int


class Route:
    """Whether a first server is dead. Times are seconds of a monotonic clock."""

    __slots__ = ("_away", "_back_at", "_came_back_at", "_faults", "_since", "_times")

    def __init__(self) -> None:
        self._faults = 0
        self._away = False
        self._since: float | None = None
        self._back_at: float | None = None
        self._came_back_at = float("-inf")
        self._times = 0

    def since(self, now: float) -> float | None:
        """Return since when the fallback takes the mail; None where the first one does."""
        if self._away and self._back_at is not None and now >= self._back_at:
            self._away, self._since, self._back_at, self._came_back_at = False, None, None, now
        return self._since if self._away else None

    def away(self, now: float) -> Away | None:
        """Return that the fallback takes the mail, for the next process; None where it does not."""
        since = self.since(now)
        return None if since is None else Away(since=since, times=self._times)

    def restore(self, *, since: float, times: int) -> None:
        """Begin with the fallback in use, as an earlier process left it; a probe brings the first one back."""
        self._faults, self._away, self._since, self._times = _ENOUGH, True, since, times

    def note_dead(self, failure: classify.Failure, now: float) -> None:
        """Note that there was no server, after the pause since that was found last."""
        was_away = self.since(now) is not None
        self._faults += _ENOUGH if failure.reason is _R.TIMED_OUT else 1
        self._back_at = None
        if was_away or self._faults < _ENOUGH:
            return
        self._times = 1 if now - self._came_back_at >= _STEADY_SECONDS else self._times + 1
        self._away, self._since = True, now

    def note_reached(self) -> None:
        """Note that there is a server, whatever is wrong with it."""
        self._faults = 0

    def note_served(self, now: float) -> None:
        """Note that the server does what a server does: it takes the mail again, once the fallback had its time."""
        self._faults = 0
        if self._away and self._since is not None and self._back_at is None:
            self._back_at = max(now, self._since + _AWAY.ceiling(self._times).total_seconds())
