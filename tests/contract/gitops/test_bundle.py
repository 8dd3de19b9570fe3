"""The bundle for OLM, held against the rules that operator-framework's documents and validators state.

Sources: operator-framework/operator-registry, docs/design/operator-bundle.md; operator-framework/api,
pkg/validation/internal/csv.go (names, install modes, examples) and bundle.go (what is owned is in the bundle, no
account of the version is); OpenShift, "Operator Framework packaging format" (the kinds that a bundle may have).
"""

import json
import pathlib
import re
import shutil
import typing

import pytest
import yaml

from kit import cluster as cluster_kit
from kit import fleet, generate, helm, olm, repository

_SUPPORTED = frozenset(
    {
        *("ClusterRole", "ClusterRoleBinding", "ClusterServiceVersion", "ConfigMap", "ConsoleCLIDownload"),
        *("ConsoleLink", "ConsoleQuickStart", "ConsoleYAMLSample", "CustomResourceDefinition", "PodDisruptionBudget"),
        *("PriorityClass", "PrometheusRule", "Role", "RoleBinding", "Secret", "Service", "ServiceAccount"),
        *("ServiceMonitor", "VerticalPodAutoscaler"),
    }
)
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?\.v?(\d+\.\d+\.\d+)")
_BYTES = 1024 * 1024
"""What a bundle unpacked into a ConfigMap may have."""


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """Return the image's files, as its Dockerfile copies them and as its .dockerignore lets it."""
    folder = tmp_path_factory.mktemp("bundle")
    ignored = repository.read(olm.FOLDER / "Dockerfile.dockerignore").split()
    for source, target in re.findall(r"^COPY (\S+) /(\S+)/$", repository.read(olm.FOLDER / "Dockerfile"), re.MULTILINE):
        assert f"!{source}" in ignored
        shutil.copytree(repository.ROOT / source, folder / target, dirs_exist_ok=True)
    return folder


@pytest.fixture(scope="module")
def manifests(image: pathlib.Path) -> list[fleet.Json]:
    """Return the objects of the bundle, one of each file."""
    return [yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted((image / "manifests").iterdir())]


@pytest.fixture(scope="module")
def version(manifests: list[fleet.Json]) -> fleet.Json:
    """Return the one ClusterServiceVersion."""
    (found,) = (each for each in manifests if each["kind"] == "ClusterServiceVersion")
    return found


def _deployment(version: fleet.Json, namespace: str) -> fleet.Json:
    (found,) = version["spec"]["install"]["spec"]["deployments"]
    metadata = {"name": found["name"], "namespace": namespace}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": found["spec"]}


def test_the_bundle_has_not_drifted() -> None:
    """It is what the chart renders; `make generate` mends it."""
    assert generate.drifted(olm.files(generate.examples())) == []


def test_annotations_are_the_labels(image: pathlib.Path) -> None:
    """The file in the image and the labels on it say the same: where things lie, the package and its channels."""
    labels = dict(re.findall(r"^LABEL (\S+)=(\S+)$", repository.read(olm.FOLDER / "Dockerfile"), re.MULTILINE))
    annotations = yaml.safe_load((image / "metadata" / "annotations.yaml").read_text(encoding="utf-8"))["annotations"]
    assert annotations == labels
    prefix = "operators.operatorframework.io.bundle"
    assert (image / annotations[f"{prefix}.manifests.v1"]).is_dir()
    assert (image / annotations[f"{prefix}.metadata.v1"]).is_dir()
    assert annotations[f"{prefix}.channel.default.v1"] in annotations[f"{prefix}.channels.v1"].split(",")


def test_name_and_version_are_one(version: fleet.Json) -> None:
    """The name is that of the package with a semantic version, which is the program's."""
    found = _NAME.fullmatch(version["metadata"]["name"])
    assert found is not None
    assert version["metadata"]["name"].partition(".")[0] == olm.PACKAGE
    chart = yaml.safe_load((helm.CHART / "Chart.yaml").read_text(encoding="utf-8"))
    assert found[2] == version["spec"]["version"] == chart["version"]


