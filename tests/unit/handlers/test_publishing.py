"""Effective settings and CA bundles as ConfigMaps: written once, repaired, removed."""

import hashlib
import typing

import pytest

from kit import api, tiers
from mailtier.api import names
from mailtier.handlers import publishing
from mailtier.kube import errors, paths
from mailtier.settings import bundles, effective

NAME = "team-a.default"
PATH = paths.config_maps("system", NAME)


def settings(display_name: str = "Acme") -> effective.Effective:
    """Return effective settings of team-a/default."""
    return tiers.settle(tiers.RELAY, {"from": {"displayName": display_name}})


class Publishing:
    """A publisher, its API server, and a watch that shows what is there when it is asked to."""

    def __init__(self) -> None:
        self.api = api.Api()
        self.publisher = publishing.Publisher(typing.cast("typing.Any", self.api), namespace="system")
        self.looked: list[str] = []

    def show(self, name: str = NAME) -> None:
        """Have the watch show a ConfigMap as it is."""
        found = self.api.objects.get(paths.config_maps("system", name))
        observed = publishing.observe(found) if found is not None else None
        self.publisher.seen(name, observed, self.looked.append)


@pytest.fixture
def world() -> Publishing:
    """Return a publisher that has written nothing."""
    return Publishing()


async def test_equal_settings_are_written_once(world: Publishing) -> None:
    """Neither before nor after the watch shows it is the same written again, and our own write is no news."""
    assert await world.publisher.publish(settings(), extra={}) is True
    assert await world.publisher.publish(settings(), extra={}) is False
    world.show()
    assert await world.publisher.publish(settings(), extra={}) is False
    assert (world.looked, world.api.count("apply")) == ([], 1)


async def test_two_changes_in_a_row_are_no_drift(world: Publishing) -> None:
    """The watch shows the first write after the second was made; nothing is written a third time."""
    await world.publisher.publish(settings("A"), extra={})
    first = publishing.observe(world.api.objects[PATH])
    await world.publisher.publish(settings("B"), extra={})
    world.publisher.seen(NAME, first, world.looked.append)
    assert await world.publisher.publish(settings("B"), extra={}) is False
    world.show()
    assert await world.publisher.publish(settings("B"), extra={}) is False
    assert (world.looked, world.api.count("apply")) == ([], 2)


async def test_an_edit_is_undone(world: Publishing) -> None:
    """Whoever changes a key of ours finds it changed back."""
    await world.publisher.publish(settings(), extra={})
    world.show()
    before = dict(world.api.objects[PATH]["data"])
    world.api.objects[PATH]["data"]["state"] = "Odd"
    world.show()
    assert world.looked == [NAME]
    assert await world.publisher.publish(settings(), extra={}) is True
    assert world.api.objects[PATH]["data"] == before


async def test_a_key_that_somebody_adds_stays_and_is_not_fought_over(world: Publishing) -> None:
    """One apply over it changes nothing, and no further one is made."""
    await world.publisher.publish(settings(), extra={})
    world.show()
    world.api.objects[PATH]["data"]["note"] = "mine"
    world.show()
    await world.publisher.publish(settings(), extra={})
    assert await world.publisher.publish(settings(), extra={}) is False
    assert world.api.count("apply") == 2


async def test_what_is_deleted_comes_back(world: Publishing) -> None:
    """A ConfigMap that vanishes is looked at again and written again."""
    await world.publisher.publish(settings(), extra={})
    world.show()
    del world.api.objects[PATH]
    world.show()
    assert world.looked == [NAME]
    assert await world.publisher.publish(settings(), extra={}) is True


async def test_a_write_that_failed_is_made_again(world: Publishing) -> None:
    """A failure leaves no belief that anything was written, and is told to whoever asked."""
    world.api.failing = errors.UnavailableError("down")
    written, refused = await publishing.attempt(world.publisher.publish(settings(), extra={}))
    assert (written, refused) == (False, world.api.failing)
    world.api.failing = None
    assert await world.publisher.publish(settings(), extra={}) is True


async def test_a_ca_bundle_is_repaired_and_removed_when_nobody_has_used_it_for_a_while(world: Publishing) -> None:
    """Bundles do not pile up in the operator's namespace, and one that was deleted by mistake is written again."""
    pem = "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n"
    bundle = bundles.Bundle(pem=pem, digest=hashlib.sha256(pem.encode()).hexdigest())
    name = names.ca_config_map(bundle.digest)
    assert await world.publisher.publish_bundle(bundle) is True
    world.show(name)
    assert await world.publisher.publish_bundle(bundle) is False
    del world.api.objects[paths.config_maps("system", name)]
    world.show(name)
    assert world.looked == [name]
    assert await world.publisher.publish_bundle(bundle) is True
    world.show(name)
    later = publishing.KEEP_UNUSED_SECONDS
    assert await world.publisher.remove_unused({bundle.digest}, now=0) == 0
    assert await world.publisher.remove_unused(set(), now=1) == 0
    assert await world.publisher.remove_unused({bundle.digest}, now=2) == 0
    assert await world.publisher.remove_unused(set(), now=3) == 0
    assert await world.publisher.remove_unused(set(), now=2 + later) == 0
    assert await world.publisher.remove_unused(set(), now=3 + later) == 1
    assert world.api.objects == {}


async def test_withdrawing_what_the_watch_has_not_shown_yet_deletes_it(world: Publishing) -> None:
    """An organization that comes and goes in a moment leaves nothing behind."""
    await world.publisher.publish(settings(), extra={})
    assert await world.publisher.withdraw("team-a", "default") is True
    assert world.api.objects == {}
    assert await world.publisher.withdraw("team-a", "default") is False
