"""The chart in a real cluster: accepted as a whole, upgraded, removed."""

import collections.abc
import json
import pathlib
import re
import secrets

import pytest
import yaml

from kit import cluster as cluster_kit
from kit import helm
from kit.chart_options import sets
from mailtier.api import crds

_FOREIGN = pathlib.Path(__file__).parent / "foreign"
_HEREDOC = re.compile(r"^kubectl ([^\n]*) <<YAML\n(.*?)^YAML$", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def foreign(cluster: cluster_kit.LocalCluster) -> collections.abc.Iterator[None]:
    """Have the kinds of Prometheus' operator, cert-manager and the Gateway API in the cluster."""
    cluster.kubectl("create", "-f", str(_FOREIGN))
    names = [f"crd/{yaml.safe_load(path.read_text('utf-8'))['metadata']['name']}" for path in _FOREIGN.iterdir()]
    cluster.kubectl("wait", "--for=condition=Established", "--timeout=30s", *names)
    yield
    cluster.kubectl("delete", "--wait=false", *names)


@pytest.fixture
def restricted(cluster: cluster_kit.LocalCluster, namespace: str) -> str:
    """Return a namespace that refuses every pod beyond the level `restricted`, and warns of its template."""
    levels = [f"pod-security.kubernetes.io/{mode}=restricted" for mode in ("enforce", "warn")]
    cluster.kubectl("label", "namespace", namespace, *levels)
    return namespace


@pytest.mark.usefixtures("foreign")
@pytest.mark.parametrize("name", sets.SETS)
def test_apiserver_accepts_every_object(cluster: cluster_kit.LocalCluster, restricted: str, name: str) -> None:
    """A dry run of each set of values, with unknown fields refused, succeeds without a warning."""
    text = helm.template(sets.SETS[name], namespace=restricted)
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
        assert "kubectl -n mail rollout status statefulset/post-mailtier && helm test -n mail post" in installed
        names = [f"crd/{resource.name}" for resource in crds.ALL]
        own.kubectl("wait", "--for=condition=Established", "--timeout=30s", *names)
        own.kubectl("create", "namespace", "sales")
        for arguments, text in _HEREDOC.findall(installed):
            own.kubectl(*arguments.split(), input=text)
        assert sorted(own.kubectl("get", "mailtier", "--all-namespaces", "-o", "name").stdout.split()) == [
            "hostemailsettings.mailtier.dev/default",
            "orgemailsettings.mailtier.dev/default",
        ]
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