def test_install_modes_are_told(version: fleet.Json) -> None:
    """Each mode stands once, and the one that is supported is the operator's: it watches every namespace."""
    modes = [(mode["type"], mode["supported"]) for mode in version["spec"]["installModes"]]
    assert len(dict(modes)) == len(modes) == 4
    assert [name for name, is_supported in modes if is_supported] == ["AllNamespaces"]


def test_every_kind_is_owned_shown_and_there(version: fleet.Json, manifests: list[fleet.Json]) -> None:
    """The kinds that the version owns are those of the bundle's CRDs and of the examples."""
    owned = {
        (each["name"].partition(".")[2], each["version"], each["kind"])
        for each in version["spec"]["customresourcedefinitions"]["owned"]
    }
    definitions = [each["spec"] for each in manifests if each["kind"] == "CustomResourceDefinition"]
    served = {(spec["group"], each["name"], spec["names"]["kind"]) for spec in definitions for each in spec["versions"]}
    examples = json.loads(version["metadata"]["annotations"]["alm-examples"])
    shown = {(*each["apiVersion"].split("/"), each["kind"]) for each in examples}
    assert owned == served == shown
    assert not any("status" in each for each in manifests)


def test_every_object_is_one_that_olm_installs(version: fleet.Json, manifests: list[fleet.Json]) -> None:
    """No other kind is in it, no namespace is fixed, no account is made twice, and the whole is small enough."""
    assert {each["kind"] for each in manifests} <= _SUPPORTED
    assert [each["kind"] for each in manifests if each["kind"] == "ServiceAccount"] == []
    assert [
        each["metadata"]["name"] for each in manifests if each is not version and "namespace" in each["metadata"]
    ] == []
    assert "mailtier-system" not in json.dumps(version["spec"])
    assert sum(len(json.dumps(each)) for each in manifests) < _BYTES


def test_the_pod_has_the_chart_s_rights(version: fleet.Json) -> None:
    """Its account has the rules of the chart's two roles, and in its own namespace may read what settings refer to."""
    install = version["spec"]["install"]["spec"]
    account = _deployment(version, "any")["spec"]["template"]["spec"]["serviceAccountName"]
    rules = {(each["kind"], each["metadata"]["name"]): each["rules"] for each in helm.objects() if "rules" in each}
    assert [each["serviceAccountName"] for each in install["permissions"] + install["clusterPermissions"]] == [
        account,
        account,
    ]
    assert install["clusterPermissions"][0]["rules"] == rules["ClusterRole", "mailtier"]
    assert install["permissions"][0]["rules"] == [
        *rules["Role", "mailtier"],
        *rules["ClusterRole", "mailtier-references"],
    ]


def test_arguments_know_their_namespace(version: fleet.Json) -> None:
    """A variable in an argument is one that the container has, so that Kubernetes fills it in."""
    for container in _deployment(version, "any")["spec"]["template"]["spec"]["containers"]:
        wanted = set(re.findall(r"\$\((\w+)\)", " ".join(container["args"])))
        assert wanted <= {each["name"] for each in container["env"]}
        assert "POD_NAMESPACE" in {each["name"] for each in container["env"]}


def test_apiserver_accepts_what_olm_makes(
    cluster: cluster_kit.LocalCluster,
    foreign: list[str],
    namespace: str,
    version: fleet.Json,
    manifests: list[fleet.Json],
) -> None:
    """No field of the version, the Deployment and the others is unknown, and the pod is of the level restricted."""
    assert foreign
    cluster.kubectl("label", "namespace", namespace, "pod-security.kubernetes.io/warn=restricted")
    moved: dict[str, typing.Any] = {**version, "metadata": {**version["metadata"], "namespace": namespace}}
    others = [each for each in manifests if each["kind"] not in {"ClusterServiceVersion", "CustomResourceDefinition"}]
    documents = [moved, _deployment(version, namespace), *others]
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": documents})
    arguments = ("apply", "--server-side", "--dry-run=server", "--validate=strict", f"--namespace={namespace}", "-f-")
    done = cluster.kubectl(*arguments, input=text)
    assert done.stderr == ""
    assert len(done.stdout.splitlines()) == len(documents)
