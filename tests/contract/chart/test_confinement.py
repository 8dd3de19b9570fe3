"""What the values of the chart that widen or narrow its rights do to a running operator (R9)."""

import collections.abc
import contextlib
import pathlib
import re
import shlex
import typing

import pytest

from kit import cluster as cluster_kit
from kit import helm, operators, tenants, wait, worlds

Install = collections.abc.Callable[[dict[str, typing.Any]], helm.Release]

HOST: dict[str, typing.Any] = {
    "smtp": {"host": "relay.platform.example"},
    "from": {"address": "no-reply@platform.example"},
}
_COMMAND = re.compile(r"`kubectl ([^`]+)`")
_WITHIN_SECONDS = 330.0
"""What may not be read is read again after at most five minutes."""


@contextlib.contextmanager
def _running(
    cluster: cluster_kit.LocalCluster, release: helm.Release, folder: pathlib.Path
) -> collections.abc.Iterator[worlds.World]:
    """Give a cluster with host settings, in which an operator runs with a release's rights alone."""
    world = worlds.World(cluster, release.namespace)
    account = cluster.kubeconfig_for(release.namespace, release.name)
    with operators.Operator(folder, account, namespace=release.namespace, arguments=_granting(release)) as operator:
        wait.until(operator.is_ready, within_seconds=worlds.WITHIN, why="the operator is ready", poll_seconds=0.2)
        world.host(**HOST)
        yield world
    cluster.kubectl("delete", "oes", "--all", "--all-namespaces", "--wait=false")
    cluster.kubectl("delete", "hes", "--all", "--wait=false")


def _granting(release: helm.Release) -> list[str]:
    """Return the options with which the chart says what grants."""
    found = helm.objects(release=release.name, namespace=release.namespace, show_only=["statefulset.yaml"])
    (workload,) = (document for document in found if document["kind"] == "StatefulSet")
    arguments = workload["spec"]["template"]["spec"]["containers"][0]["args"]
    return [argument for argument in arguments if argument.startswith(("--references-role=", "--service-account="))]


def _own(**tls: typing.Any) -> dict[str, typing.Any]:
    smtp = {"host": "smtp.team.example"} | ({"tls": tls} if tls else {})
    return {"smtp": smtp, "auth": {"username": "team", "passwordSecretRef": {"name": "smtp"}}}


def _secret(namespace: str) -> dict[str, typing.Any]:
    annotations = {"mailtier.dev/endpoint": "smtp.team.example"}
    metadata = {"name": "smtp", "namespace": namespace, "annotations": annotations}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {"password": "correct horse"}}


def _until(world: worlds.World, namespace: str, reason: str) -> str:
    """Return the message of Ready when it has a reason."""
    wait.until(
        lambda: world.reason(namespace) == reason,
        within_seconds=_WITHIN_SECONDS,
        why=f"{namespace}/default says {reason}",
        poll_seconds=0.5,
    )
    return str(world.conditions(namespace)["Ready"]["message"])


def _can(cluster: cluster_kit.LocalCluster, release: helm.Release, verb: str, resource: str, namespace: str) -> bool:
    asked = ("auth", "can-i", verb, resource, f"--as={release.account}", f"--namespace={namespace}", "--quiet")
    return bool(cluster.kubectl(*asked, check=False).returncode == 0)


def test_secrets_are_read_only_where_it_was_granted(
    cluster: cluster_kit.LocalCluster, install: Install, tmp_path: pathlib.Path
) -> None:
    """By default the cluster's other Secrets are out of reach, and organizations there say who grants by what (R9)."""
    granted, other = tenants.create(cluster).namespace, tenants.create(cluster).namespace
    release = install({"rbac": {"references": {"namespaces": [granted]}}})
    namespaces = (release.namespace, granted, other, "kube-system")
    for resource in ("secrets", "configmaps"):
        can = [_can(cluster, release, "get", resource, namespace) for namespace in namespaces]
        assert can == [True, True, False, False]
    assert not any(_can(cluster, release, verb, "secrets", granted) for verb in ("list", "watch", "update"))
    with _running(cluster, release, tmp_path) as world:
        for namespace in (granted, other):
            world.apply(_secret(namespace))
            world.org(namespace, **_own())
        _until(world, granted, "Published")
        message = _until(world, other, "NamespaceNotGranted")
        assert world.conditions(other)["Reconciling"]["status"] == "True"
        _grant(world, release, message)
        _until(world, other, "Published")
    assert _can(cluster, release, "get", "secrets", other)
    assert not _can(cluster, release, "get", "secrets", "kube-system")


