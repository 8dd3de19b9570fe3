"""The chart's rights in the test run's cluster, under names of the test's own."""

import collections.abc
import contextlib
import secrets
import typing

import pytest

from kit import cluster as cluster_kit
from kit import helm

Install = collections.abc.Callable[[dict[str, typing.Any]], helm.Release]


@pytest.fixture
def install(cluster: cluster_kit.LocalCluster) -> collections.abc.Iterator[Install]:
    """Return what applies the ServiceAccount of a release with values, its rights and their bounds; they go again."""
    templates = ["serviceaccount.yaml", "rbac.yaml", "rbac-users.yaml", "confinement.yaml"]
    with contextlib.ExitStack() as stack:

        def apply(values: dict[str, typing.Any]) -> helm.Release:
            name = f"mailtier-{secrets.token_hex(4)}"
            cluster.kubectl("create", "namespace", name)
            stack.callback(cluster.kubectl, "delete", "namespace", name, "--wait=false")
            text = helm.template(values, release=name, namespace=name, show_only=templates)
            cluster.kubectl("apply", "--server-side", "-f", "-", input=text)
            stack.callback(cluster.kubectl, "delete", "--ignore-not-found", "--wait=false", "-f", "-", input=text)
            return helm.Release(name=name, namespace=name)

        yield apply


@pytest.fixture
def release(install: Install) -> helm.Release:
    """Return a release that may read references everywhere, and has the chart's own values but for that."""
    return install({"rbac": {"references": {"scope": "Cluster"}}})
