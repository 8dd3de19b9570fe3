"""Which of the senders that share a queue should own which room of a server; pure.

A server's connections, its rate and its breaker are one sender's to count, so that they hold for the sum of all. Who
that is follows from the room's name and the senders alone: each of them reckons it by itself, and all come to the same.
What is owned is another thing: the rows of the queue say it, and whoever should own a room waits for whoever does.
"""

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


def leaders(groups: Iterable[AbstractSet[str]]) -> Mapping[str, str]:
    """Return for each room that by whose name it is chosen who should own it.

    A server and its fallback should have the same owner, who alone knows whether the first one is dead; and so should
    all that are linked in that way.

    Args:
        groups: Rooms that go together.
    """
    found: dict[str, str] = {}

    def leader(room: str) -> str:
        while (above := found.setdefault(room, room)) != room:
            found[room] = room = found.get(above, above)
        return room

    for group in groups:
        tops = sorted({leader(room) for room in group})
        for top in tops[1:]:
            found[top] = tops[0]
    return {room: leader(room) for room in list(found)}


def _weight(room: str, name: str) -> bytes:
    # No name has this character.
    return hashlib.sha256(f"{name}\0{room}".encode()).digest()
