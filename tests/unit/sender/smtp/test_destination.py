"""Slots of a destination, and what its users share."""

import asyncio
import dataclasses
import socket

import pytest

from kit import memories, sending, written
from mailtier.api import vocabulary
from mailtier.sender.net import faults, handshakes, resolver, tls
from mailtier.sender.secrets import credentials
from mailtier.sender.smtp import destinations
from mailtier.sender.smtp.sessions import opening
from mailtier.settings import effective

_ENDPOINT = effective.Endpoint(
    host="smtp.example.com",
    port=587,
    tls=sending.PLAIN,
    addresses=sending.PUBLIC,
    origin=vocabulary.Origin.ORG,
    is_host_s=False,
)


def _destinations(clock: sending.Clock) -> destinations.Destinations:
    made = destinations.Destinations(
        helo_name="sender.test",
        names=resolver.Resolver(),
        opener=opening.Opener(tls.Contexts(written.WrittenSettings())),
        time=clock.as_clock(),
        host=lambda: None,
        memory=memories.Memory(),
    )
    made.listen(lambda _key: None, lambda _key: None)
    return made


@pytest.fixture
async def in_use() -> destinations.Destinations:
    """Return destinations that nothing was connected to yet."""
    return _destinations(sending.Clock())


async def test_a_probe_that_is_given_up_gets_no_slot(in_use: destinations.Destinations) -> None:
    """A slot that becomes free in the moment in which a waiting probe is cancelled goes to the next one."""
    target = in_use.get(sending.settings("team-a", _ENDPOINT, max_connections=1))
    slot = target.reserve()
    assert slot is not None
    given_up, patient = (asyncio.create_task(target.reserve_for_probe("team-a")) for _ in range(2))
    await asyncio.sleep(0)
    given_up.cancel()
    target.give_back_unused(slot)
    target.give_back_unused(await patient)
    with pytest.raises(asyncio.CancelledError):
        await given_up
    assert target.busy == 0
    assert target.reserve() is not None


async def test_destinations_of_a_server_share_what_it_said_of_credentials(
    in_use: destinations.Destinations,
) -> None:
    """Organizations that want different limits are several destinations, but one login to the server (R12)."""
    one, other = (in_use.get(sending.settings("team-a", _ENDPOINT, max_connections=number)) for number in (1, 2))
    generation = credentials.ANONYMOUS.generation
    assert one is not other
    assert one.auth_state(generation) is other.auth_state(generation)


def _named(host: str, *, mode: vocabulary.TlsMode = vocabulary.TlsMode.DISABLED) -> effective.Endpoint:
    return dataclasses.replace(_ENDPOINT, host=host, tls=dataclasses.replace(sending.PLAIN, mode=mode))


