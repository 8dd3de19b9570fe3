"""How many connections a server has, and whose turn it is (R15)."""

import asyncio
import typing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailtier.sender.net import resolver
from mailtier.sender.smtp.servers import rooms, server_room
from mailtier.sender.smtp.sessions import session

Told = list[server_room.Seat]


def _seat(
    room: server_room.ServerRoom,
    party: str = "team-a",
    most: int = 3,
    told: Told | None = None,
    is_paced: typing.Callable[[], bool] = lambda: False,
) -> server_room.Seat:
    holder: Told = []
    seat = server_room.Seat(
        room,
        party=party,
        most=most,
        on_turn=lambda: told.append(holder[0]) if told is not None else None,
        is_paced=is_paced,
    )
    holder.append(seat)
    return seat


def _take(seat: server_room.Seat) -> bool:
    """Take a slot if it is to be had."""
    if not seat.room.offer(seat):
        return False
    seat.room.take(seat)
    return True


def test_seats_of_one_server_share_its_cap() -> None:
    """Twelve destinations of a namespace at one server have no more connections than one of them (R15)."""
    room = rooms.Rooms().named("", "smtp.example.com")
    seats = [_seat(room) for _ in range(12)]
    assert sum(_take(seat) for _ in range(4) for seat in seats) == 3


def test_the_host_s_cap_is_the_host_s() -> None:
    """What a guest says of connections does not raise it (R15)."""
    room = rooms.Rooms().host
    room.cap = 2
    guest = _seat(room, most=100)
    assert [_take(guest) for _ in range(3)] == [True, True, False]


def test_nobody_raises_another_s_number() -> None:
    """A namespace that says a hundred lets no other have more than the three that it says itself (R15)."""
    room = rooms.Rooms().named("", "smtp.example.com")
    greedy, modest = _seat(room, "greedy", most=100), [_seat(room, "modest", most=3) for _ in range(5)]
    assert sum(_take(seat) for _ in range(3) for seat in modest) == 3
    assert sum(_take(greedy) for _ in range(100)) == 97


