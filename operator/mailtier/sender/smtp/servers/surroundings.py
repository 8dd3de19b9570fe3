"""What all destinations have in common."""

import dataclasses
from collections.abc import Callable, Iterator

from mailtier.sender import clock
from mailtier.sender.net import resolver
from mailtier.sender.secrets import auth_states, logins
from mailtier.sender.smtp.servers import relays, rooms, server_room
from mailtier.sender.smtp.sessions import opening
from mailtier.settings import effective, endpoints


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What all destinations have in common.

    Attributes:
        helo_name: The sender's own name for EHLO, where the settings have none.
        auth: What is known of credentials.
        logins: How many were refused, and which are under way.
        host: Returns the host's own effective settings, or None.
        relay: The addresses of the host's server.
        fallback_relay: Those of its fallback.
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
    fallback_relay: relays.HostAddresses
    rooms: rooms.Rooms

    def host_servers(self) -> Iterator[tuple[effective.Effective, relays.HostAddresses, server_room.ServerRoom]]:
        """Yield the host's own settings for each of its servers, with its addresses and its room."""
        host = self.host()
        if host is None or host.endpoint is None:
            return
        yield host, self.relay, self.rooms.host
        there = host.at_fallback()
        if there is not None and there.endpoint is not None:
            is_one = endpoints.are_same_host(host.endpoint.host, there.endpoint.host)
            # On another port it is the same server.
            yield there, self.fallback_relay, self.rooms.host if is_one else self.rooms.host_fallback

    def host_room(self, endpoint: effective.Endpoint) -> server_room.ServerRoom:
        """Return the room of the one of the host's servers that an endpoint names."""
        for settings, _, room in self.host_servers():
            if settings.endpoint is not None and endpoints.are_same_host(settings.endpoint.host, endpoint.host):
                return room
        return self.rooms.host
