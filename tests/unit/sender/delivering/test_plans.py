"""What holds for an organization is found once, and never longer than it holds."""

import dataclasses
import typing

import pytest

from kit import sending, written
from mailtier.api import vocabulary
from mailtier.sender import ports
from mailtier.sender.delivering import plans
from mailtier.sender.scheduling import schedule
from mailtier.sender.secrets import credentials
from mailtier.sender.smtp.servers import destination_key
from mailtier.settings import effective

_ENDPOINT = effective.Endpoint(
    host="smtp.example.com",
    port=587,
    tls=sending.PLAIN,
    addresses=sending.PUBLIC,
    origin=vocabulary.Origin.HOST,
    is_host_s=True,
)


class _World:
    """Settings of one organization, its Secret, and the plans under test."""

    def __init__(self) -> None:
        self.settings = written.WrittenSettings()
        self.secrets = sending.Secrets()
        self.clock = sending.Clock()
        self.store = credentials.CredentialStore(self.secrets, self.clock.as_clock())
        self.plans = plans.DeliveryPlans(settings=self.settings, passwords=self.store)
        self._key: destination_key.DestinationKey | None = None

    def put(self, value: str = "pw", **changes: typing.Any) -> effective.Effective:
        """Put settings with a login, whose Secret has a value."""
        reference = self.secrets.put("team-a", "smtp", value, endpoint="smtp.example.com:587")
        return self.settings.put(sending.settings("team-a", _ENDPOINT, auth=sending.login(reference), **changes))

    def find(self, of: effective.Effective) -> plans.DeliveryPlan | None:
        """Return the plan for the server at which the settings that were asked for first lead."""
        self._key = self._key or destination_key.key_of(of)
        return self.plans.find(ports.LaneKey.of(of), self._key)


@pytest.fixture
def world() -> _World:
    """Return an organization's surroundings."""
    return _World()


def test_a_plan_serves_as_long_as_its_settings_do(world: _World) -> None:
    """The same settings have the same plan, and changed ones another, with what they say."""
    of = world.put()
    first = world.find(of)
    assert first is not None
    assert world.find(of) is first
    world.put(from_address="other@example.com")
    second = world.find(of)
    assert second is not None
    assert (first.usable.from_.address, second.usable.from_.address) == ("noreply@example.com", "other@example.com")


@pytest.mark.parametrize("how", ["suspended", "elsewhere", "gone", "recreated"])
def test_there_is_no_plan_for_what_may_not_go(world: _World, how: str) -> None:
    """Whatever was planned before: the settings that hold now decide."""
    of = world.put()
    assert world.find(of) is not None
    match how:
        case "suspended":
            world.settings.put(dataclasses.replace(of, state=effective.State.SUSPENDED))
        case "elsewhere":
            world.settings.put(dataclasses.replace(of, endpoint=dataclasses.replace(_ENDPOINT, port=2525)))
        case "gone":
            world.settings.remove(of.organization)
        case _:
            world.settings.put(dataclasses.replace(of, namespace_uid="another"))
    assert world.find(of) is None


async def test_credentials_are_those_that_a_read_would_return(world: _World) -> None:
    """What is not in memory, is too old, has another version, or was read anew since is not used (R9)."""
    of = world.put("old")
    plan = world.find(of)
    assert plan is not None
    assert plan.usable.auth is not None
    assert world.plans.peek(plan) is None
    found = await world.store.get(plan.usable.auth, _ENDPOINT)
    assert world.plans.peek(plan) is found
    again = await world.store.get(plan.usable.auth, _ENDPOINT, max_age_seconds=0)
    assert world.plans.peek(plan) is again
    world.clock.skipped_seconds += credentials.KEPT_SECONDS
    assert world.plans.peek(plan) is None
    fresh = await world.store.get(plan.usable.auth, _ENDPOINT)
    assert world.plans.peek(plan) is fresh
    world.put("new")
    newer = world.find(of)
    assert newer is not None
    assert world.plans.peek(newer) is None


async def test_credentials_that_cannot_be_read_any_more_are_not_used(world: _World) -> None:
    """Whoever takes the Secret away ends their use with the next read (R9)."""
    of = world.put()
    plan = world.find(of)
    assert plan is not None
    await world.store.get(plan.usable.auth, _ENDPOINT)
    world.secrets.remove("team-a", "smtp")
    with pytest.raises(credentials.CredentialsError):
        await world.store.get(plan.usable.auth, _ENDPOINT, max_age_seconds=0)
    assert world.plans.peek(plan) is None


def test_an_organization_without_messages_is_forgotten(world: _World) -> None:
    """Only who has mail keeps a plan."""
    of = world.put()
    first = world.find(of)
    waiting = schedule.Schedule()
    world.plans.prune(waiting)
    assert world.find(of) is not first
    kept = world.find(of)
    waiting.open(ports.LaneKey.of(of))
    world.plans.prune(waiting)
    assert world.find(of) is kept
