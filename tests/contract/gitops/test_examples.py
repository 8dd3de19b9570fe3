"""The files of the GitOps pages: known to the API server, and to each other."""

import collections.abc
import json
import re
import typing

import pytest

from kit import cluster as cluster_kit
from kit import fleet, helm, repository

_FILES = sorted(
    str(path.relative_to(fleet.GITOPS))
    for folder in ("argocd", "flux", "secrets")
    for path in (fleet.GITOPS / folder).glob("*.yaml")
    if path.name != "argocd-cm.yaml"
)

Taker = collections.abc.Callable[[fleet.Json], None]


@pytest.fixture
def take(cluster: cluster_kit.LocalCluster, foreign: list[str], namespace: str) -> Taker:
    """Return what has the API server look at an object, with strict validation, in a namespace of the test's own."""
    assert foreign

    def dry_run(document: fleet.Json) -> None:
        moved = {**document, "metadata": {**document["metadata"], "namespace": namespace}}
        arguments = ("create", "-f-", "--dry-run=server", "--validate=strict")
        assert cluster.kubectl(*arguments, input=json.dumps(moved)).stderr == ""

    return dry_run


def _only(path: str, kind: str, name: str = "") -> fleet.Json:
    (found,) = (
        document
        for document in fleet.documents(path)
        if document["kind"] == kind and name in {"", document["metadata"]["name"]}
    )
    return found


def _in_fleet(path: str) -> bool:
    return (fleet.FOLDER / path / "kustomization.yaml").is_file()


@pytest.mark.parametrize("path", _FILES)
def test_every_object_is_one_of_its_kind(take: Taker, path: str) -> None:
    """No field is misspelt, missing or of another type."""
    documents = fleet.documents(path)
    assert documents
    for document in documents:
        take(document)


@pytest.mark.parametrize(
    ("path", "kind", "field"),
    [
        ("argocd/applications.yaml", "Application", "destinations"),
        ("argocd/applicationset.yaml", "ApplicationSet", "generator"),
        ("flux/mailtier.yaml", "HelmRelease", "chartReference"),
        ("flux/mailtier.yaml", "OCIRepository", "verifyWith"),
        ("flux/kustomizations.yaml", "Kustomization", "dependOn"),
        ("secrets/external-secret.yaml", "ExternalSecret", "targets"),
        ("secrets/sealed-secret.yaml", "SealedSecret", "encrypted"),
    ],
)
def test_a_misspelt_field_would_be_found(take: Taker, path: str, kind: str, field: str) -> None:
    """The schemas refuse what they do not know, so that the test above says something."""
    document = next(document for document in fleet.documents(path) if document["kind"] == kind)
    with pytest.raises(cluster_kit.KubectlError, match=f"unknown field .*{field}"):
        take({**document, "spec": {**document["spec"], field: {}}})


def test_values_are_the_charts(namespace: str) -> None:
    """The chart takes the values of the Application and of the HelmRelease, and the CRDs get what they are to have."""
    application = _only("argocd/applications.yaml", "Application", "mailtier")
    values = application["spec"]["source"]["helm"]["valuesObject"]
    crds = [document for document in helm.objects(values) if document["kind"] == "CustomResourceDefinition"]
    assert len(crds) == 3
    for crd in crds:
        assert values["crds"]["annotations"].items() <= crd["metadata"]["annotations"].items()
    release = _only("flux/mailtier.yaml", "HelmRelease")["spec"]
    objects = helm.objects(release["values"], release=release["releaseName"], namespace=namespace)
    assert {document["metadata"].get("namespace", namespace) for document in objects} == {namespace}


def test_names_lead_somewhere() -> None:
    """What one object of Flux refers to is another one of the page, and each path one of the example repository."""
    release = _only("flux/mailtier.yaml", "HelmRelease")["spec"]["chartRef"]
    assert _only("flux/mailtier.yaml", release["kind"], release["name"])
    first, second = fleet.documents("flux/kustomizations.yaml")
    assert second["spec"]["dependsOn"] == [{"name": first["metadata"]["name"]}]
    assert _in_fleet(second["spec"]["path"])
    assert _in_fleet(_only("argocd/applications.yaml", "Application", "email-settings")["spec"]["source"]["path"])


def test_the_chart_is_of_this_version() -> None:
    """Argo CD asks for the chart that the repository has, and Flux for a range that it is in."""
    version = re.search(r"^version: (\S+)$", repository.read("charts/mailtier/Chart.yaml"), re.MULTILINE)
    assert version is not None
    application = _only("argocd/applications.yaml", "Application", "mailtier")
    assert application["spec"]["source"]["targetRevision"] == version[1]
    wanted = _only("flux/mailtier.yaml", "OCIRepository")["spec"]["ref"]["semver"]
    assert version[1].rpartition(".")[0] + ".x" == wanted


def _filled_in(template: typing.Any, cluster: fleet.Json) -> typing.Any:
    """Return a template for a cluster; it knows the two forms of Go's templates that the page uses."""
    match template:
        case dict():
            return {name: _filled_in(value, cluster) for name, value in template.items()}
        case list():
            return [_filled_in(value, cluster) for value in template]
        case str():
            text = re.sub(
                r'\{\{index \.metadata\.labels "([^"]+)"\}\}', lambda found: cluster["labels"][found[1]], template
            )
            text = re.sub(r"\{\{\.(\w+)\}\}", lambda found: cluster[found[1]], text)
            assert "{{" not in text
            return text
        case _:
            return template


def _selects(expressions: list[fleet.Json], labels: dict[str, str]) -> bool:
    assert {expression["operator"] for expression in expressions} == {"In"}
    return all(labels.get(expression["key"]) in expression["values"] for expression in expressions)


@pytest.mark.parametrize("environment", fleet.CLUSTERS)
def test_each_cluster_of_the_set_has_its_folder_and_its_turn(take: Taker, environment: str) -> None:
    """The Application made for a cluster is one, leads to a folder of the repository, and is in exactly one step."""
    spec = _only("argocd/applicationset.yaml", "ApplicationSet")["spec"]
    labels = {"example.com/environment": environment}
    (generator,) = spec["generators"]
    assert _selects(generator["clusters"]["selector"]["matchExpressions"], labels)
    cluster = {"name": f"{environment}-1", "server": "https://10.0.0.1", "labels": labels}
    made = _filled_in(spec["template"], cluster)
    take({"apiVersion": "argoproj.io/v1alpha1", "kind": "Application", **made})
    assert _in_fleet(made["spec"]["source"]["path"])
    steps = spec["strategy"]["rollingSync"]["steps"]
    turns = [_selects(step["matchExpressions"], made["metadata"]["labels"]) for step in steps]
    assert turns.index(True) == fleet.CLUSTERS.index(environment)
    assert turns.count(True) == 1
