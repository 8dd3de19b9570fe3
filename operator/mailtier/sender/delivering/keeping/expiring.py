"""Ending what reaches its max age, in memory and in the queue."""

import datetime as dt
import functools
from collections.abc import Callable, Iterable
from typing import Final

from mailtier.sender import clock, ports
from mailtier.sender.delivering.keeping import claiming, ends, restored
from mailtier.sender.scheduling import lanes, schedule, waits

_ACTIVE_RECHECK_SECONDS: Final = 60.0
_EXPIRY_RECHECK_SECONDS: Final = 1.0


class Expiry:
    """Ends recipients in time.

    Args:
        waiting: The active set.
        claims: What fills it.
        time: Clocks.
        guard: Whether the wall clock may be believed.
        restoring: Whether everything is held.
        why: Returns what a recipient waits for; None for nothing.
        end: Stores the end of a recipient.
    """

    def __init__(
        self,
        *,
        waiting: schedule.Schedule,
        claims: claiming.Claimer,
        time: clock.Clock,
        guard: clock.JumpGuard,
        restoring: restored.RestoredHold,
        why: Callable[[ports.Pending], waits.Wait | None],
        end: Callable[[ports.Pending, ends.End], None],
    ) -> None:
        self._schedule = waiting
        self._claims = claims
        self._clock = time
        self._guard = guard
        self._restored = restoring
        self._why = why
        self._end = end
        # When something in the queue expires; unknown at first.
        self._at = float("-inf")

    def note(self, expires_at: dt.datetime) -> None:
        """Note when something expires that was queued."""
        self._at = min(self._at, self._clock.monotonic_at(expires_at))

    def look_now(self) -> None:
        """Look at once what has expired: others did before."""
        self._at = float("-inf")

    def end_in_memory(self, now: float) -> None:
        """End what reached its max age in memory."""
        is_paused = self._is_paused()
        for entry in self._schedule.expired(now):
            left = (entry.pending.expires_at - self._clock.wall()).total_seconds()
            if left > 0:
                # The wall clock was set back since; nothing is older than it says.
                self._schedule.watch_expiry(entry, at=now + left)
            elif is_paused or entry.place is lanes.EntryPlace.ACTIVE:
                self._schedule.watch_expiry(entry, at=now + _ACTIVE_RECHECK_SECONDS)
            else:
                self._claims.end(entry)
                self._end_expired(entry.pending)

    def is_due(self, now: float) -> bool:
        """Return whether something in the queue may have reached its max age."""
        if now < self._at:
            return False
        if self._is_paused():
            self._at = now + _ACTIVE_RECHECK_SECONDS
            return False
        return True

    def end_claimed(self, expired: Iterable[ports.Pending], next_at: dt.datetime | None) -> None:
        """End what reached its max age in the queue.

        Args:
            expired: That was claimed.
            next_at: When there is more of that; None for never.
        """
        for pending in expired:
            self._claims.hand_on(pending, functools.partial(self._end_expired, pending))
        now = self._clock.monotonic()
        # What is in memory ends by itself, and is there as long as it is attempted.
        soonest = now if expired else now + _EXPIRY_RECHECK_SECONDS
        self._at = float("inf") if next_at is None else max(self._clock.monotonic_at(next_at), soonest)

    def next_event(self) -> float:
        """Return when `is_due` is to be asked."""
        return self._at

    def _end_expired(self, pending: ports.Pending) -> None:
        self._end(pending, ends.expired(pending, self._why(pending)))

    def _is_paused(self) -> bool:
        """Return whether nothing expires now: the clock is in doubt (R14), or somebody has to look first."""
        return self._guard.is_paused() or self._restored.held is not None
