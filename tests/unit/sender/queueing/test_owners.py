"""Which sender should own which room."""

import collections

import hypothesis
from hypothesis import strategies

from mailtier.sender.between import owning
from mailtier.sender.queueing import owners

_NAMES = strategies.text(alphabet="abcdefghijklmnopqrstuvwxyz0123456789.:/-", max_size=30)
_ROOMS = strategies.sets(_NAMES, max_size=40)
_TEAM = strategies.sets(_NAMES, min_size=1, max_size=8)


def _peers(names: collections.abc.Iterable[str]) -> list[owning.Peer]:
    return [owning.Peer(number=number, name=name, shares=True) for number, name in enumerate(sorted(names), start=1)]


def _owners(rooms: collections.abc.Iterable[str], peers: list[owning.Peer]) -> dict[str, str]:
    chosen = {room: owners.preferred(room, peers) for room in rooms}
    return {room: peer.name for room, peer in chosen.items() if peer is not None}


@hypothesis.given(rooms=_ROOMS, names=_TEAM, shuffled=strategies.randoms())
def test_every_room_has_one_owner(rooms: set[str], names: set[str], shuffled: object) -> None:
    """Whoever reckons it, with whatever order of the senders, comes to the same one of them."""
    peers = _peers(names)
    found = _owners(rooms, peers)
    assert found.keys() == rooms
    assert set(found.values()) <= names
    shuffled.shuffle(peers)  # type: ignore[attr-defined]  # hypothesis' random.Random.
    assert _owners(rooms, peers) == found


@hypothesis.given(rooms=_ROOMS, names=_TEAM, name=_NAMES)
def test_a_sender_moves_its_share_alone(rooms: set[str], names: set[str], name: str) -> None:
    """One that comes takes some, and nothing moves between others; one that goes leaves its own, and no more moves."""
    hypothesis.assume(name not in names)
    before, after = _owners(rooms, _peers(names)), _owners(rooms, _peers(names | {name}))
    assert {after[room] for room in rooms if after[room] != before[room]} <= {name}


def test_rooms_are_shared_out_evenly() -> None:
    """Of many rooms each of four senders should own about a quarter."""
    peers = _peers({f"mailtier-{number}" for number in range(4)})
    counts = collections.Counter(_owners((f"/smtp-{number}.example.org" for number in range(2_000)), peers).values())
    assert len(counts) == 4
    assert min(counts.values()) > 400


def test_a_sender_that_starts_again_should_own_the_same() -> None:
    """The name counts, and not the number, which each life has anew."""
    rooms = [f"/smtp-{number}.example.org" for number in range(100)]
    former = _peers({"mailtier-0", "mailtier-1"})
    again = [former[1], owning.Peer(number=9, name="mailtier-0", shares=True)]
    assert _owners(rooms, former) == _owners(rooms, again)


def test_without_senders_nobody_owns() -> None:
    """There is nobody to choose."""
    assert owners.preferred("/smtp.example.org", []) is None


def test_beside_one_that_does_not_look_the_oldest_owns_everything() -> None:
    """It delivers whatever is queued once it is the oldest, so that no younger one may deliver beside it."""
    one, other = _peers({"mailtier-0", "mailtier-1"})
    former = owning.Peer(number=2, name="mailtier-9", shares=False)
    assert owners.sharing([other, one]) == [one, other]
    assert owners.sharing([former, owning.Peer(number=3, name="mailtier-1", shares=True), one]) == [one]
    assert owners.sharing([former, owning.Peer(number=3, name="mailtier-1", shares=True)]) == [former]
    assert owners.sharing([]) == []


@hypothesis.given(groups=strategies.lists(strategies.sets(_NAMES, max_size=4), max_size=20))
def test_what_goes_together_has_one_leader(groups: list[set[str]]) -> None:
    """Rooms that any group links have the same leader, which is one of them and the first of all; others have not."""
    found = owners.leaders(groups)
    linked: list[set[str]] = []
    for group in filter(None, groups):
        together = set(group).union(*(each for each in linked if each & group))
        linked = [each for each in linked if not each & group] + [together]
    assert found == {room: min(each) for each in linked for room in each}
