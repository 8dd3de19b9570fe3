"""What an organization has published for its applications, on a real API server with its garbage collector."""

import collections.abc
import json
import typing

import pytest

from kit import certs, operators, wait, worlds
from kit import cluster as cluster_kit
from mailtier.api import feed

HOST: dict[str, typing.Any] = {
    "smtp": {"host": "relay.platform.example"},
    "auth": {"username": "platform", "passwordSecretRef": {"name": "relay"}},
    "from": {"address": "no-reply@platform.example"},
}
OWN: dict[str, typing.Any] = {
    "smtp": {"host": "smtp.team.example"},
    "auth": {"username": "team", "passwordSecretRef": {"name": "smtp"}},
    "from": {"address": "team@team.example"},
}
URL = "https://mailtier.mailtier-system.svc"
OURS = {"app.kubernetes.io/managed-by": "mailtier", "app.kubernetes.io/component": "projection"}


@pytest.fixture(scope="module")
def module_operator(
    cluster: cluster_kit.LocalCluster, system: str, ca: certs.Authority, tmp_path_factory: pytest.TempPathFactory
) -> collections.abc.Iterator[operators.Operator]:
    """Return an operator that knows where the intake is, and its certificates."""
    folder = tmp_path_factory.mktemp(system)
    (folder / feed.AUTHORITY_NAME).write_text(ca.ca_pem, encoding="ascii")
    env = {"MAILTIER_INTAKE_URL": URL}
    with operators.Operator(folder, cluster.kubeconfig, namespace=system, env=env) as running:
        yield running


@pytest.fixture
def stage(world: worlds.World, operator: operators.Operator) -> worlds.World:
    """Return a cluster with the host's settings and its password."""
    assert operator.running
    world.host(**HOST)
    world.apply(_secret("relay", world.system, "relay.platform.example", "host-password"))
    return world


def _secret(name: str, namespace: str, endpoint: str, password: str) -> dict[str, typing.Any]:
    metadata = {"name": name, "namespace": namespace, "annotations": {"mailtier.dev/endpoint": endpoint}}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {"password": password}}


def _config_map(name: str, namespace: str, **metadata: typing.Any) -> dict[str, typing.Any]:
    found = {"name": name, "namespace": namespace, **metadata}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": found, "data": {"colour": "blue"}}


def _published(world: worlds.World, namespace: str, name: str = "default") -> dict[str, str] | None:
    """Return what applications of an organization read; None while there is nothing."""
    found = world.get("configmap", f"mailtier-{name}", namespace)
    return None if found is None else typing.cast("dict[str, str]", found["data"])


def _until_published(world: worlds.World, namespace: str, name: str = "default") -> dict[str, str]:
    wanted = f"mailtier-{name}"
    world.until(
        lambda: (world.get("oes", name, namespace) or {}).get("status", {}).get("projection") == wanted,
        f"{namespace}/{name} is published",
    )
    found = _published(world, namespace, name)
    assert found is not None
    return found


def test_applications_read_what_they_need_and_nothing_of_the_host(stage: worlds.World, ca: certs.Authority) -> None:
    """The keys are fit for envFrom; of the host's server, user and password there is no word (R1, R3)."""
    stage.namespace("publish-all")
    stage.org("publish-all", publish=True)
    assert _until_published(stage, "publish-all") == {
        "MAILTIER_URL": f"{URL}/v1/namespaces/publish-all/organizations/default/notifications",
        "MAILTIER_ORGANIZATION": "publish-all/default",
        "MAILTIER_CA": ca.ca_pem,
        "MAIL_FROM": "no-reply@platform.example",
    }
    text = json.dumps(stage.get("configmap", "mailtier-default", "publish-all"))
    assert not [word for word in ("relay", '"platform"', "host-password") if word in text]
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "app", "namespace": "publish-all"},
        "spec": {
            "containers": [{"name": "app", "image": "app", "envFrom": [{"configMapRef": {"name": "mailtier-default"}}]}]
        },
    }
    stage.cluster.kubectl("create", "--dry-run=server", "--validate=strict", "-f", "-", input=json.dumps(pod))


def test_an_own_server_comes_and_goes(stage: worlds.World) -> None:
    """Its keys are there while it is the organization's, and none is left of it afterwards; the password never is."""
    stage.namespace("publish-own")
    stage.apply(_secret("smtp", "publish-own", "smtp.team.example", "team-password"))
    stage.org("publish-own", publish=True, **OWN)
    found = _until_published(stage, "publish-own")
    assert {key: value for key, value in found.items() if key.startswith("SMTP_")} == {
        "SMTP_HOST": "smtp.team.example",
        "SMTP_PORT": "587",
        "SMTP_TLS": "StartTLS",
        "SMTP_USERNAME": "team",
        "SMTP_SECRET_NAME": "smtp",
        "SMTP_SECRET_KEY": "password",
    }
    assert "team-password" not in json.dumps(stage.get("configmap", "mailtier-default", "publish-own"))
    stage.org("publish-own", publish=True)
    stage.until(
        lambda: not [key for key in _published(stage, "publish-own") or {"SMTP_": ""} if key.startswith("SMTP_")],
        "the own server is gone from it",
    )


