"""An organization without an object: what is published of it, and what it counts as."""

import datetime as dt
import typing

import pytest

from kit import api, specs, tiers
from mailtier.api import names
from mailtier.handlers import (
    hosts,
    keys,
    organizations,
    probes,
    projections,
    publishing,
    reads,
    resolving,
    store,
)
from mailtier.kube import errors, paths
from mailtier.settings import observed

KEY = keys.organization("team-a", names.DEFAULT_ORGANIZATION)
PATH = paths.config_maps("system", "team-a.default")


class World:
    """A reconciler of organizations with everything around it.

    Attributes:
        statuses: How many statuses were made; each one asks what time it is.
        settled: What the organization came to, each time.
    """

    def __init__(self) -> None:
        self.api = api.Api()
        client = typing.cast("typing.Any", self.api)
        self.statuses = 0
        self.settled: list[hosts.Standing | None] = []
        objects = store.Store()
        objects.namespaces["team-a"] = store.Namespace(name="team-a", uid="uid", labels={})
        relay = {
            "smtp": tiers.RELAY["smtp"],
            "from": tiers.RELAY["from"],
            "policy": {"organizations": {"mode": "All"}},
        }
        objects.host = store.Host(
            namespace="",
            name=names.HOST_NAME,
            uid="u",
            generation=1,
            conditions=(),
            status_digest=b"",
            spec=observed.parse_host(relay),
            summary=None,
        )
        reader = reads.Reader(
            client,
            changed=lambda _: None,
            is_published=lambda _: False,
            publish=lambda _: None,
            wall=lambda: specs.NOW,
            monotonic=lambda: 0.0,
            jitter=lambda: 0.5,
        )
        self.organizations = organizations.OrganizationReconciler(
            objects,
            client,
            resolving.PlanResolver(
                reader, probes.Probes(lambda _: None), look_again=lambda _key, _delay: None, monotonic=lambda: 0.0
            ),
            publishing.Publisher(client, namespace="system"),
            projections.Projections(
                client, url="", look_again=lambda *_: None, monotonic=lambda: 0.0, jitter=lambda: 0.5
            ),
            namespace="system",
            now=self._now,
            settled=lambda _, found: self.settled.append(found),
            backlog_of=lambda *_: {},
            announce=lambda *_: None,
        )

    def _now(self) -> dt.datetime:
        self.statuses += 1
        return specs.NOW

    @property
    def ready(self) -> tuple[str, str]:
        """What it came to at last."""
        found = self.settled[-1]
        assert found is not None
        return found.ready


async def test_without_an_object_its_conditions_are_published_and_counted() -> None:
    """What people read beside the settings and what the host counts is one status, made once."""
    world = World()
    assert await world.organizations.reconcile(KEY) is True
    told = world.api.objects[PATH]["data"]["conditions"]
    assert "Ready=True Published: " in told
    assert "Linted=" in told
    assert (world.ready, world.statuses) == (("True", "Published"), 1)


async def test_what_could_not_be_published_counts_as_that() -> None:
    """Where the ConfigMap could not be written, the organization is not Ready, whatever was to stand there."""
    world = World()
    world.api.failing = errors.UnavailableError("down")
    with pytest.raises(errors.UnavailableError):
        await world.organizations.reconcile(KEY)
    assert world.ready == ("False", "NotPublished")
    assert world.api.objects == {}
