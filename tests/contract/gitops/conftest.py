"""The kinds of other projects that the GitOps pages use, known to the test run's API server."""

import pathlib

import pytest

from kit import cluster as cluster_kit

_FOREIGN = pathlib.Path(__file__).with_name("foreign")


@pytest.fixture(scope="session")
def foreign(cluster: cluster_kit.LocalCluster) -> list[str]:
    """Return the names of the CRDs of other projects, excerpts of which are served."""
    return cluster.apply_crds(_FOREIGN)