def test_a_bundle_that_may_not_be_read_is_told_likewise(
    cluster: cluster_kit.LocalCluster, install: Install, tmp_path: pathlib.Path
) -> None:
    """A CA in a namespace without the RoleBinding waits for it, and then for itself (R9)."""
    namespace = tenants.create(cluster).namespace
    release = install({})
    with _running(cluster, release, tmp_path) as world:
        world.apply(_secret(namespace))
        world.org(namespace, **_own(caRef={"kind": "ConfigMap", "name": "ca"}))
        message = _until(world, namespace, "NamespaceNotGranted")
        assert "Also CaForbidden: spec.smtp.tls.caRef: " in message
        _grant(world, release, message)
        _until(world, namespace, "CaNotFound")


def _grant(world: worlds.World, release: helm.Release, message: str) -> None:
    """Run the one command of a message as it stands, as somebody who may bind roles in the namespace and read nothing.

    Without the right to bind this role, RBAC refuses it to whoever does not have all that the role gives.
    """
    command, *others = dict.fromkeys(_COMMAND.findall(message))
    assert not others
    words = shlex.split(command)
    namespace = words[words.index("-n") + 1]
    user = f"admin-of-{namespace}"
    binder = f"{release.name}-binder"
    for arguments in (
        ("create", "clusterrole", binder, "--verb=create,get", "--resource=rolebindings.rbac.authorization.k8s.io"),
        ("create", "rolebinding", "binder", "-n", namespace, f"--clusterrole={binder}", f"--user={user}"),
    ):
        world.cluster.kubectl(*arguments, check=False)
    refused = world.cluster.kubectl(*words, f"--as={user}", check=False)
    assert "attempting to grant RBAC permissions not currently held" in refused.stderr
    world.cluster.kubectl(
        *("create", "rolebinding", "granter", "-n", namespace, f"--user={user}"),
        f"--clusterrole={release.name}-grant",
    )
    world.cluster.kubectl(*words, f"--as={user}")


def test_without_the_right_nothing_is_published(
    cluster: cluster_kit.LocalCluster, release: helm.Release, tmp_path: pathlib.Path
) -> None:
    """By default the operator writes nothing outside its namespace; who asks is told, and sends nevertheless (R9)."""
    namespace = tenants.create(cluster).namespace
    assert not any(_can(cluster, release, verb, "configmaps", namespace) for verb in ("create", "patch", "delete"))
    with _running(cluster, release, tmp_path) as world:
        world.org(namespace, publish=True)
        message = _until(world, namespace, "ProjectionNotGranted")
        assert f"ConfigMap {namespace}/mailtier-default: " in message
        assert "projections.enabled" in message
        assert world.document(namespace)["state"] == "Active"
        assert world.get("configmap", "mailtier-default", namespace) is None
        world.org(namespace)
        _until(world, namespace, "Published")


@pytest.mark.parametrize("scope", ["Cluster", "Namespaces"])
def test_with_the_right_it_is_published_and_nothing_else_may_be_written(
    cluster: cluster_kit.LocalCluster, install: Install, tmp_path: pathlib.Path, scope: str
) -> None:
    """Rights on ConfigMaps are added, none on Secrets; what was written is removed when nobody asks any more (R9)."""
    namespace = tenants.create(cluster).namespace
    release = install({"projections": {"enabled": True}, "rbac": {"references": {"scope": scope}}})
    verbs = ("get", "create", "patch", "delete", "list", "watch", "update")
    can = [_can(cluster, release, verb, "configmaps", namespace) for verb in verbs]
    assert can == [True, True, True, True, False, False, False]
    assert not any(_can(cluster, release, verb, "secrets", namespace) for verb in verbs if verb != "get")
    with _running(cluster, release, tmp_path) as world:
        world.org(namespace, publish=True)
        _until(world, namespace, "Published")
        assert world.get("configmap", "mailtier-default", namespace) is not None
        world.org(namespace, publish=True, **{"from": {"displayName": "Team"}})
        world.until(
            lambda: (world.get("configmap", "mailtier-default", namespace) or {})["data"].get("MAIL_FROM_NAME"),
            "the change is published",
        )
        world.org(namespace)
        world.until(lambda: world.get("configmap", "mailtier-default", namespace) is None, "it is removed")
