"""A cluster with Mailtier at work."""

import collections.abc

import pytest

from kit import certs, installations
from kit import cluster as cluster_kit


@pytest.fixture(scope="module")
def installation(
    cluster: cluster_kit.LocalCluster, ca: certs.Authority, tmp_path_factory: pytest.TempPathFactory
) -> collections.abc.Iterator[installations.Installation]:
    """Return a running installation, which the tests of a module share."""
    with installations.run(cluster, ca, tmp_path_factory.mktemp("installation")) as running:
        yield running
