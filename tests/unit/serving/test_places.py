"""Who has a place, and who gives one up."""

import hypothesis
import pytest
from hypothesis import stateful
from hypothesis import strategies as st

from mailtier.serving import places

_TOTAL = 12
_RESERVE = 4
_PER_CLIENT = 5


class _Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class _Port:
    """Places whose connections end as soon as they are told to."""

    def __init__(self, *, total: int = _TOTAL, reserve: int = _RESERVE, per_client: int = _PER_CLIENT) -> None:
        self.clock = _Clock()
        self.places = places.Places(
            total=total, reserve=reserve, per_client=per_client, monotonic=self.clock, port="intake"
        )
        self.left: list[places.HeldPlace] = []
        self.here: list[places.HeldPlace] = []

    def connect(self, client: str) -> places.HeldPlace | None:
        """Return the place of a new connection."""
        found: list[places.HeldPlace] = []

        def leave() -> None:
            self.left.append(found[0])
            self.here.remove(found[0])

        place = self.places.take(client, leave)
        if place is not None:
            found.append(place)
            self.here.append(place)
        return place

    def of(self, client: str) -> list[places.HeldPlace]:
        """Return the places of an address."""
        return [place for place in self.here if place.client == client]


def test_a_newcomer_gets_the_place_of_whoever_has_the_most() -> None:
    """Four addresses that fill a port with idle connections shut out nobody: the one with the most makes room (R15)."""
    port = _Port(total=20, reserve=4, per_client=5)
    for client in ("a", "b", "c", "a", "b", "c", "a", "b", "c", "a", "b", "c", "a", "d", "d", "d"):
        assert port.connect(client) is not None
    assert port.connect("newcomer") is not None
    assert [place.client for place in port.left] == ["a"]
    assert port.left[0] not in port.here


def test_an_address_with_its_share_gives_up_its_own() -> None:
    """One address takes no more than its share, however much room there is, and its newest connections live."""
    port = _Port()
    opened = [port.connect("a") for _ in range(_PER_CLIENT + 2)]
    assert port.left == opened[:2]
    assert len(port.of("a")) == _PER_CLIENT


def test_the_reserve_is_for_whom_was_authenticated_lately() -> None:
    """Strangers, however many, leave the reserve to addresses that were let in within the last ten minutes (R15)."""
    port = _Port()
    friend = port.connect("friend")
    assert friend is not None
    port.places.prove(friend)
    port.places.give_back(friend)
    port.here.remove(friend)
    for number in range(_TOTAL):
        assert port.connect(f"stranger-{number}") is not None
    assert len(port.places) == _TOTAL - _RESERVE
    gone = len(port.left)
    for _ in range(_RESERVE):
        assert port.connect("friend") is not None
    assert len(port.left) == gone
    port.clock.now = places.REMEMBERED_SECONDS + 1
    assert port.connect("friend") is not None
    assert len(port.left) == gone + 1


def test_what_is_worked_on_is_not_ended() -> None:
    """Where every connection is busy a newcomer is refused, and has a place as soon as one of them is idle."""
    port = _Port(total=4, reserve=0, per_client=4)
    opened = [place for place in (port.connect("a"), port.connect("b"), port.connect("c"), port.connect("d")) if place]
    for place in opened:
        place.stage = places.Stage.BUSY
    assert port.connect("e") is None
    opened[2].stage = places.Stage.IDLE
    assert port.connect("e") is not None
    assert port.left == [opened[2]]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (places.Stage.OPENING, places.Stage.IDLE),
        (places.Stage.IDLE, places.Stage.READING),
    ],
)
def test_what_is_least_known_goes_first(one: places.Stage, other: places.Stage) -> None:
    """Of one address, what nobody was let in on goes before idle connections, and those before arriving bodies."""
    port = _Port()
    opened = [place for place in (port.connect("a") for _ in range(_PER_CLIENT)) if place]
    for place in opened:
        place.stage = other
    opened[-1].stage = one
    port.connect("a")
    assert port.left == [opened[-1]]


def test_the_reserve_is_less_than_all() -> None:
    """A reserve of everything would let nobody become known."""
    with pytest.raises(ValueError, match="reserve"):
        places.Places(total=4, reserve=4, per_client=1, monotonic=_Clock(), port="intake")


class Sequences(stateful.RuleBasedStateMachine):
    """Any order of comings, goings, stages and proofs."""

    def __init__(self) -> None:
        super().__init__()
        self.port = _Port()

    @stateful.rule(client=st.sampled_from("abcdefghijklmn"))
    def connect(self, client: str) -> None:
        """A newcomer with nothing is let in wherever somebody else has two that may end."""
        before = list(self.port.here)
        idle = [place for place in before if place.stage is not places.Stage.BUSY]
        counts = [sum(place.client == other for place in idle) for other in {place.client for place in idle}]
        came = self.port.connect(client)
        if not any(place.client == client for place in before) and len(idle) == len(before) and max(counts, default=0):
            assert came is not None
        if came is None:
            assert before == self.port.here
        assert all(place.stage is not places.Stage.BUSY for place in self.port.left)

    @stateful.precondition(lambda self: self.port.here)
    @stateful.rule(data=st.data(), stage=st.sampled_from(places.Stage))
    def move(self, data: st.DataObject, stage: places.Stage) -> None:
        """A connection is at another stage."""
        data.draw(st.sampled_from(self.port.here)).stage = stage

    @stateful.precondition(lambda self: self.port.here)
    @stateful.rule(data=st.data())
    def prove(self, data: st.DataObject) -> None:
        """Somebody is let in on a connection."""
        self.port.places.prove(data.draw(st.sampled_from(self.port.here)))

    @stateful.precondition(lambda self: self.port.here)
    @stateful.rule(data=st.data())
    def go(self, data: st.DataObject) -> None:
        """A connection ends; that it is told twice changes nothing."""
        place = data.draw(st.sampled_from(self.port.here))
        self.port.here.remove(place)
        self.port.places.give_back(place)
        self.port.places.give_back(place)

    @stateful.rule(seconds=st.sampled_from([1.0, places.REMEMBERED_SECONDS]))
    def wait(self, seconds: float) -> None:
        """Time passes."""
        self.port.clock.now += seconds

    @stateful.invariant()
    def bounds(self) -> None:
        """Nobody has more than its share, all together no more than there are, and the count is right."""
        assert len(self.port.places) == len(self.port.here) <= _TOTAL
        assert all(len(self.port.of(client)) <= _PER_CLIENT for client in "abcdefghijklmn")


TestSequences = Sequences.TestCase
TestSequences.settings = hypothesis.settings(max_examples=50, stateful_step_count=40, deadline=None)
