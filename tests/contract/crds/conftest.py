"""Plain HTTP to the control plane that the CRDs are installed in."""

import collections.abc

import pytest

from kit import cluster as cluster_kit
from kit import rest as rest_kit


@pytest.fixture(scope="session")
def rest(cluster: cluster_kit.LocalCluster) -> collections.abc.Iterator[rest_kit.Rest]:
    """Return a connection with the administrator's rights."""
    opened = rest_kit.Rest(cluster)
    yield opened
    opened.close()
