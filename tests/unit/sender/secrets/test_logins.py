"""Logins that were never seen to succeed: three refusals an hour, and one at a time (R12)."""

import contextlib
import json

import pytest

from kit import memories, sending
from mailtier.sender.secrets import logins

_HERE = logins.LoginPlace(namespace="team-a", server="smtp.example.com")
_ELSEWHERE = logins.LoginPlace(namespace="team-a", server="other.example.com")
_OTHER = logins.LoginPlace(namespace="team-b", server="smtp.example.com")


@pytest.fixture
def clock() -> sending.Clock:
    """Return a clock that can be set."""
    return sending.Clock()


async def test_three_refusals_hold_the_fourth_login_for_an_hour(clock: sending.Clock) -> None:
    """Counted for each namespace and server, and over when the first of the three is an hour old (R12)."""
    known = logins.Logins(clock.as_clock(), memories.Memory())
    begun = clock.wall()
    for _ in range(3):
        assert known.held_until(_HERE) is None
        await known.note_refusal(_HERE)
        clock.skipped_seconds += 600
    until = known.held_until(_HERE)
    assert until is not None
    assert 3590 <= (until - begun).total_seconds() <= 3610
    assert known.held_until(_ELSEWHERE) is None
    assert known.held_until(_OTHER) is None
    clock.skipped_seconds += 1800 + 10
    assert known.held_until(_HERE) is None


async def test_what_was_refused_is_remembered_by_the_next_process(clock: sending.Clock) -> None:
    """To end the sender buys no further guesses (R12)."""
    memory = memories.Memory()
    known = logins.Logins(clock.as_clock(), memory)
    for _ in range(3):
        await known.note_refusal(_HERE)
    again = logins.Logins(clock.as_clock(), memory)
    await again.load()
    assert again.held_until(_HERE) == known.held_until(_HERE) is not None


@pytest.mark.parametrize("kept", ["", "{", '[["a"]]', '{"smtp.example.com": ["yesterday"]}', "null"])
async def test_a_memory_that_cannot_be_read_stops_nothing(clock: sending.Clock, kept: str) -> None:
    """What is kept is a help, and no part of what has to be there."""
    memory = memories.Memory()
    memory.kept["logins.refused/team-a"] = kept
    known = logins.Logins(clock.as_clock(), memory)
    await known.load()
    assert known.held_until(_HERE) is None


async def test_a_namespace_is_refused_at_so_many_servers(clock: sending.Clock) -> None:
    """Whose Secrets name one server after the other fills its own share, and waits at further ones (R12, R15)."""
    known = logins.Logins(clock.as_clock(), memories.Memory())
    for number in range(logins.SERVERS):
        await known.note_refusal(logins.LoginPlace(namespace="team-a", server=f"{number}.example.com"))
        clock.skipped_seconds += 1
    until = known.held_until(_HERE)
    assert until is not None
    assert 3600 - 70 < (until - clock.wall()).total_seconds() < 3600
    first = logins.LoginPlace(namespace="team-a", server="0.example.com")
    with known.trying(_HERE) as here, known.trying(first) as there, known.trying(_OTHER) as others:
        assert (here, there, others) == (False, True, True)
    assert known.held_until(first) is known.held_until(_OTHER) is None
    clock.skipped_seconds += (until - clock.wall()).total_seconds() + 0.5
    assert known.held_until(_HERE) is None
    with known.trying(_HERE) as here:
        assert here


def test_logins_under_way_count_among_the_servers(clock: sending.Clock) -> None:
    """A hundred servers that are tried in the same moment are as many as may refuse (R15)."""
    known = logins.Logins(clock.as_clock(), memories.Memory())
    with contextlib.ExitStack() as stack:
        places = [logins.LoginPlace(namespace="team-a", server=f"{number}.example.com") for number in range(100)]
        assert [stack.enter_context(known.trying(place)) for place in places].count(True) == logins.SERVERS


