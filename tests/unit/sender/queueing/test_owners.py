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


_USES = strategies.lists(
    strategies.builds(
        owners.RoomUse,
        namespace_uid=strategies.sampled_from(["a", "b", "c", "d"]),
        rooms=strategies.sets(strategies.sampled_from("123456789"), min_size=1, max_size=2),
    ),
    max_size=20,
)


def _linked(uses: list[owners.RoomUse]) -> list[set[str]]:
    linked: list[set[str]] = []
    for use in uses:
        together = set(use.rooms).union(*(each for each in linked if each & use.rooms))
        linked = [each for each in linked if not each & use.rooms] + [together]
    return linked


@hypothesis.given(uses=_USES, names=_TEAM, shuffled=strategies.randoms())
def test_what_goes_together_has_one_owner(uses: list[owners.RoomUse], names: set[str], shuffled: object) -> None:
    """Rooms that any mail links have the same owner, whoever reckons it, with uses and senders in whatever order."""
    peers = _peers(names)
    found = owners.chosen(uses, {}, peers)
    assert found.keys() == {room for use in uses for room in use.rooms}
    assert all(len({found[room] for room in each}) == 1 for each in _linked(uses))
    shuffled.shuffle(uses)  # type: ignore[attr-defined]  # hypothesis' random.Random.
    shuffled.shuffle(peers)  # type: ignore[attr-defined]  # hypothesis' random.Random.
    assert owners.chosen(uses, {}, peers) == found


@hypothesis.given(before=_USES, after=_USES, names=_TEAM)
def test_links_that_come_and_go_move_each_server_once(
    before: list[owners.RoomUse], after: list[owners.RoomUse], names: set[str]
) -> None:
    """What was linked stays with its owner when it is not any more, and moves not at all when it is again (R15)."""
    peers = _peers(names)
    placed = owners.chosen(before, {}, peers)
    together = owners.chosen([*before, *after], placed, peers)
    assert owners.chosen(before, together, peers) == {room: together[room] for room in placed}
    assert owners.chosen([*before, *after], together, peers) == together


@hypothesis.given(
    room=_NAMES, fallbacks=strategies.sets(_NAMES, min_size=1, max_size=8), names=_TEAM, placed=strategies.randoms()
)
def test_a_server_that_others_use_is_moved_by_nobody_s_fallback(
    room: str, fallbacks: set[str], names: set[str], placed: object
) -> None:
    """Whatever one namespace calls its fallbacks, wherever those were placed, the server stays where it was (R15)."""
    peers = _peers(names)
    others = [owners.RoomUse(namespace_uid=namespace, rooms={room}) for namespace in ("one", "two")]
    before = owners.chosen(others, {}, peers)
    everywhere = {name: placed.choice(peers).number for name in fallbacks}  # type: ignore[attr-defined]
    for known in ({}, before, everywhere | before):
        for name in fallbacks:
            linked = [*others, owners.RoomUse(namespace_uid="one", rooms={room, name})]
            assert owners.chosen(linked, known, peers)[room] == before[room]


def test_what_was_placed_at_a_sender_that_is_gone_is_chosen_anew() -> None:
    """A number that nobody has any more counts for nothing."""
    (peer,) = _peers({"mailtier-0"})
    uses = [owners.RoomUse(namespace_uid="one", rooms={"/smtp.example.org"})]
    assert owners.chosen(uses, {"/smtp.example.org": peer.number + 1}, [peer]) == {"/smtp.example.org": peer.number}
    assert owners.chosen(uses, {}, []) == {}


def test_a_team_is_known_by_the_names_in_it() -> None:
    """One that starts again is the same, and one more or less makes another."""
    one, two = _peers({"mailtier-0", "mailtier-1"})
    again = owning.Peer(number=9, name="mailtier-0", shares=True)
    assert owners.name_of([one, two]) == owners.name_of([two, again])
    assert len({owners.name_of(team) for team in ([one], [two], [one, two], [])}) == 4
