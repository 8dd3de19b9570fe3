"""What the pod's ServiceAccount may write, whatever RBAC grants it, as the real API server judges it (R9)."""

import collections.abc
import json
import typing

import pytest

from kit import cluster as cluster_kit
from kit import helm, tenants, wait
from mailtier.api import names

Json = dict[str, typing.Any]
Install = collections.abc.Callable[[dict[str, typing.Any]], helm.Release]
Try = collections.abc.Callable[..., str]
_WITHIN_SECONDS = 60
_CONFINED = "the ServiceAccount of Mailtier is confined to its own objects"
_OURS = {"app.kubernetes.io/managed-by": "mailtier", "app.kubernetes.io/component": "projection"}


@pytest.fixture
def release(cluster: cluster_kit.LocalCluster, install: Install) -> collections.abc.Iterator[helm.Release]:
    """Return a release with its policy in force, whose ServiceAccount is an administrator of the cluster."""
    found = install({})
    binding = f"{found.name}-grave-mistake"
    cluster.kubectl("create", "clusterrolebinding", binding, "--clusterrole=cluster-admin", f"--user={found.account}")
    probe = _config_map("probe", "default")
    wait.until(
        lambda: _CONFINED in _refused(cluster, found, "create", document=probe),
        within_seconds=_WITHIN_SECONDS,
        why="the policy is in force",
        poll_seconds=0.5,
    )
    yield found
    cluster.kubectl("delete", "clusterrolebinding", binding)


@pytest.fixture
def attempt(cluster: cluster_kit.LocalCluster, release: helm.Release) -> Try:
    """Return what tries a write as the ServiceAccount, without its effect, and returns why it is refused."""
    return lambda *arguments, document=None: _refused(cluster, release, *arguments, document=document)


def _refused(
    cluster: cluster_kit.LocalCluster, release: helm.Release, *arguments: str, document: Json | None = None
) -> str:
    given = () if document is None else ("-f", "-")
    done = cluster.kubectl(
        *arguments,
        *given,
        "--dry-run=server",
        f"--as={release.account}",
        input=None if document is None else json.dumps(document),
        check=False,
    )
    return "" if done.returncode == 0 else done.stderr


def _object(version: str, kind: str, name: str, namespace: str, **fields: typing.Any) -> Json:
    metadata = {"name": name, "namespace": namespace, **fields.pop("metadata", {})}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **fields}


def _config_map(name: str, namespace: str, **metadata: typing.Any) -> Json:
    return _object("v1", "ConfigMap", name, namespace, metadata=metadata)


def _projection(namespace: str, **metadata: typing.Any) -> Json:
    owner = {"apiVersion": names.API_VERSION, "kind": names.ORG_KIND, "name": "default", "uid": "1"}
    return _config_map("mailtier-default", namespace, **{"labels": _OURS, "ownerReferences": [owner], **metadata})


def _event(namespace: str, version: str, kind: str) -> Json:
    regarding = {"apiVersion": version, "kind": kind, "name": "default", "namespace": namespace}
    return _object(
        "events.k8s.io/v1",
        "Event",
        "a.1",
        namespace,
        eventTime="2026-01-01T00:00:00.000000Z",
        type="Normal",
        reason="Published",
        action="Reconcile",
        regarding=regarding,
        reportingController="mailtier.dev/operator",
        reportingInstance="a",
    )


