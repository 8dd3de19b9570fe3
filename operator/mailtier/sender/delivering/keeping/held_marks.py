"""Storing with messages that wait for what may last that they are held, and why, so that whoever asks is told."""

import dataclasses
import datetime as dt
import itertools
from typing import Final

from mailtier.api import vocabulary
from mailtier.mail import states
from mailtier.sender import clock, ports
from mailtier.sender.delivering import recorder
from mailtier.sender.delivering.keeping import claiming, ends, showing
from mailtier.sender.scheduling import holds, lanes, waits

_S: Final = vocabulary.RecipientState

MARKABLE: Final = frozenset(state for state in states.UNFINISHED if states.may_follow(state, _S.HELD))
"""States in which a recipient may be stored as held."""

_AT_ONCE: Final = 200
"""How many recipients of held lanes are marked as held in one sweep, so that the disk is not kept from others."""
_AGAIN: Final = dt.timedelta(minutes=1)


class HeldMarks:
    """Marks messages as held: those of an organization as they are claimed, those of a lane in memory.

    Args:
        held: Organizations that are held.
        claims: What fills it.
        outcomes: Where outcomes are stored.
        time: Clocks.
    """

    def __init__(
        self,
        held: holds.Holds,
        *,
        claims: claiming.Claimer,
        outcomes: recorder.Recorder,
        time: clock.Clock,
    ) -> None:
        self._holds = held
        self._claims = claims
        self._outcomes = outcomes
        self._clock = time
        self._marked: set[ports.LaneKey] = set()
        self._left = _AT_ONCE

    def __contains__(self, key: ports.LaneKey) -> bool:
        """Return whether an organization's messages are to be marked, as it is held for long enough."""
        return key in self._marked

    def look(self, key: ports.LaneKey, now: float) -> None:
        """Have the messages of an organization marked that is held for long enough."""
        if key not in self._marked and self._holds.lasts(key, now):
            self._marked.add(key)
            self._claims.reopen(key, anew=True)

    def forget(self, key: ports.LaneKey) -> None:
        """Mark no more messages of an organization: it is not held."""
        self._marked.discard(key)

    def sweep(self, now: float) -> None:
        """Look at all that is held."""
        self._left = _AT_ONCE
        held = self._holds.current()
        self._marked &= held.keys()
        for key in held:
            self.look(key, now)

    def mark_waiting(self, organization: lanes.OrganizationLanes, now: float) -> None:
        """Mark what of an organization waits in a held lane, and was not tried yet.

        What was marked goes back into the queue, behind what was not; then that is claimed, until all is marked.
        """
        for entry, wait in list(itertools.islice(showing.unmarked(organization, now), self._left)):
            self._left -= 1
            # Out of memory first: until it is stored nobody may unclaim it, or it were claimed again as it was before.
            self._claims.end(entry)
            self.mark(entry.pending, wait)

    def mark(self, pending: ports.Pending, wait: waits.Wait) -> None:
        """Store of a recipient that is claimed, and not in memory, that it is held; and unclaim it then."""
        at = self._clock.wall()

        def go_on(error: Exception | None) -> None:
            if error is None:
                self._claims.unclaim_pending(dataclasses.replace(pending, state=_S.HELD), at)
            else:
                # Another look is for what is stored by then; at once, it would be tried again for ever.
                self._claims.unclaim_pending(pending, at + _AGAIN)

        self._outcomes.store(ends.held(pending, wait, at), go_on)