@pytest.mark.parametrize("cap", [1, 2, 3, 8])
def test_guests_of_the_host_s_server_have_half_while_the_host_waits(cap: int) -> None:
    """Twelve namespaces that name the host's server hold half of it at most, as soon as they may be asked (R15)."""
    room = rooms.Rooms().host
    room.cap = cap
    home, guests = (
        _seat(room, server_room.HOST, most=cap),
        [_seat(room, f"team-{number}", most=9) for number in range(12)],
    )
    while any(_take(guest) for guest in guests):
        pass
    assert sum(guest.busy for guest in guests) == cap
    assert not _take(home)
    hosts, guests_held = [], []
    for _ in range(20 * cap):
        for guest in guests:
            if guest.busy and room.must_yield(guest):
                room.give_back(guest)
                _take(home)
        hosts.append(home.busy)
        if not _take(home):
            guests_held.append(sum(guest.busy for guest in guests))
        if home.busy and room.must_yield(home):
            room.give_back(home)
        for guest in guests:
            _take(guest)
    half = max(1, cap // 2)
    assert max(guests_held[cap:]) <= half
    # With one connection alone they have it in turns.
    assert sum(hosts[cap:]) >= len(hosts[cap:]) * max(cap - half, 0.5)


def test_a_namespace_has_half_while_another_waits() -> None:
    """At somebody else's server as well, however many endpoints it names there (R15)."""
    room = rooms.Rooms().named("", "smtp.example.com")
    greedy, other = [_seat(room, "greedy", most=4) for _ in range(6)], _seat(room, "other", most=4)
    while any(_take(seat) for seat in greedy):
        pass
    assert not _take(other)
    for _ in range(2):
        yielding = next(seat for seat in greedy if seat.busy and room.must_yield(seat))
        room.give_back(yielding)
        assert not any(_take(seat) for seat in greedy)
        assert _take(other)
        _take(other)
    assert not any(room.must_yield(seat) for seat in greedy if seat.busy)


def test_whoever_gives_up_lets_the_next_one_know() -> None:
    """A slot that becomes free, or a turn that nobody takes, is told to whoever waits."""
    told: Told = []
    room = rooms.Rooms().named("", "smtp.example.com")
    first, second, third = (_seat(room, f"team-{number}", most=1, told=told) for number in range(3))
    assert _take(first)
    assert not _take(second)
    assert not _take(third)
    room.give_back(first)
    assert told[0] is second
    told.clear()
    room.want_nothing(second)
    assert told == [third]
    assert _take(third)


def test_whose_turn_it_is_hears_of_it_from_whoever_has_to_wait() -> None:
    """A destination that wants nothing any more, and has not said so, is asked: it stops nobody."""
    told: Told = []
    room = rooms.Rooms().named("", "smtp.example.com")
    busy, stale, other = (_seat(room, f"team-{number}", most=1, told=told) for number in range(3))
    assert _take(busy)
    assert not _take(stale)
    room.give_back(busy)
    told.clear()
    assert not _take(other)
    assert told == [stale]
    told.clear()
    room.want_nothing(stale)
    assert told == [other]


def test_whoever_finds_its_namespace_s_part_taken_hears_when_it_is_not() -> None:
    """Two endpoints of a namespace at one server: what one gives back the other may have, and learns of it."""
    told: Told = []
    room = rooms.Rooms().host
    room.cap = 3
    busy, other = _seat(room, most=1), _seat(room, most=1, told=told)
    assert _take(busy)
    assert not _take(other)
    told.clear()
    room.give_back(busy)
    assert told == [other]
    assert _take(other)


def _addresses(*hosts: str) -> list[resolver.Address]:
    return [resolver.Address(family=0, literal=host) for host in hosts]  # type: ignore[arg-type]


def test_names_of_a_namespace_that_are_one_server_share_a_room() -> None:
    """By whichever address, unwrapped; and then nothing but that server's addresses are used (R15)."""
    known = rooms.Rooms()
    first, alias = known.named("", "mx.example.com"), known.named("", "alias.example.com")
    _seat(first)
    here = _addresses("203.0.113.5")
    assert known.addressed(first, here, scope="", party="team-a") == (first, here)
    mixed = _addresses("203.0.113.99", "::ffff:203.0.113.5")
    assert known.addressed(alias, mixed, scope="", party="team-a") == (first, mixed[1:])


def test_no_name_leads_into_the_room_of_a_stranger() -> None:
    """Whoever owns a name could have it answer with another tenant's address, and hold connections there (R15)."""
    known = rooms.Rooms()
    victim, evil = known.named("", "mx.example.com"), known.named("", "evil.example")
    _seat(victim)
    known.addressed(victim, _addresses("203.0.113.5"), scope="", party="team-a")
    mixed = _addresses("203.0.113.5", "203.0.113.99")
    assert known.addressed(evil, mixed, scope="", party="evil") == (evil, mixed)


async def _waiting(seat: server_room.Seat, namespace: str, count: int = 1) -> list[asyncio.Task[None]]:
    """Return probes of a namespace that wait for a slot."""
    probes = [asyncio.create_task(seat.room.wait(seat, namespace)) for _ in range(count)]
    await asyncio.sleep(0)
    return probes


async def _served(probes: list[asyncio.Task[None]]) -> int:
    """Return how many probes have a slot."""
    for _ in range(3):
        await asyncio.sleep(0)
    return sum(probe.done() for probe in probes)


async def test_probes_and_deliveries_have_one_connection_in_turns() -> None:
    """However many probes wait, every second slot is a delivery's while one wants it (R15)."""
    room = rooms.Rooms().host
    room.cap = 1
    seat = _seat(room, server_room.HOST, most=1)
    assert _take(seat)
    probes = await _waiting(seat, "busy", 20)
    for served in range(1, 6):
        assert not _take(seat)
        assert room.is_urgent(seat)
        room.give_back(seat)
        assert await _served(probes) == served
        assert not _take(seat)
        room.give_back(seat, of_probe=True)
        assert await _served(probes) == served
        assert _take(seat)
    # Nobody wants one any more: the probes go on alone.
    room.give_back(seat)
    for served in range(6, 10):
        assert await _served(probes) == served
        room.give_back(seat, of_probe=True)
    for probe in probes:
        probe.cancel()


@pytest.mark.parametrize("cap", [2, 3, 8])
async def test_probes_hold_half_of_a_server_while_a_delivery_wants_more(cap: int) -> None:
    """The other half is for mail, and what deliveries do not want the probes have (R15)."""
    room = rooms.Rooms().host
    room.cap = cap
    seat = _seat(room, server_room.HOST, most=cap)
    probes = await _waiting(seat, "busy", 50)
    assert await _served(probes) == cap
    for _ in range(cap - cap // 2):
        assert not _take(seat)
        room.give_back(seat, of_probe=True)
        assert await _served(probes) == cap
        assert _take(seat)
    assert not _take(seat)
    room.give_back(seat, of_probe=True)
    assert await _served(probes) == cap + 1
    assert not room.is_urgent(seat)
    for probe in probes:
        probe.cancel()


async def test_probes_of_namespaces_come_in_turn() -> None:
    """A namespace with one probe waits for one of another's, not for all of them (R15)."""
    room = rooms.Rooms().host
    room.cap = 1
    seat = _seat(room, server_room.HOST, most=1)
    assert _take(seat)
    busy, other = await _waiting(seat, "busy", 10), await _waiting(seat, "other")
    room.give_back(seat)
    assert (await _served(busy), await _served(other)) == (1, 0)
    room.give_back(seat, of_probe=True)
    assert (await _served(busy), await _served(other)) == (1, 1)
    for probe in busy:
        probe.cancel()


async def test_a_delivery_that_wants_nothing_any_more_lets_probes_go_on() -> None:
    """Whoever had wanted a slot, and withdraws, stops no probe."""
    room = rooms.Rooms().host
    room.cap = 1
    seat = _seat(room, server_room.HOST, most=1)
    assert _take(seat)
    probes = await _waiting(seat, "busy", 2)
    assert not _take(seat)
    room.give_back(seat)
    assert await _served(probes) == 1
    assert not _take(seat)
    room.give_back(seat, of_probe=True)
    assert await _served(probes) == 1
    room.want_nothing(seat)
    assert await _served(probes) == 2


async def test_a_session_stays_open_for_the_probe_that_has_the_slot_next() -> None:
    """A slot handed to a probe is no connection yet: three probes that end at once leave three sessions to others."""
    room = rooms.Rooms().named("", "smtp.example.com")
    seat = _seat(room)
    for number in range(3):
        await room.wait(seat, f"team-{number}")
    waiting = [asyncio.create_task(room.wait(seat, f"team-{number}")) for number in range(3, 7)]
    await asyncio.sleep(0)
    for _ in range(3):
        assert room.keep(seat, typing.cast("session.Session", object()))
        room.give_back(seat, of_probe=True)
    await asyncio.gather(*waiting[:3])
    assert not room.keep(seat, typing.cast("session.Session", object())), "they may have connections by now"
    for _ in range(3):
        room.give_back(seat, of_probe=True)
    await asyncio.gather(*waiting)


async def test_a_probe_that_is_given_up_gives_its_slot_back() -> None:
    """Whether it waits or was served in that moment, the next one has the slot."""
    room = rooms.Rooms().host
    room.cap = 1
    seat = _seat(room, server_room.HOST, most=1)
    assert _take(seat)
    first, second, third = await _waiting(seat, "busy", 3)
    second.cancel()
    room.give_back(seat)
    first.cancel()
    assert await _served([third]) == 1
    assert not third.cancelled()
    assert room.busy == 1
    assert not room.is_awaited(seat)


_STEPS = st.lists(st.tuples(st.sampled_from(["take", "give", "withdraw", "allow"]), st.integers(0, 5)), max_size=60)


@given(steps=_STEPS, cap=st.none() | st.integers(1, 4), mosts=st.lists(st.integers(1, 5), min_size=6, max_size=6))
def test_no_number_is_ever_exceeded(steps: typing.Any, cap: int | None, mosts: list[int]) -> None:
    """Whatever is done in whichever order, server, namespace and endpoint keep their numbers (R15)."""
    room = rooms.Rooms().named("", "smtp.example.com")
    room.cap = cap
    parties = ("a", "a", "b", "b", server_room.HOST, "c")
    seats = [_seat(room, party, most) for party, most in zip(parties, mosts, strict=True)]
    for step, number in steps:
        seat = seats[number]
        before = room.busy
        if step == "take" and _take(seat):
            assert before < room.limit
            assert seat.busy <= seat.most
        elif step == "give" and seat.busy:
            room.give_back(seat)
        elif step == "withdraw":
            room.want_nothing(seat)
        elif step == "allow":
            seat.allow(number + 1)
        assert room.busy == sum(each.busy for each in seats)


def test_who_waits_for_its_rate_keeps_nobody_waiting() -> None:
    """Another namespace at the same server goes on, to the last connection, and whoever was first is first again."""
    room, paced = rooms.Rooms().named("", "smtp.example.com"), True
    slow, quick = _seat(room, "slow", is_paced=lambda: paced), _seat(room, "quick")
    assert not _take(slow)
    assert [_take(quick) for _ in range(3)] == [True, True, True]
    assert not room.must_yield(quick)
    paced = False
    assert room.must_yield(quick)
    room.give_back(quick)
    assert not _take(quick)
    assert _take(slow)


def test_destinations_that_wait_for_one_rate_take_turns() -> None:
    """Whoever asks first when the rate allows a message, the turns go round."""
    room, paced = rooms.Rooms().host, False
    room.cap = 3
    seats = [_seat(room, party, is_paced=lambda: paced) for party in (server_room.HOST, "team-a", "team-b")]
    went: list[str] = []
    for _ in range(12):
        paced = True
        assert not any(_take(seat) for seat in seats)
        paced = False
        for seat in (*seats, *seats, *seats):
            if _take(seat):
                went.append(seat.party)
                room.give_back(seat)
                break
    assert {party: went.count(party) for party in set(went)} == {server_room.HOST: 6, "team-a": 3, "team-b": 3}


def test_what_counts_messages_belongs_to_the_owner() -> None:
    """On the host's server all parties count together, elsewhere each namespace by itself (R15)."""
    every = rooms.Rooms()
    assert every.host.meter("team-a") is every.host.meter(server_room.HOST)
    room = every.named("", "smtp.example.com")
    assert room.meter("team-a") is room.meter("team-a")
    assert room.meter("team-a") is not room.meter("team-b")
    assert every.named("", "smtp.example.org").meter("team-a") is not room.meter("team-a")
