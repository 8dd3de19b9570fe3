"""The control plane that contract tests, demo and benches stand on is a real one."""

import json
import pathlib
import secrets

import pytest

from kit import binaries, wait
from kit import cluster as cluster_kit


def test_kubectl_speaks_with_the_apiserver(cluster: cluster_kit.LocalCluster) -> None:
    """Client and server are the version that the module asks for."""
    versions = json.loads(cluster.kubectl("version", "--output=json").stdout)
    required = binaries._required("cluster", "k8s.io/kubernetes")
    assert versions["serverVersion"]["gitVersion"] == versions["clientVersion"]["gitVersion"] == required
    assert "apiserver_request_total" in cluster.metrics()


def test_token_of_a_service_account_carries_its_rights(cluster: cluster_kit.LocalCluster, namespace: str) -> None:
    """A kubeconfig from a TokenRequest is known to the apiserver, and RBAC grants it nothing more."""
    kubeconfig = cluster.kubeconfig_for(namespace, "default")
    user = f"system:serviceaccount:{namespace}:default"
    assert user in cluster.kubectl("auth", "whoami", kubeconfig=kubeconfig).stdout
    with pytest.raises(cluster_kit.KubectlError, match="forbidden"):
        cluster.kubectl("get", "secrets", kubeconfig=kubeconfig)


def test_token_for_an_audience_is_reviewed_for_it_alone(cluster: cluster_kit.LocalCluster, namespace: str) -> None:
    """A TokenReview accepts a token for its own audience and for no other."""
    token = cluster.token(namespace, "default", audience="mailtier")

    def review(audience: str) -> bool:
        document = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenReview",
            "spec": {"token": token, "audiences": [audience]},
        }
        answer = cluster.kubectl("create", "--filename=-", "--output=json", input=json.dumps(document))
        return bool(json.loads(answer.stdout)["status"].get("authenticated", False))

    assert (review("mailtier"), review("another")) == (True, False)


def test_deleted_namespace_goes(cluster: cluster_kit.LocalCluster) -> None:
    """The controllers empty a deleted namespace and let it go."""
    name = f"deleted-{secrets.token_hex(4)}"
    cluster.kubectl("create", "namespace", name)
    cluster.kubectl("delete", "namespace", name, "--timeout=60s")


def test_owned_objects_are_collected(cluster: cluster_kit.LocalCluster, namespace: str) -> None:
    """An object whose owner has been deleted is deleted by the controllers."""
    created = cluster.kubectl(
        "create", "configmap", "owner", f"--namespace={namespace}", "--output=jsonpath={.metadata.uid}"
    )
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": created.stdout}
    owned = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "owned", "namespace": namespace, "ownerReferences": [owner]},
    }
    cluster.kubectl("create", "--filename=-", input=json.dumps(owned))
    cluster.kubectl("delete", "configmap", "owner", f"--namespace={namespace}")
    cluster.kubectl("wait", "--for=delete", "--timeout=60s", f"--namespace={namespace}", "configmap/owned")


def test_audit_log_counts_writes(cluster: cluster_kit.LocalCluster, namespace: str) -> None:
    """A write appears once in the audit log, with who did it and to what; a read does not."""
    cluster.kubectl("create", "configmap", "counted", f"--namespace={namespace}")
    cluster.kubectl("get", "configmap", "counted", f"--namespace={namespace}")

    def writes() -> list[str]:
        return [
            event["verb"]
            for event in cluster.writes(user="admin")
            if event["objectRef"].get("name") == "counted" and event["objectRef"]["namespace"] == namespace
        ]

    assert wait.until(writes, within_seconds=5, why="the write is logged") == ["create"]


def test_restart_keeps_port_and_data() -> None:
    """After an outage the apiserver is back under its address with everything it had."""
    with cluster_kit.LocalCluster() as own:
        own.kubectl("create", "configmap", "kept")
        url = own.url
        own.stop_apiserver()
        with pytest.raises(cluster_kit.KubectlError, match="refused"):
            own.kubectl("get", "configmap", "kept")
        own.start_apiserver()
        assert own.url == url
        own.kubectl("get", "configmap", "kept")
        folder = own.folder
    assert not folder.exists()


def test_failure_to_start_quotes_the_log(tmp_path: pathlib.Path) -> None:
    """A control plane that cannot start says which part ended, where its log is, and how it ends."""
    (tmp_path / "etcd").write_text("a file where the data folder should be", encoding="ascii")
    with pytest.raises(cluster_kit.ClusterError, match=r"(?s)^etcd ended with .*etcd\.log ends with:\n.*etcd"):
        cluster_kit.LocalCluster(tmp_path).start()
