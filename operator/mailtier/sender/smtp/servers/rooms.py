"""Which room a server has: known by its name or by its addresses.

Names are shared by all; that two names are one server counts within a namespace alone, and on the host's server. Else
whoever owns a name could have it answer with a stranger's address, and fill that server's room from elsewhere.
"""

from collections.abc import Sequence

from mailtier.sender.net import resolver
from mailtier.sender.smtp.servers import server_room
from mailtier.settings import networks


class Rooms:
    """The rooms of all servers.

    Args:
        sent_until: Until when an earlier process may have used up their rates; None where there was none.

    Attributes:
        host: The host's server's.
        host_fallback: That of the host's fallback, which is another server with a limit of its own.
    """

    def __init__(self, *, sent_until: float | None = None) -> None:
        self._sent_until = sent_until
        self.host = server_room.ServerRoom("", is_one_owner_s=True, sent_until=sent_until)
        # No name is written so.
        self.host_fallback = server_room.ServerRoom(":fallback", is_one_owner_s=True, sent_until=sent_until)
        self._named: dict[tuple[str, str], server_room.ServerRoom] = {}
        self._addressed: dict[tuple[str, str, str], server_room.ServerRoom] = {}

    def __len__(self) -> int:
        """Return how many servers are known by name."""
        return len(self._named)

    def is_host_s(self, room: server_room.ServerRoom) -> bool:
        """Return whether a room is that of one of the host's servers."""
        return room is self.host or room is self.host_fallback

    def named(self, scope: str, name: str) -> server_room.ServerRoom:
        """Return the room of a server.

        Args:
            scope: The namespace, where the server counts connections by account; "" where it counts them by client.
            name: Of the server, normalized.
        """
        return self._named.setdefault((scope, name), server_room.ServerRoom(name, sent_until=self._sent_until))

    def addressed(
        self, own: server_room.ServerRoom, addresses: Sequence[resolver.Address], *, scope: str, party: str
    ) -> tuple[server_room.ServerRoom, Sequence[resolver.Address]]:
        """Return the room of a server whose addresses are known, and those of them that are that server's.

        Another name of the same namespace may have the room already.

        Args:
            own: The room that the server's name stands for.
            addresses: To which the name resolved.
            scope: As for `named`.
            party: Whose the name is.
        """
        keys = {address: [(scope, party, form) for form in networks.forms(address.literal)] for address in addresses}
        every = [key for several in keys.values() for key in several]
        known = (self._addressed[key] for key in every if key in self._addressed)
        room = next((room for room in known if len(room)), own)
        if room is not own:
            return room, [one for one in addresses if any(self._addressed.get(key) is room for key in keys[one])]
        for key in every:
            self._addressed[key] = own
        return own, addresses

    def prune(self) -> None:
        """Forget rooms in which nobody sits."""
        self._named = {key: room for key, room in self._named.items() if len(room)}
        self._addressed = {key: room for key, room in self._addressed.items() if len(room)}
