"""An API server for the tests that kill: no more of a control plane than a sender asks."""

import collections.abc

import pytest

from kit import cluster as cluster_kit


@pytest.fixture(scope="session", name="cluster")
def small_cluster() -> collections.abc.Iterator[cluster_kit.LocalCluster]:
    """Return an API server without controllers, which would take of the processor what the load is to have."""
    with cluster_kit.LocalCluster() as control_plane:
        yield control_plane
