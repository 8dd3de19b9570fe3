"""Leaving to other senders what was this one's: what waits is unclaimed, what is under way is seen to its end."""

from collections.abc import Iterable
from collections.abc import Set as AbstractSet

from mailtier.sender import ports
from mailtier.sender.delivering.keeping import claiming
from mailtier.sender.scheduling import lanes, schedule
from mailtier.sender.smtp import estate


class LeftLanes:
    """The organizations that this sender delivers, and those of which it has something still.

    Args:
        whose: Whose mail it is.
        waiting: The active set.
        claims: What fills it.
    """

    def __init__(self, whose: estate.Whose, *, waiting: schedule.Schedule, claims: claiming.Claimer) -> None:
        self._whose = whose
        self._schedule = waiting
        self._claims = claims
        self._mine: set[ports.LaneKey] = set()
        self._leaving: set[ports.LaneKey] = set()

    def is_mine(self, key: ports.LaneKey) -> bool:
        """Return whether an organization's messages are this sender's to deliver, hold and end."""
        return self._whose.is_mine(key)

    def enter(self, key: ports.LaneKey) -> bool:
        """Note that an organization is this sender's; return whether it was not before."""
        is_new = key not in self._mine
        self._mine.add(key)
        self._leaving.discard(key)
        return is_new

    def leave(self, key: ports.LaneKey) -> None:
        """Note that an organization is another sender's, or has no messages: what is owned of it is given up."""
        if key in self._mine:
            self._mine.discard(key)
            self._leaving.add(key)
        self._unclaim(key)

    def changed(self) -> Iterable[ports.LaneKey]:
        """Return the organizations that are this sender's and were not, or were and are not."""
        known = [organization.key for organization in self._schedule.organizations()]
        return [key for key in known if self.is_mine(key) != (key in self._mine)]

    def leaving(self) -> AbstractSet[ports.LaneKey]:
        """Return organizations whose backlogs are to be given up."""
        for key in self._leaving:
            # Also what was under way, and waits for another attempt.
            self._unclaim(key)
        return set(self._leaving)

    def note_given_up(self, given_up: AbstractSet[ports.LaneKey]) -> None:
        """Note that the backlogs of organizations were given up."""
        self._leaving -= given_up

    def _unclaim(self, key: ports.LaneKey) -> None:
        organization = self._schedule.organization(key)
        if organization is None:
            return
        for entry in list(organization.entries.values()):
            if entry.place is not lanes.EntryPlace.ACTIVE:
                self._claims.unclaim(entry, entry.pending.due_at)
