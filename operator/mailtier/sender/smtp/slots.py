"""Leave to hold one connection to a server, and why there is none."""

import dataclasses
from collections.abc import Hashable

from mailtier.sender.smtp.servers import pacing, server_room
from mailtier.sender.smtp.sessions import session


class MovedError(Exception):
    """The name leads to another server than the one whose slot is at hand; it takes one of that server."""


class NoRoomError(Exception):
    """A namespace has no slot for another opening just now (R15)."""


@dataclasses.dataclass(slots=True, eq=False)
class Slot:
    """Leave to hold one connection; given back with `Destination.give_back`.

    Attributes:
        seat: Where it is counted: at the server of its connection.
        is_trial: Whether it is the one session that a half-open breaker lets through.
        is_probe_s: Whether it was taken to probe.
        taken_at: When, in seconds of the monotonic clock.
        carried: Its connection, while there is one.
        user: Who used it last (`throttles`).
        turns: How many messages it was used for.
        session_turns: How many of them since it has its connection.
        session_at: Since when it has it, in seconds of the monotonic clock.
        pace: The rate of its server, and the message at hand.
    """

    seat: server_room.Seat
    pace: pacing.SlotPace
    is_trial: bool
    is_probe_s: bool
    taken_at: float
    carried: session.Session | None = None
    user: Hashable = None
    turns: int = 0
    session_turns: int = 0
    session_at: float = 0.0

    @property
    def is_promised(self) -> bool:
        """Whether its connection was told of a message, so that no other one can go over it."""
        return self.carried is not None and self.carried.is_promised

    def take_back(self) -> None:
        """End its connection if that was told of a message: it goes elsewhere."""
        if self.carried is not None:
            self.carried.take_back()
