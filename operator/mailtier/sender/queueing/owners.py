"""Which of the senders that share a queue should own which room of a server; pure.

A server's connections, its rate and its breaker are one sender's to count, so that they hold for the sum of all. Who
that is follows from the room's name and the senders alone: each of them reckons it by itself, and all come to the same.
What is owned is another thing: the rows of the queue say it, and whoever should own a room waits for whoever does.
"""

import dataclasses
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet

from mailtier.sender.between import owning


def sharing(peers: Iterable[owning.Peer]) -> Sequence[owning.Peer]:
    """Return those senders among which rooms are shared out.

    While there is one that does not look who owns what, the oldest alone delivers: that is what such a one thinks.

    Args:
        peers: All senders.
    """
    known = sorted(peers, key=lambda peer: peer.number)
    if all(peer.shares for peer in known):
        return known
    return known[:1]


def preferred(room: str, peers: Sequence[owning.Peer]) -> owning.Peer | None:
    """Return the sender that should own a room; None without any.

    One that comes takes only what it should own from then on, and one that goes leaves only what it owned: nothing is
    moved between others.

    Args:
        room: Its name, or that by which all rooms go that are to have one owner.
        peers: Those among which it is chosen.

    Source:
        Rendezvous hashing (Thaler and Ravishankar, 1998): the highest weight of room and sender together.
    """
    return max(peers, key=lambda peer: (_weight(room, peer.name), peer.number), default=None)


def name_of(team: Iterable[owning.Peer]) -> str:
    """Return by what a team is known: whoever leaves or joins makes it another one, and a restart does not."""
    return hashlib.sha256("\0".join(sorted(peer.name for peer in team)).encode()).hexdigest()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RoomUse:
    """Rooms that somebody's mail goes to.

    Attributes:
        namespace_uid: Whose mail it is.
        rooms: Of its server, and of its fallback.
    """

    namespace_uid: str
    rooms: AbstractSet[str]


def chosen(uses: Iterable[RoomUse], placed: Mapping[str, int], team: Sequence[owning.Peer]) -> Mapping[str, int]:
    """Return the number of the sender that should own each room.

    A server and its fallback should have the same owner, who alone knows whether the first one is dead; and so should
    all that are linked in that way. Of those the one that most namespaces use decides, and where it was placed among
    these senders it stays: what one namespace calls its fallback moves no server that others use, and links that come
    and go move each server once (R15).

    Args:
        uses: What mail goes to.
        placed: The owners of rooms, as far as they were chosen among these senders.
        team: The senders.
    """
    users: dict[str, set[str]] = {}
    together = _Together()
    for use in uses:
        for room in use.rooms:
            users.setdefault(room, set()).add(use.namespace_uid)
        together.link(use.rooms)
    numbers = {peer.number for peer in team}
    found: dict[str, int] = {}
    for rooms in together.groups():
        by_users = sorted(rooms, key=lambda room: (-len(users[room]), room))
        owner = next((placed[room] for room in by_users if placed.get(room) in numbers), None)
        if owner is None and (peer := preferred(by_users[0], team)) is not None:
            owner = peer.number
        if owner is not None:
            found |= dict.fromkeys(rooms, owner)
    return found


class _Together:
    """Rooms that are linked, over however many others."""

    def __init__(self) -> None:
        self._above: dict[str, str] = {}

    def link(self, rooms: AbstractSet[str]) -> None:
        tops = sorted({self._top(room) for room in rooms})
        for top in tops[1:]:
            self._above[top] = tops[0]

    def groups(self) -> Iterable[Sequence[str]]:
        found: dict[str, list[str]] = {}
        for room in self._above:
            found.setdefault(self._top(room), []).append(room)
        return found.values()

    def _top(self, room: str) -> str:
        while (above := self._above.setdefault(room, room)) != room:
            self._above[room] = room = self._above.get(above, above)
        return room


def _weight(room: str, name: str) -> bytes:
    # No name has this character.
    return hashlib.sha256(f"{name}\0{room}".encode()).digest()