async def test_many_names_of_a_namespace_are_one_owner_of_handshakes(
    in_use: destinations.Destinations, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who names ten servers and logs in nowhere has one share of the threads, as with one server (R15)."""
    owners: list[str] = []

    async def connect(
        _self: handshakes.Handshakes, _sock: socket.socket, _context: object, *, owner: str, **_others: object
    ) -> handshakes.Secured:
        owners.append(owner)
        raise handshakes.HandshakeError(handshakes.HandshakeCause.ENDED)

    monkeypatch.setattr(handshakes.Handshakes, "connect", connect)
    with socket.create_server(("", 0)) as listener:
        for organization in ("team-a", "team-b"):
            for number in range(5):
                name = _named(f"127.0.0.{number + 1}", mode=vocabulary.TlsMode.IMPLICIT)
                at = dataclasses.replace(name, port=listener.getsockname()[1], addresses=sending.LOOPBACK)
                target = in_use.get(sending.settings(organization, at))
                slot = target.reserve()
                assert slot is not None
                with pytest.raises(faults.DeliveryError):
                    await target.sessions.get(slot, credentials.ANONYMOUS, payer=organization)
    assert owners == ["team-a"] * 5 + ["team-b"] * 5


async def test_a_namespace_begins_so_many_openings_within_half_a_second(in_use: destinations.Destinations) -> None:
    """An opening that fails at once takes its slot for a while: what each costs the loop is bounded as well (R15)."""
    target = in_use.get(sending.settings("team-a", _ENDPOINT))
    for _ in range(opening._CONCURRENT_PER_NAMESPACE):
        (await target.sessions.take_room("team-a")).give_back()
    begun = asyncio.create_task(target.sessions.take_room("team-a"))
    (await target.sessions.take_room("team-b")).give_back()
    await asyncio.sleep(0)
    assert not begun.done()
    async with asyncio.timeout(30):
        (await begun).give_back()


async def test_accounts_at_a_provider_are_no_neighbours(in_use: destinations.Destinations) -> None:
    """A provider that counts connections by account gives each namespace its own; other servers count all (R15)."""
    at_provider, at_server = _named("smtp.gmail.com"), _named("smtp.example.com")
    one, other = (in_use.get(sending.settings(team, at_provider)).at.seat.room for team in ("team-a", "team-b"))
    assert one is not other
    one, other = (in_use.get(sending.settings(team, at_server)).at.seat.room for team in ("team-a", "team-b"))
    assert one is other


async def test_when_a_slot_is_asked_for_again(in_use: destinations.Destinations) -> None:
    """At the time that the rate allows; soon where another had its turn, as nobody tells; never without a rate."""
    time = sending.Clock()
    free = in_use.get(sending.settings("team-a", _ENDPOINT))
    assert free.again_at() <= time.monotonic()
    paced = in_use.get(sending.settings("team-a", _ENDPOINT, endpoint_rate_per_minute=1))
    assert 0 < paced.again_at() - time.monotonic() <= 1
    slot = paced.reserve()
    assert slot is not None
    slot.pace.count()
    assert 30 < paced.again_at() - time.monotonic() <= 60
    assert paced.at.awaited_rate() == 1
    slot.pace.refund()
    assert paced.at.awaited_rate() is None


async def test_edits_leave_few_destinations_behind(in_use: destinations.Destinations) -> None:
    """Of what a namespace has named, the newest few stay, what is needed, and all that is another's (R15)."""
    awaited = in_use.get(sending.settings("team-a", _named("awaited.example.com")))
    probed = in_use.get(sending.settings("team-a", _named("probed.example.com")))
    held = in_use.get(sending.settings("team-a", _named("held.example.com")))
    slot = held.reserve()
    assert slot is not None
    other = in_use.get(sending.settings("team-b", _named("other.example.com")))
    with probed.in_use():
        for number in range(1000):
            edited = in_use.get(sending.settings("team-a", _named(f"smtp-{number}.example.com")))
            if in_use.is_crowded:
                in_use.prune(keep={awaited.key, edited.key})
        in_use.prune(keep={awaited.key})
        needed = {awaited.key, probed.key, held.key, other.key}
        assert needed <= {each.key for each in in_use}
        assert len(in_use) == len(needed) + in_use._UNUSED_PER_PARTY
        assert in_use.find(edited.key) is edited
        assert len(in_use._around.rooms) == len(in_use)
    held.give_back_unused(slot)


async def test_a_destination_that_nobody_uses_is_forgotten_after_an_hour() -> None:
    """What is needed once is not kept for ever, however few there are."""
    clock = sending.Clock()
    known = _destinations(clock)
    kept, left = (known.get(sending.settings("team-a", _named(f"{name}.example.com"))) for name in ("kept", "left"))
    clock.skipped_seconds += known._FORGOTTEN_SECONDS + 1
    known.prune(keep={kept.key})
    assert [each.key for each in known] == [kept.key]
    assert known.find(left.key) is None


async def test_mail_does_not_wait_until_all_endpoints_were_looked_at(in_use: destinations.Destinations) -> None:
    """A look at a thousand endpoints lets whatever waits for the event loop go first, again and again."""
    for number in range(1_000):
        in_use.get(
            sending.settings(f"team-{number}", dataclasses.replace(_ENDPOINT, host=f"smtp-{number}.example.com"))
        )
    looking = asyncio.create_task(in_use.sweep(asyncio.ensure_future))
    turns = 0
    while not looking.done():
        await asyncio.sleep(0)
        turns += 1
    assert turns >= 10
    assert await looking == set()
