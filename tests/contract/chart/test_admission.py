"""The chart's admission policy, judged by the real API server: what everybody has to list is bounded (R15)."""

import collections.abc
import contextlib
import json
import secrets
import typing

import pytest

from kit import cluster as cluster_kit
from kit import helm, tenants, wait
from kit.corpus import largest
from mailtier.api import names

Json = dict[str, typing.Any]
_WITHIN_SECONDS = 60


@pytest.fixture
def namespace(cluster: cluster_kit.LocalCluster) -> str:
    """Return a tenant's namespace."""
    return str(tenants.create(cluster).namespace)


def _organization(namespace: str, name: str = "default", **metadata: typing.Any) -> Json:
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.ORG_KIND,
        "metadata": {"name": name, "namespace": namespace, **metadata},
        "spec": {},
    }


def _labels(count: int) -> dict[str, str]:
    return {f"label-{number}": "v" for number in range(count)}


def _try(cluster: cluster_kit.LocalCluster, document: Json, *options: str) -> str:
    """Return why an object is refused; "" where it is not."""
    done = cluster.kubectl("apply", "--server-side", *options, "-f", "-", input=json.dumps(document), check=False)
    return "" if done.returncode == 0 else done.stderr


@contextlib.contextmanager
def _in_force(cluster: cluster_kit.LocalCluster, namespace: str) -> collections.abc.Iterator[None]:
    """Have the policy of a release in force."""
    release = f"mailtier-{secrets.token_hex(4)}"
    text = helm.template(release=release, namespace=namespace, show_only=["admission.yaml"])
    cluster.kubectl("apply", "--server-side", "-f", "-", input=text)
    try:
        probe = _organization(namespace, labels=_labels(65))
        wait.until(
            lambda: _try(cluster, probe, "--dry-run=server"),
            within_seconds=_WITHIN_SECONDS,
            why="the policy is in force",
            poll_seconds=0.5,
        )
        yield
    finally:
        cluster.kubectl("delete", "--wait=false", "-f", "-", input=text)


def test_metadata_is_bounded_and_what_tools_need_is_not(cluster: cluster_kit.LocalCluster, namespace: str) -> None:
    """Labels, annotations, finalizers and owners beyond the bounds are refused with a sentence (R15)."""
    large = {"name": "large", "annotations": {"note": "x" * 65_600}}
    before = _organization(namespace, "before", labels=_labels(100), finalizers=["test.example/kept"])
    # Of a release that is gone the API server forgets the policy a little later.
    wait.until(
        lambda: not _try(cluster, before),
        within_seconds=_WITHIN_SECONDS,
        why="there is no policy yet",
        poll_seconds=0.5,
    )
    with _in_force(cluster, namespace):
        told = _try(cluster, _organization(namespace, labels=_labels(65)))
        assert "the object has 65 labels, at most 64 are allowed; remove some" in told
        assert "65536 characters" in _try(cluster, _organization(namespace, **large))
        many = {f"note-{number}": "x" for number in range(65)}
        assert "more than 64 annotations" in _try(cluster, _organization(namespace, annotations=many))
        finalizers = [f"test.example/{number}" for number in range(33)]
        assert "more than 32 finalizers" in _try(cluster, _organization(namespace, finalizers=finalizers))
        enough = {"labels": _labels(64), "annotations": {"note": "x" * 60_000}}
        assert _try(cluster, _organization(namespace, **enough)) == ""
        # What is there already may be written to by the operator, changed, and let go.
        path = ("-n", namespace, "oes/before")
        status = json.dumps({"status": {"observedGeneration": 1}})
        cluster.kubectl("patch", *path, "--subresource=status", "--type=merge", "-p", status)
        cluster.kubectl("delete", *path, "--wait=false")
        cluster.kubectl("patch", *path, "--type=merge", "-p", json.dumps({"metadata": {"finalizers": None}}))
        wait.until(
            lambda: cluster.kubectl("get", *path, check=False).returncode != 0,
            within_seconds=_WITHIN_SECONDS,
            why="it is gone",
        )


def test_client_side_apply_remembers_what_it_needs(cluster: cluster_kit.LocalCluster, namespace: str) -> None:
    """The largest settings, applied without --server-side, keep a copy of themselves in an annotation (R15)."""
    cases = [case.document for case in largest.accepted() if case.kind == names.ORG_KIND]
    document = max(cases, key=lambda found: len(json.dumps(found)))
    document = {**document, "metadata": {"name": "largest", "namespace": namespace}}
    note = _organization(namespace)
    note |= {"kind": names.NOTIFICATION_KIND, "metadata": {"name": "long", "namespace": namespace}}
    note["spec"] = {"category": "JobAlert", "recipients": ["a@tenant.example"], "text": "x" * 65_536}
    note["spec"]["data"] = {f"key{number}": "y" * 4_000 for number in range(20)}
    with _in_force(cluster, namespace):
        for wanted in (document, note):
            cluster.kubectl("apply", "-f", "-", input=json.dumps(wanted))
