"""What is read anew for whom: a new version of the settings, and whoever asks for it."""

import datetime as dt
import typing

import pytest

from kit import api, specs, tiers
from mailtier.handlers import keys, probes, reads, resolving, store
from mailtier.kube import errors, paths
from mailtier.settings import observed

KEY = keys.organization("team-a", "default")
SECRET = paths.secrets("team-a", "smtp")


class World:
    """A resolver with an API server in memory."""

    def __init__(self) -> None:
        self.api = api.Api()
        self.now = 1000.0
        self.again: list[dt.timedelta] = []
        reader = reads.Reader(
            typing.cast("typing.Any", self.api),
            changed=lambda _key: None,
            publish=lambda _bundle: None,
            is_published=lambda _digest: False,
            wall=lambda: specs.NOW,
            monotonic=lambda: self.now,
            jitter=lambda: 1.0,
        )
        self.resolver = resolving.PlanResolver(
            reader,
            probes.Probes(lambda _key: None),
            look_again=lambda _key, delay: self.again.append(delay),
            monotonic=lambda: self.now,
        )

    async def resolve(self, requested_at: str, *, generation: int = 1) -> tuple[str, int]:
        """Return which request was answered, and how often the Secret has been read."""
        seen = store.Organization(
            namespace="team-a",
            name="default",
            uid="u",
            generation=generation,
            conditions=(),
            status_digest=b"",
            requested_at=requested_at,
            spec=observed.parse_org(tiers.OWN),
        )
        found = await self.resolver.resolve(KEY, tiers.plan(tiers.RELAY, tiers.OWN), seen)
        return found.requested_at, self.api.count("get", SECRET)


@pytest.fixture
def world() -> World:
    """Return a resolver that has resolved nothing."""
    return World()


async def test_a_request_is_answered_with_a_new_read(world: World) -> None:
    """The status that names the request is about what was read after it (R9)."""
    assert await world.resolve("") == ("", 1)
    assert await world.resolve("first") == ("first", 2)
    assert await world.resolve("first") == ("first", 2)


async def test_requests_are_answered_once_in_five_seconds(world: World) -> None:
    """Until then the status names the request before, and says nothing of one that was not looked into (R9)."""
    await world.resolve("")
    assert await world.resolve("first") == ("first", 2)
    world.now += 1
    assert await world.resolve("second") == ("first", 2)
    assert world.again == [dt.timedelta(seconds=4)]
    world.now += 4
    assert await world.resolve("second") == ("second", 3)


@pytest.mark.parametrize("generation", [1, 2], ids=["asked for", "changed"])
async def test_a_read_that_was_not_answered_is_no_answer(world: World, generation: int) -> None:
    """The status names the request before, until the read that was asked for is answered; it is tried again (R9)."""
    await world.resolve("")
    world.api.failing = errors.UnavailableError("down")
    assert await world.resolve("first", generation=generation) == ("", 2)
    assert world.again == [dt.timedelta(seconds=5)]
    # Whoever asks for more during the outage has it read no sooner.
    world.now += 1
    assert await world.resolve("second", generation=generation) == ("", 2)
    world.api.failing = None
    world.now += 4
    assert await world.resolve("second", generation=generation) == ("second", 3)
    assert await world.resolve("second", generation=generation) == ("second", 3)


async def test_a_first_read_that_was_not_answered_is_no_answer(world: World) -> None:
    """After a restart as well, and without a request it is made again all the same (R9)."""
    world.api.failing = errors.UnavailableError("down")
    assert await world.resolve("first") == ("", 1)
    world.api.failing = None
    world.now += 5
    assert await world.resolve("first") == ("first", 2)


async def test_a_change_of_the_settings_answers_a_request_as_well(world: World) -> None:
    """It reads anew in any case."""
    await world.resolve("first")
    assert await world.resolve("second", generation=2) == ("second", 2)
