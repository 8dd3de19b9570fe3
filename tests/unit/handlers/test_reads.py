"""Secrets and CA bundles: read when needed, and again by a schedule."""

import base64
import typing

import pytest
import trustme

from kit import api, tiers
from mailtier.handlers import keys, reads
from mailtier.kube import errors, paths
from mailtier.settings import bundles, observed, resolve

USER = keys.organization("team-a", "default")
SECRET = paths.secrets("team-a", "smtp")
OUTCOME = observed.ReadOutcome


class World:
    """A reader with an API server in memory."""

    def __init__(self) -> None:
        self.api = api.Api()
        self.now = 0.0
        self.changed: list[keys.Key] = []
        self.published: list[str] = []
        self.refused: errors.ApiError | None = None
        self.reader = reads.Reader(
            typing.cast("typing.Any", self.api),
            changed=self.changed.append,
            publish=self._publish,
            monotonic=lambda: self.now,
            jitter=lambda: 1.0,
        )

    async def _publish(self, bundle: bundles.Bundle) -> None:
        if self.refused is not None:
            raise self.refused
        self.published.append(bundle.digest)

    def secret(self, version: str = "1") -> None:
        """Have a Secret that names its endpoint."""
        self.api.objects[SECRET] = {
            "metadata": {
                "uid": "u",
                "resourceVersion": version,
                "annotations": {"mailtier.dev/endpoint": "smtp.example.org:587"},
            },
            "data": {"password": base64.b64encode(b"hunter2").decode()},
        }


@pytest.fixture
def world() -> World:
    """Return a reader that has read nothing."""
    return World()


def plan(**org: typing.Any) -> resolve.Plan:
    """Return the plan of an organization with its own endpoint."""
    return tiers.plan(tiers.RELAY, {**tiers.OWN, **org})


async def test_a_secret_is_read_once_for_a_version_of_the_settings(world: World) -> None:
    """Looking again at unchanged settings costs no read; changed settings read anew."""
    world.secret()
    first = await world.reader.read_for(USER, plan(), fresh=True)
    again = await world.reader.read_for(USER, plan(), fresh=False)
    assert first.secret == again.secret
    assert first.secret is not None
    assert first.secret.outcome == OUTCOME.FOUND
    assert world.api.count("get", SECRET) == 1
    await world.reader.read_for(USER, plan(), fresh=True)
    assert world.api.count("get", SECRET) == 2
    assert "hunter2" not in repr(first)


async def test_an_outage_says_nothing_about_a_secret_that_was_read(world: World) -> None:
    """A refresh that the API server does not answer leaves what was known, or every outage would hold all mail."""
    world.secret()
    before = await world.reader.read_for(USER, plan(), fresh=True)
    world.api.failing = errors.UnavailableError("down")
    during = await world.reader.read_for(USER, plan(), fresh=True)
    assert during == before


async def test_an_outage_at_the_first_read_is_told(world: World) -> None:
    """What was never read is not known to be there."""
    world.api.failing = errors.UnavailableError("down")
    found = await world.reader.read_for(USER, plan(), fresh=True)
    assert found.secret is not None
    assert found.secret.outcome == OUTCOME.UNAVAILABLE


async def test_a_user_that_changes_its_mind_after_a_failed_read_is_served(world: World) -> None:
    """A bundle that could not be published must not leave the reader in a state that every retry trips over."""
    ca = {"smtp": {"host": "smtp.example.org", "tls": {"caRef": {"kind": "ConfigMap", "name": "ca"}}}}
    world.secret()
    world.api.objects[paths.config_maps("team-a", "ca")] = {"data": {"ca.crt": trustme.CA().cert_pem.bytes().decode()}}
    world.refused = errors.UnavailableError("down")
    # Sets have no order, so that either need may be the one that is read first.
    await world.reader.read_for(USER, plan(**ca), fresh=True)
    for _ in range(3):
        found = await world.reader.read_for(USER, plan(), fresh=True)
        assert found.secret is not None
    world.reader.release(USER)


async def test_a_namespace_cannot_fill_the_operators_namespace_with_bundles(world: World) -> None:
    """Each new bundle becomes a ConfigMap of the operator's; one namespace gets only so many within minutes (R3)."""
    allowed = [
        world.reader.may_publish("team-a", f"{number:064x}") for number in range(reads.BUNDLES_PER_NAMESPACE + 2)
    ]
    assert allowed.count(True) == reads.BUNDLES_PER_NAMESPACE
    assert world.reader.may_publish("team-a", f"{0:064x}")
    assert world.reader.may_publish("team-b", f"{99:064x}")
    world.now += 3600
    assert world.reader.may_publish("team-a", f"{98:064x}")
