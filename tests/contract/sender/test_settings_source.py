"""Effective settings as the sender learns them from a real apiserver."""

import asyncio
import collections.abc
import json
import secrets

import pytest
import pytest_asyncio

from kit import certs, tenants, wait
from kit import cluster as cluster_kit
from mailtier.api import names
from mailtier.kube import client, configuration
from mailtier.sender import settings_source
from mailtier.settings import bundles, effective

_TENANT = tenants.Tenant(namespace="team", uid="uid-1", token="")
_KEY = effective.OrganizationKey(namespace="team", name="default")


class _Watched:
    """A source that runs, and what it told."""

    def __init__(self, source: settings_source.SettingsSource) -> None:
        self.source = source
        self.told: list[effective.OrganizationKey] = []
        source.subscribe(self.told.append)

    async def until(self, what: collections.abc.Callable[[], object], why: str) -> None:
        """Return once something is so."""
        await wait.until_async(lambda: bool(what()), within_seconds=10, why=why)


@pytest.fixture
def system(cluster: cluster_kit.LocalCluster) -> str:
    """Return the operator's namespace, of the test's own."""
    name = f"mailtier-{secrets.token_hex(4)}"
    cluster.kubectl("create", "namespace", name)
    return name


@pytest_asyncio.fixture
async def watched(cluster: cluster_kit.LocalCluster, system: str) -> collections.abc.AsyncIterator[_Watched]:
    """Return a source that has listed the settings once."""
    async with client.Client(configuration.load(kubeconfig=cluster.kubeconfig)) as api:
        found = _Watched(settings_source.SettingsSource(api, namespace=system, jitter=lambda: 0.0))
        running = asyncio.create_task(found.source.run())
        async with asyncio.timeout(10):
            await found.source.wait_until_synced()
        yield found
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def _write(cluster: cluster_kit.LocalCluster, system: str, name: str, *, component: str, **data: str) -> None:
    labels = {names.MANAGED_BY_LABEL: names.MANAGED_BY, names.COMPONENT_LABEL: component}
    document = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": system, "labels": labels},
        "data": {key.replace("_", "."): value for key, value in data.items()},
    }
    cluster.kubectl("apply", "--server-side", "--force-conflicts", "-f-", input=json.dumps(document))


async def test_settings_come_change_and_go(cluster: cluster_kit.LocalCluster, system: str, watched: _Watched) -> None:
    """Published settings are found by organization, changes are told, and deleted ones are gone."""
    published = tenants.settings(_TENANT, port=2525)
    tenants.publish(cluster, system, published)
    await watched.until(lambda: watched.told == [_KEY], "the settings were told")
    assert watched.source.get(_KEY) == published
    assert watched.source.organizations() == [published]
    changed = tenants.settings(_TENANT, port=2526)
    tenants.publish(cluster, system, changed)
    await watched.until(lambda: watched.told == [_KEY] * 2, "the change was told")
    assert watched.source.get(_KEY) == changed
    cluster.kubectl("delete", "configmap", "team.default", f"--namespace={system}")
    await watched.until(lambda: watched.told == [_KEY] * 3, "the deletion was told")
    assert watched.source.get(_KEY) is None


async def test_settings_that_cannot_be_read_count_as_absent(
    cluster: cluster_kit.LocalCluster, system: str, watched: _Watched
) -> None:
    """What does not decode, or speaks of another organization, takes the place of nothing and stops nobody else."""
    tenants.publish(cluster, system, tenants.settings(_TENANT, port=2525))
    await watched.until(lambda: watched.source.get(_KEY), "the settings are known")
    _write(cluster, system, "team.default", component=names.EFFECTIVE_COMPONENT, effective_json='{"version": 99}')
    await watched.until(lambda: watched.source.get(_KEY) is None, "the settings are gone")
    other = tenants.settings(_TENANT, port=2525, organization="other")
    tenants.publish(cluster, system, other)
    await watched.until(lambda: watched.source.get(other.organization), "the other organization is known")
    moved = cluster.kubectl("get", "configmap", "team.other", f"--namespace={system}", "--output=json").stdout
    _write(
        cluster,
        system,
        "elsewhere.other",
        component=names.EFFECTIVE_COMPONENT,
        effective_json=json.loads(moved)["data"]["effective.json"],
    )
    tenants.publish(cluster, system, tenants.settings(_TENANT, port=2525))
    await watched.until(lambda: watched.source.get(_KEY), "the settings are known again")
    assert len(watched.source.organizations()) == 2


async def test_bundles_are_checked_against_their_digest(
    cluster: cluster_kit.LocalCluster, system: str, watched: _Watched, ca: certs.Authority
) -> None:
    """A CA bundle is found by its digest; one whose content is another's is not used."""
    bundle = bundles.parse(ca.ca_pem)
    _write(cluster, system, "ca-0000", component=names.CA_COMPONENT, ca_crt=bundle.pem)
    assert await watched.source.bundle(bundle.digest) is None
    _write(cluster, system, names.ca_config_map(bundle.digest), component=names.CA_COMPONENT, ca_crt=bundle.pem)

    async def found() -> bool:
        return await watched.source.bundle(bundle.digest) == bundle.pem

    await wait.until_async(found, within_seconds=10, why="the bundle is known")
    forged = bundle.pem.replace("\n", "\n\n", 1)
    _write(cluster, system, names.ca_config_map(bundle.digest), component=names.CA_COMPONENT, ca_crt=forged)

    async def gone() -> bool:
        return await watched.source.bundle(bundle.digest) is None

    await wait.until_async(gone, within_seconds=10, why="the forged bundle is not used")


async def test_other_config_maps_are_not_looked_at(
    cluster: cluster_kit.LocalCluster, system: str, watched: _Watched
) -> None:
    """A ConfigMap without the labels is none of ours, whatever its name and content."""
    published = tenants.settings(_TENANT, port=2525)
    tenants.publish(cluster, system, published)
    await watched.until(lambda: watched.source.get(_KEY), "the settings are known")
    cluster.kubectl("label", "configmap", "team.default", f"{names.COMPONENT_LABEL}-", f"--namespace={system}")
    await watched.until(lambda: watched.source.get(_KEY) is None, "the settings are gone")
