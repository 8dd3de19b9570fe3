"""The chart in a real cluster: accepted as a whole, upgraded, removed."""

import json
import secrets
import typing

import pytest
import yaml

from kit import cluster as cluster_kit
from kit import helm
from mailtier.api import crds

_EVERYTHING: dict[str, typing.Any] = {
    "commonLabels": {"team": "platform"},
    "crds": {"annotations": {"argocd.argoproj.io/sync-wave": "-2"}},
    "image": {"registry": "mirror.example", "digest": f"sha256:{'a1' * 32}", "pullPolicy": "Always"},
    "imagePullSecrets": [{"name": "pull"}],
    "serviceAccount": {"annotations": {"example.com/a": "b"}},
    "sender": {
        "heloName": "mail.example.com",
        "tls": {"secretName": "intake"},
        "persistence": {
            "storageClass": "-",
            "accessModes": ["ReadWriteOncePod"],
            "annotations": {"example.com/a": "b"},
        },
    },
    "service": {"port": 8443, "annotations": {"example.com/a": "b"}},
    "podAnnotations": {"example.com/a": "b"},
    "podLabels": {"example.com/a": "b"},
    "nodeSelector": {"disk": "ssd"},
    "tolerations": [{"key": "mail", "operator": "Exists"}],
    "affinity": {"podAntiAffinity": {}},
    "topologySpreadConstraints": [
        {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway", "labelSelector": {}}
    ],
    "extraObjects": [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "{{ .Release.Name }}-extra"}}],
}


@pytest.fixture
def restricted(cluster: cluster_kit.LocalCluster, namespace: str) -> str:
    """Return a namespace that refuses every pod beyond the level `restricted`, and warns of its template."""
    levels = [f"pod-security.kubernetes.io/{mode}=restricted" for mode in ("enforce", "warn")]
    cluster.kubectl("label", "namespace", namespace, *levels)
    return namespace


@pytest.mark.parametrize("values", [{}, _EVERYTHING], ids=["default", "everything"])
def test_apiserver_accepts_every_object(
    cluster: cluster_kit.LocalCluster, restricted: str, values: dict[str, typing.Any]
) -> None:
    """A dry run of the rendered chart, with unknown fields refused, succeeds without a warning."""
    text = helm.template(values, namespace=restricted)
    arguments = ("--server-side", "--force-conflicts", "--dry-run=server", "--validate=strict")
    done = cluster.kubectl("apply", *arguments, f"--namespace={restricted}", "-f", "-", input=text)
    assert done.stderr == ""
    assert len(done.stdout.splitlines()) == sum(document is not None for document in yaml.safe_load_all(text))


def test_pod_is_of_the_level_restricted(cluster: cluster_kit.LocalCluster, restricted: str) -> None:
    """The pod itself is admitted where a pod with one right more is refused."""
    cluster.kubectl("create", "serviceaccount", "mailtier", f"--namespace={restricted}")
    (found,) = (document for document in helm.objects(namespace=restricted) if document["kind"] == "StatefulSet")
    template = found["spec"]["template"]
    volumes = [*template["spec"]["volumes"], {"name": "queue", "emptyDir": {}}]
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "mailtier-0", "namespace": restricted, "labels": template["metadata"]["labels"]},
        "spec": {**template["spec"], "volumes": volumes},
    }
    arguments = ("create", "--dry-run=server", "--validate=strict", "-f", "-")
    assert cluster.kubectl(*arguments, input=json.dumps(pod)).stderr == ""
    pod["spec"]["containers"][0]["securityContext"]["allowPrivilegeEscalation"] = True
    with pytest.raises(cluster_kit.KubectlError, match="violates PodSecurity"):
        cluster.kubectl(*arguments, input=json.dumps(pod))


def test_release_is_installed_upgraded_and_removed() -> None:
    """CRDs are upgraded with the release, and stay with every object of theirs when it goes."""
    with cluster_kit.LocalCluster() as own:
        connection = (f"--kubeconfig={own.kubeconfig}", "--namespace=mail")
        installed = helm.run("install", "post", str(helm.CHART), *connection, "--create-namespace")
        assert "kubectl -n mail rollout status statefulset/post-mailtier" in installed
        names = [f"crd/{resource.name}" for resource in crds.ALL]
        own.kubectl("wait", "--for=condition=Established", "--timeout=30s", *names)
        settings = {"apiVersion": crds.names.API_VERSION, "kind": "OrgEmailSettings", "spec": {}}
        settings["metadata"] = {"name": "default", "namespace": "mail"}
        own.kubectl("create", "-f", "-", input=json.dumps(settings))
        marker = {"crds": {"annotations": {"example.com/a": secrets.token_hex(4)}}}
        helm.run("upgrade", "post", str(helm.CHART), *connection, "--values=-", values=marker)
        (first, *_) = json.loads(own.kubectl("get", *names, "-o", "json").stdout)["items"]
        assert first["metadata"]["annotations"]["example.com/a"] == marker["crds"]["annotations"]["example.com/a"]
        helm.run("uninstall", "post", *connection)
        left = own.kubectl("get", "statefulsets,services,serviceaccounts,roles", "--namespace=mail", "-o", "name")
        assert left.stdout == ""
        assert own.kubectl("get", "oes", "--namespace=mail", "-o", "name").stdout.strip().endswith("/default")
        # The CRDs that stayed are taken up again.
        helm.run("install", "post", str(helm.CHART), *connection)
