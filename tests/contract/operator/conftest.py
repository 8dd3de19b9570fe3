"""A running operator with a namespace of its own, on the test run's API server."""

import collections.abc

import pytest

from kit import cluster as cluster_kit
from kit import operators, wait, worlds


@pytest.fixture(scope="module")
def system(cluster: cluster_kit.LocalCluster, request: pytest.FixtureRequest) -> str:
    """Return the namespace of the module's operator."""
    name = request.module.__name__.rpartition(".")[2].replace("_", "-")
    cluster.kubectl("create", "namespace", name)
    return str(name)


@pytest.fixture
def world(cluster: cluster_kit.LocalCluster, system: str) -> collections.abc.Iterator[worlds.World]:
    """Return a cluster that holds none of our objects."""
    yield worlds.World(cluster, system)
    for kind in ("oes", "ntf"):
        cluster.kubectl("delete", kind, "--all", "--all-namespaces", "--wait=false")
    cluster.kubectl("delete", "hes", "--all", "--wait=false")


@pytest.fixture(scope="module")
def module_operator(
    cluster: cluster_kit.LocalCluster, system: str, tmp_path_factory: pytest.TempPathFactory
) -> collections.abc.Iterator[operators.Operator]:
    """Return the module's operator, which its tests share."""
    with operators.Operator(tmp_path_factory.mktemp(system), cluster.kubeconfig, namespace=system) as running:
        yield running


@pytest.fixture
def operator(module_operator: operators.Operator) -> operators.Operator:
    """Return a running operator that is ready, whatever the test before did to it."""
    if not module_operator.running:
        module_operator.start()
    wait.until(module_operator.is_ready, within_seconds=worlds.WITHIN, why="the operator is ready", poll_seconds=0.1)
    return module_operator
