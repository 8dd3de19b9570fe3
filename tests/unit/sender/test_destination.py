"""Slots of a destination, and what its users share."""

import asyncio

import pytest

from kit import sending
from mailtier.api import vocabulary
from mailtier.sender import credentials, destinations, opening, resolver, tls
from mailtier.settings import effective

_ENDPOINT = effective.Endpoint(
    host="smtp.example.com",
    port=587,
    tls=sending.PLAIN,
    addresses=sending.PUBLIC,
    origin=vocabulary.Origin.ORG,
    is_host_s=False,
)


@pytest.fixture
async def in_use() -> destinations.Destinations:
    """Return destinations that nothing was connected to yet."""
    made = destinations.Destinations(
        helo_name="sender.test",
        names=resolver.Resolver(),
        opener=opening.Opener(tls.Contexts(sending.WrittenSettings())),
        time=sending.Clock().as_clock(),
        host=lambda: None,
        memory=sending.Memory(),
    )
    made.listen(lambda _key: None, lambda _key: None)
    return made


async def test_a_probe_that_is_given_up_gets_no_slot(in_use: destinations.Destinations) -> None:
    """A slot that becomes free in the moment in which a waiting probe is cancelled goes to the next one."""
    target = in_use.get(sending.settings("team-a", _ENDPOINT, max_connections=1))
    slot = target.reserve()
    assert slot is not None
    given_up, patient = (asyncio.create_task(target.reserve_for_probe()) for _ in range(2))
    await asyncio.sleep(0)
    given_up.cancel()
    target.give_back(slot)
    target.give_back(await patient)
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