def test_what_was_published_goes_with_its_object_and_comes_with_the_next(stage: worlds.World) -> None:
    """The garbage collector removes it; a successor of the same name waits for that, and has its own."""
    stage.namespace("publish-gone")
    stage.org("publish-gone", publish=True)
    _until_published(stage, "publish-gone")
    first = (stage.get("configmap", "mailtier-default", "publish-gone") or {})["metadata"]["uid"]
    stage.cluster.kubectl("delete", "oes", "default", "-n", "publish-gone")
    stage.org("publish-gone", publish=True)
    _until_published(stage, "publish-gone")
    assert (stage.get("configmap", "mailtier-default", "publish-gone") or {})["metadata"]["uid"] != first
    stage.cluster.kubectl("delete", "oes", "default", "-n", "publish-gone")
    stage.until(lambda: _published(stage, "publish-gone") is None, "it is collected as garbage")


def test_a_restart_changes_nothing(stage: worlds.World, operator: operators.Operator) -> None:
    """Applications do not lose the certificates for a moment, and nothing is written (R8)."""
    stage.namespace("publish-restart")
    stage.org("publish-restart", publish=True)
    _until_published(stage, "publish-restart")

    def version() -> str:
        return str((stage.get("configmap", "mailtier-default", "publish-restart") or {})["metadata"]["resourceVersion"])

    before = version()
    operator.restart()
    wait.until(operator.is_ready, within_seconds=worlds.WITHIN, why="the operator is ready", poll_seconds=0.1)
    stage.org("publish-restart", "marker")
    stage.until(
        lambda: stage.reason("publish-restart", "marker") == "Published", "the operator has looked at everything"
    )
    assert version() == before


@pytest.mark.parametrize("name", ["plain", "labelled", "owned"])
def test_a_tenant_s_own_config_map_of_that_name_is_left_alone(stage: worlds.World, name: str) -> None:
    """However much of ours is forged, what another made is neither changed nor deleted, and mail goes on (R8)."""
    namespace = f"foreign-{name}"
    stage.namespace(namespace)
    stage.org(namespace)
    stage.until(lambda: stage.reason(namespace) == "Published", f"{namespace}/default is Ready")
    uid = (stage.get("oes", "default", namespace) or {})["metadata"]["uid"]
    owner = {"apiVersion": "mailtier.dev/v1alpha1", "kind": "OrgEmailSettings", "name": "default", "uid": uid}
    metadata = {"plain": {}, "labelled": {"labels": OURS}, "owned": {"ownerReferences": [owner]}}[name]
    stage.apply(_config_map("mailtier-default", namespace, **metadata))
    before = stage.get("configmap", "mailtier-default", namespace)
    stage.org(namespace, publish=True)
    stage.until(lambda: stage.reason(namespace) == "ConfigMapConflict", f"{namespace}/default says what is in the way")
    assert stage.conditions(namespace)["Stalled"]["status"] == "True"
    assert stage.document(namespace)["state"] == "Active"
    stage.org(namespace)
    stage.until(lambda: stage.reason(namespace) == "Published", "nobody asks for it any more")
    assert stage.get("configmap", "mailtier-default", namespace) == before


def test_no_name_leads_to_another_s_config_map(stage: worlds.World) -> None:
    """Neither the cluster's own nor one of the operator's namespace nor another organization's can be named (R3)."""
    for namespace in ("collide", "collide-a"):
        stage.namespace(namespace)
    root = stage.until(lambda: stage.get("configmap", "kube-root-ca.crt", "collide"), "the cluster's CA is there")
    refused = stage.cluster.kubectl(
        *("apply", "-f", "-"),
        input=json.dumps(worlds.document("OrgEmailSettings", "../kube-root-ca.crt", "collide", publish=True)),
        check=False,
    )
    assert refused.returncode != 0
    for namespace, name in (("collide", "kube-root-ca"), ("collide", "a-default"), ("collide-a", "default")):
        stage.org(namespace, name, publish=True)
    found = {
        (namespace, name): _until_published(stage, namespace, name)["MAILTIER_ORGANIZATION"]
        for namespace, name in (("collide", "kube-root-ca"), ("collide", "a-default"), ("collide-a", "default"))
    }
    assert found == {key: "/".join(key) for key in found}
    assert stage.get("configmap", "kube-root-ca.crt", "collide") == root


def test_in_the_operator_s_own_namespace_it_hides_nothing(stage: worlds.World, ca: certs.Authority) -> None:
    """An organization that is called like the ConfigMap with the intake's CA has its own beside it (R8)."""
    stage.until(lambda: stage.get("configmap", "intake-ca", stage.system), "the intake's CA is published")
    stage.org(stage.system, "intake-ca", publish=True)
    stage.until(lambda: stage.get("configmap", "mailtier-intake-ca", stage.system), "its own is published")
    found = stage.get("configmap", "intake-ca", stage.system)
    assert found is not None
    assert found["data"] == {"ca.crt": ca.ca_pem}
