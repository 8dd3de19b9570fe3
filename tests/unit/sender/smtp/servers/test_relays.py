"""By which addresses the host's server is known, and what becomes of whoever leads there (R3)."""

import collections.abc
import dataclasses

import pytest

from kit import dns, memories, sending
from mailtier.api import vocabulary
from mailtier.mail import classify
from mailtier.sender.net import faults, resolver
from mailtier.sender.secrets import credentials
from mailtier.sender.smtp.servers import relays
from mailtier.settings import effective

_RELAY = "relay.platform.example"
_ALIAS = "smtp.example.com"
_OWN = effective.Endpoint(
    host=_ALIAS,
    port=587,
    tls=sending.PLAIN,
    addresses=sending.PUBLIC,
    origin=vocabulary.Origin.ORG,
    is_host_s=False,
)
_AT = dataclasses.replace(_OWN, host=_RELAY, origin=vocabulary.Origin.HOST, is_host_s=True)
_HOST = dataclasses.replace(sending.settings("", _AT), organization=effective.HOST)
_LOGIN = credentials.Credentials(
    identity="robot",
    password=None,
    generation=credentials.Generation(
        mechanism=vocabulary.Mechanism.PLAIN, identity="robot", source=("team-a", "smtp", "password"), version="1"
    ),
)


@dataclasses.dataclass(slots=True, kw_only=True)
class World:
    """DNS, and what a sender makes of it."""

    nameserver: dns.Server
    names: resolver.Resolver
    known: relays.HostAddresses
    clock: sending.Clock
    memory: memories.Memory

    async def find(self, found: credentials.Credentials = _LOGIN, *, barred: str | None = None) -> relays.Lead:
        """Return where the alias leads."""
        addresses = (await self.names.resolve(_OWN.host, _OWN.addresses, payer="team-a")).addresses
        return await relays.find(_OWN, addresses, found=found, barred=barred, host=_HOST, known=self.known)

    def restarted(self) -> relays.HostAddresses:
        """Return what the next process knows."""
        return relays.HostAddresses(self.names, self.clock.as_clock(), self.memory)


@pytest.fixture
async def world() -> collections.abc.AsyncIterator[World]:
    """Return a world in which the alias leads to the relay."""
    clock, memory = sending.Clock(), memories.Memory()
    async with (
        dns.Server({_ALIAS: ["1.1.1.1", "1.0.0.1"], _RELAY: ["1.1.1.1"]}) as nameserver,
        resolver.Resolver(nameservers=(nameserver.address,)) as names,
    ):
        # Or the resolver answers from its own memory, which keeps real time.
        nameserver.ttl_seconds = 0
        known = relays.HostAddresses(names, clock.as_clock(), memory)
        yield World(nameserver=nameserver, names=names, known=known, clock=clock, memory=memory)


async def test_an_alias_is_the_host_s_server(world: World) -> None:
    """Any of its addresses tells, and only the host's are used: the others could hold its connections (R3, R15)."""
    lead = await world.find()
    assert lead.is_host_s
    assert [address.literal for address in lead.addresses] == ["1.1.1.1"]


@pytest.mark.parametrize(
    ("found", "barred", "fault"),
    [
        (credentials.ANONYMOUS, None, classify.Fault.HOST_RELAY),
        (_LOGIN, "spec.from.address: ceo@example.com may not be used", classify.Fault.HOST_SERVER),
    ],
    ids=["without credentials", "as somebody else"],
)
async def test_who_may_not_use_it_is_kept_away(
    world: World, found: credentials.Credentials, barred: str | None, fault: classify.Fault
) -> None:
    """Without credentials, or with a From that the host's policy forbids, nothing is connected to (R3)."""
    with pytest.raises(faults.DeliveryError) as raised:
        await world.find(found, barred=barred)
    assert raised.value.failure.reason == fault.value
    assert barred is None or raised.value.failure.text.endswith(f"forbids these settings: {barred}.")


@pytest.mark.parametrize("answers", [(), ("10.0.0.1",)], ids=["no address", "an address that is not permitted"])
async def test_a_fault_of_the_host_s_name_is_not_the_tenant_s(world: World, answers: tuple[str, ...]) -> None:
    """It passes, says that the platform team finds the cause, and names no name of the host's (R7)."""
    world.nameserver.names[_RELAY] = answers
    with pytest.raises(faults.DeliveryError) as raised:
        await world.find(credentials.ANONYMOUS)
    failure = raised.value.failure
    assert failure == classify.classify_fault(classify.Phase.CONNECT, classify.Fault.HOST_RELAY_UNKNOWN)
    assert (failure.scope, failure.is_permanent) == (classify.Scope.SERVER, False)
    for for_owner in (True, False):
        told = faults.describe(failure, for_owner=for_owner)
        assert "the platform team finds the cause" in told
        assert _RELAY not in told
    assert raised.value.__context__ is None


async def test_without_any_address_only_anonymous_endpoints_wait(world: World) -> None:
    """A login is between its server and its account while nobody knows where the host's is (R3)."""
    world.nameserver.names[_RELAY] = ()
    assert not (await world.find(_LOGIN, barred="x")).is_host_s


async def test_the_last_known_addresses_serve_seven_days(world: World) -> None:
    """Whoever waits for the host's DNS to fail gains nothing by it; by a restart neither (R3)."""
    assert (await world.find()).is_host_s
    world.nameserver.names[_RELAY] = ()
    world.clock.skipped_seconds += 6 * 86_400
    assert (await world.find()).is_host_s
    world.known = world.restarted()
    assert (await world.find()).is_host_s
    world.clock.skipped_seconds += 2 * 86_400
    assert not (await world.find()).is_host_s


async def test_a_relay_with_changing_answers_is_known_by_all_of_them(world: World) -> None:
    """One address an answer, as some names have it, hides none of the addresses (R3)."""
    assert (await world.find()).is_host_s
    world.nameserver.names[_RELAY] = ("9.9.9.9",)
    world.clock.skipped_seconds += 301
    assert (await world.find()).is_host_s
    world.clock.skipped_seconds += 2 * 3600
    assert not (await world.find()).is_host_s


async def test_a_name_that_moved_takes_nothing_along(world: World) -> None:
    """Addresses of a former relay are not those of the present one (R3)."""
    assert (await world.find()).is_host_s
    other = dataclasses.replace(_AT, host="other.platform.example")
    world.nameserver.names["other.platform.example"] = ()
    assert await world.known.of(other) is None


async def test_dns_that_does_not_answer_is_not_asked_for_every_session(world: World) -> None:
    """Tenants do not wait for the host's DNS one after the other (R15)."""
    world.nameserver.names[_RELAY] = ()
    for _ in range(5):
        await world.find()
    assert world.nameserver.asked.count(_RELAY) <= 2
