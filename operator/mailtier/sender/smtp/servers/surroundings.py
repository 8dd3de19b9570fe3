"""What all destinations have in common."""

import dataclasses
from collections.abc import Callable

from mailtier.sender import clock
from mailtier.sender.net import resolver
from mailtier.sender.secrets import auth_states, logins
from mailtier.sender.smtp.servers import relays, rooms
from mailtier.sender.smtp.sessions import opening
from mailtier.settings import effective


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What all destinations have in common.

    Attributes:
        helo_name: The sender's own name for EHLO, where the settings have none.
        auth: What is known of credentials.
        logins: How many were refused, and which are under way.
        host: Returns the host's own effective settings, or None.
        relay: The addresses of the host's server.
        rooms: The servers.
    """

    helo_name: str
    names: resolver.Resolver
    opener: opening.Opener
    auth: auth_states.AuthStates
    logins: logins.Logins
    time: clock.Clock
    host: Callable[[], effective.Effective | None]
    relay: relays.HostAddresses
    rooms: rooms.Rooms