def test_nothing_but_its_own_is_written(cluster: cluster_kit.LocalCluster, release: helm.Release, attempt: Try) -> None:
    """With every right of the cluster, a stolen token writes neither Secrets nor settings nor others' objects (R9)."""
    tenant, home = tenants.create(cluster).namespace, release.namespace
    cluster.kubectl("create", "configmap", "mailtier-default", "-n", tenant)
    settings = _object(names.API_VERSION, names.ORG_KIND, "mine", tenant, spec={})
    role = ("clusterrolebinding", "more", "--clusterrole=cluster-admin", "--user=somebody")
    for arguments, document in (
        (("create",), _config_map("a", home)),
        (("create",), _config_map("team.default", tenant)),
        (("create",), _config_map("mailtier-other", tenant)),
        (("create",), _projection(tenant, labels={})),
        (("create",), _projection(tenant, ownerReferences=[])),
        (("delete", "configmap", "mailtier-default", "-n", tenant), None),
        (("delete", "configmap", "kube-root-ca.crt", "-n", home), None),
        (("create",), _object("v1", "Secret", "a", home)),
        (("create",), settings),
        (("create",), _object("coordination.k8s.io/v1", "Lease", "another", home, spec={})),
        (("create",), _object("coordination.k8s.io/v1", "Lease", names.LEASE_NAME, tenant, spec={})),
        (("create",), _event(tenant, "v1", "Pod")),
        (("create", *role), None),
        (("label", "namespace", tenant, "a=b"), None),
    ):
        refused = attempt(*arguments, document=document)
        # Of kube-root-ca.crt there is none without the cluster's controllers.
        assert _CONFINED in refused or "NotFound" in refused, (arguments, document)
    # There is no dry run of a token.
    token = cluster.kubectl("create", "token", "default", "-n", tenant, f"--as={release.account}", check=False)
    assert _CONFINED in token.stderr


def test_its_own_is_written(cluster: cluster_kit.LocalCluster, release: helm.Release, attempt: Try) -> None:
    """Effective settings, bundles, projections, the Lease and Events of ours pass the policy (R9)."""
    tenant, home = tenants.create(cluster).namespace, release.namespace
    for document in (
        _config_map("team.default", home),
        _config_map("host", home),
        _config_map("intake-ca", home),
        _config_map("ca-0123", home),
        _projection(tenant),
        _object("coordination.k8s.io/v1", "Lease", names.LEASE_NAME, home, spec={}),
        _event(tenant, names.API_VERSION, names.ORG_KIND),
    ):
        assert attempt("create", document=document) == "", document
    # `mailtier check` in the pod asks what the account may; that stores nothing.
    assert cluster.kubectl("auth", "can-i", "get", "pods", f"--as={release.account}").stdout.strip() == "yes"


@pytest.mark.parametrize(
    ("conditions", "is_finished"),
    [
        ({}, False),
        ({"Complete": "False", "Accepted": "True"}, False),
        ({"Complete": "True", "Accepted": "True"}, True),
        ({"Accepted": "False"}, False),
        ({"Accepted": "False", "Stalled": "True"}, True),
    ],
    ids=["new", "queued", "complete", "waits", "refused"],
)
def test_a_notification_is_removed_at_its_end_alone(
    cluster: cluster_kit.LocalCluster, attempt: Try, conditions: dict[str, str], *, is_finished: bool
) -> None:
    """What was not delivered, and not refused for good, cannot be deleted with a stolen token (R4, R9)."""
    tenant = tenants.create(cluster).namespace
    spec = {"category": "JobAlert", "recipients": ["a@tenant.example"], "subject": "a", "text": "a"}
    wanted = _object(names.API_VERSION, names.NOTIFICATION_KIND, "a", tenant, spec=spec)
    cluster.kubectl("create", "-f", "-", input=json.dumps(wanted))
    stamp = {"reason": "Test", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z", "observedGeneration": 1}
    status = {
        "observedGeneration": 1,
        "conditions": [{"type": kind, "status": value, **stamp} for kind, value in conditions.items()],
    }
    path = (f"{names.NOTIFICATION_PLURAL}.{names.GROUP}", "a", "-n", tenant)
    patch = json.dumps({"status": status})
    assert attempt("patch", *path, "--subresource=status", "--type=merge", "-p", patch) == ""
    cluster.kubectl("patch", *path, "--subresource=status", "--type=merge", "-p", patch)
    refused = attempt("delete", *path)
    assert refused == "" if is_finished else _CONFINED in refused


def test_others_are_not_looked_at(cluster: cluster_kit.LocalCluster, release: helm.Release) -> None:
    """The policy is for the release's own ServiceAccount; an account that other pods have has none."""
    document = json.dumps(_config_map("anything", release.namespace))
    other = f"--as=system:serviceaccount:{release.namespace}:other"
    cluster.kubectl("create", "-f", "-", "--dry-run=server", other, "--as-group=system:masters", input=document)
    shared = helm.objects({"serviceAccount": {"create": False}})
    assert f"{release.name}-confinement" in cluster.kubectl("get", "validatingadmissionpolicies", "-o", "name").stdout
    assert [each for each in shared if each["metadata"]["name"].endswith("-confinement")] == []
