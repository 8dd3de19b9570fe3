"""What a sender owns of a queue that several share, and how it comes to own it.

A sender owns rooms, of each the connections to one server; and backlogs, of each the recipients that are claimed.
Both are rows with an owner, whose lease is that of the owner's own row: where that is gone, nobody owns them. Only who
owns a room connects to its server, so that what the server's owner allows holds for all senders together; only who owns
a backlog claims of it, so that no message is sent by two, whatever they think of an organization's settings.

`tests/contract/queue/test_owning.py` holds the contract.
"""

import dataclasses
from collections.abc import Callable, Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Protocol

from mailtier.sender import ports


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """A sender that has the queue open, and was heard of lately.

    Attributes:
        number: Greater than that of every sender before it.
        name: What it is called over restarts.
        shares: Whether it looks who owns what; one of an earlier version delivers everything once it is the oldest.
    """

    number: int
    name: str
    shares: bool


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Who owns a room, and among whom that one was chosen.

    Attributes:
        owner: Its sender's number.
        team: By what the senders among which it was chosen are known; "" where that was not said.
    """

    owner: int
    team: str


class OwningQueue(Protocol):
    """What delivery asks of a queue about what it owns."""

    def own_number(self) -> int:
        """Return the number of this sender."""

    def ask_whose(self, is_mine: Callable[[ports.LaneKey], bool]) -> None:
        """Have somebody asked whether this sender may own an organization's backlogs, where that is not clear.

        What is claimed by its backlog or its number is claimed by whom it belongs to; what expired may be anybody's.
        """

    async def peers(self) -> Sequence[Peer]:
        """Return the senders that have the queue open, this one among them, the oldest first."""

    async def owned_lanes(self) -> AbstractSet[ports.LaneKey]:
        """Return the organizations of which this sender owns a backlog."""

    async def placements(self) -> Mapping[str, Placement]:
        """Return who owns which room; the same object as before where nothing changed."""

    async def acquire(self, rooms: Collection[str], *, team: str) -> Mapping[str, bool]:
        """Own rooms that nobody owns; return those that this sender owns then, and whether somebody did before it.

        Args:
            rooms: Which; those that are its own already count as chosen anew.
            team: By what the senders among which it was chosen are known.
        """

    async def give_up(self, rooms: Collection[str], lanes: Collection[ports.LaneKey]) -> AbstractSet[ports.LaneKey]:
        """Own rooms, and the backlogs of organizations, no longer, once what was reported of them is stored.

        Returns:
            The organizations of which something is claimed still: their backlogs stay.
        """

    async def wait_for_peers(self) -> None:
        """Return when another sender came, went, or gave something up; or after a second."""
