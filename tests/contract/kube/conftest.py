"""Clients of a real apiserver: one that all tests share, and one that may be killed."""

import collections.abc
import secrets

import pytest
import pytest_asyncio

from kit import cluster as cluster_kit
from mailtier.kube import client, configuration


@pytest_asyncio.fixture
async def api(cluster: cluster_kit.LocalCluster) -> collections.abc.AsyncIterator[client.Client]:
    """Return a client with the administrator's rights."""
    async with client.Client(configuration.load(kubeconfig=cluster.kubeconfig)) as opened:
        yield opened


@pytest.fixture(scope="session")
def mortal_cluster() -> collections.abc.Iterator[cluster_kit.LocalCluster]:
    """Return a control plane of its own, whose apiserver a test may kill if it starts it again.

    The shared one's controllers take half a minute to come back after their apiserver does.
    """
    with cluster_kit.LocalCluster() as control_plane:
        yield control_plane


@pytest_asyncio.fixture
async def mortal_api(mortal_cluster: cluster_kit.LocalCluster) -> collections.abc.AsyncIterator[client.Client]:
    """Return a client of the apiserver that may be killed."""
    async with client.Client(configuration.load(kubeconfig=mortal_cluster.kubeconfig)) as opened:
        yield opened


@pytest.fixture
def mortal_namespace(mortal_cluster: cluster_kit.LocalCluster) -> str:
    """Return the name of a namespace of the test's own beside the apiserver that may be killed."""
    name = f"test-{secrets.token_hex(4)}"
    mortal_cluster.kubectl("create", "namespace", name)
    return name
