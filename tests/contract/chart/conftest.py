"""The chart's rights in the test run's cluster, under names of the test's own."""

import collections.abc
import secrets

import pytest

from kit import cluster as cluster_kit
from kit import helm


@pytest.fixture
def release(cluster: cluster_kit.LocalCluster) -> collections.abc.Iterator[helm.Release]:
    """Return a release of which the ServiceAccount and the rights have been applied."""
    name = f"mailtier-{secrets.token_hex(4)}"
    cluster.kubectl("create", "namespace", name)
    templates = ["serviceaccount.yaml", "rbac.yaml", "rbac-users.yaml"]
    text = helm.template(release=name, namespace=name, show_only=templates)
    cluster.kubectl("apply", "--server-side", "-f", "-", input=text)
    yield helm.Release(name=name, namespace=name)
    cluster.kubectl("delete", "--ignore-not-found", "--wait=false", "-f", "-", input=text)
    cluster.kubectl("delete", "namespace", name, "--wait=false")