async def test_a_refusal_is_kept_by_itself(clock: sending.Clock) -> None:
    """What is written at a refusal is of its server and namespace alone, and is forgotten after an hour (R15)."""
    memory = memories.Memory()
    known = logins.Logins(clock.as_clock(), memory)
    await known.note_refusal(_OTHER)
    kept = dict(memory.kept)
    for number in range(20):
        await known.note_refusal(logins.LoginPlace(namespace="team-a", server=f"{number}.example.com"))
    assert len(memory.kept) == 21
    assert kept.items() < memory.kept.items()
    assert len({len(text) for text in memory.kept.values()}) <= 3
    clock.skipped_seconds += 3700
    again = logins.Logins(clock.as_clock(), memory)
    await again.load()
    assert memory.kept == {}
    await known.note_refusal(_OTHER)
    assert list(known._refused) == ["team-b"]
    assert len(memory.kept) == 1


async def test_what_other_senders_were_refused_counts(clock: sending.Clock) -> None:
    """Two that write to one memory lose nothing of each other's, and reading it again counts nothing twice (R12)."""
    memory = memories.Memory()
    one, other = logins.Logins(clock.as_clock(), memory), logins.Logins(clock.as_clock(), memory)
    for _ in range(logins.REFUSALS):
        await one.note_refusal(_HERE)
    await other.note_refusal(_ELSEWHERE)
    for _ in range(2):
        await other.load()
    assert other.held_until(_HERE) is not None
    assert other.held_until(_ELSEWHERE) is None
    again = logins.Logins(clock.as_clock(), memory)
    await again.load()
    assert again.held_until(_HERE) is not None


async def test_refusals_that_a_version_before_kept_are_read(clock: sending.Clock) -> None:
    """It kept those of all servers of a namespace together."""
    memory = memories.Memory()
    at = [clock.wall().isoformat() for _ in range(logins.REFUSALS)]
    memory.kept[f"logins.refused/{_HERE.namespace}"] = json.dumps({_HERE.server: at})
    known = logins.Logins(clock.as_clock(), memory)
    await known.load()
    assert known.held_until(_HERE) is not None
    assert known.held_until(_ELSEWHERE) is None


def test_one_login_of_a_namespace_at_a_time(clock: sending.Clock) -> None:
    """While a server thinks about one, others of the namespace hold no connection there (R12)."""
    known = logins.Logins(clock.as_clock(), memories.Memory())
    told: list[str] = []
    first = known.begin(_HERE, at_once=5)
    assert first is not None
    assert known.begin(_HERE, at_once=5) is None
    assert known.begin(_ELSEWHERE, at_once=5) is not None
    known.when_over(_HERE.server, lambda: told.append("over"))
    first.give_back()
    first.give_back()
    assert told == ["over"]
    assert known.begin(_HERE, at_once=5) is not None


def test_logins_of_all_namespaces_leave_a_server_connections(clock: sending.Clock) -> None:
    """A hundred namespaces with wrong passwords hold no more of a server than it is told they may (R12)."""
    known = logins.Logins(clock.as_clock(), memories.Memory())
    places = [logins.LoginPlace(namespace=f"team-{number}", server="") for number in range(100)]
    tickets = [known.begin(place, at_once=2) for place in places]
    assert [ticket is not None for ticket in tickets].count(True) == 2
    for ticket in tickets:
        if ticket is not None:
            ticket.give_back()
    assert known.begin(places[50], at_once=2) is not None


async def test_logins_under_way_may_be_refused_as_well(clock: sending.Clock) -> None:
    """Ten names of one server that are tried in the same moment are three logins at most (R12)."""
    known = logins.Logins(clock.as_clock(), memories.Memory())
    with known.trying(_HERE) as first, known.trying(_HERE) as second, known.trying(_HERE) as third:
        assert (first, second, third) == (True, True, True)
        with known.trying(_HERE) as fourth, known.trying(_OTHER) as others:
            assert (fourth, others) == (False, True)
        await known.note_refusal(_HERE)
    with known.trying(_HERE) as again:
        assert again
