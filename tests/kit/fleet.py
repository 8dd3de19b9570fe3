"""The example repository of the GitOps pages, built as Argo CD and Flux build it."""

import collections.abc
import os
import pathlib
import subprocess
import typing

import yaml

from kit import binaries, repository

GITOPS = repository.ROOT / "docs" / "gitops"
FOLDER = GITOPS / "fleet"
CLUSTERS = ("staging", "production")

Json = dict[str, typing.Any]


def build(folder: pathlib.Path) -> str:
    """Return what kustomize makes of a folder."""
    kubectl = binaries.ensure("kubectl")["kubectl"]
    return subprocess.run([kubectl, "kustomize", folder], capture_output=True, text=True, check=True).stdout


def with_component(name: str, folder: pathlib.Path) -> str:
    """Return the base with one component, put together in an empty folder."""
    content = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": [os.path.relpath(FOLDER / "base", folder)],
        "components": [os.path.relpath(FOLDER / "components" / name, folder)],
    }
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    return build(folder)


def documents(path: str) -> list[Json]:
    """Return the objects in a file of the GitOps pages."""
    return list(yaml.safe_load_all((GITOPS / path).read_text(encoding="utf-8")))


def made_secret(document: Json, values: collections.abc.Mapping[str, str]) -> Json:
    """Return the Secret that the controller of an ExternalSecret or a SealedSecret makes of it.

    Args:
        document: The object.
        values: What the store or the seal holds, by key.

    Source:
        External Secrets, guide "templating": with a template, labels and annotations come from that alone. Sealed
        Secrets, README: the Secret is the template with what was decrypted.
    """
    spec, metadata = document["spec"], document["metadata"]
    if document["kind"] == "ExternalSecret":
        template, keys = spec["target"]["template"], [entry["secretKey"] for entry in spec["data"]]
        name = spec["target"]["name"]
    else:
        template, keys, name = spec["template"], list(spec["encryptedData"]), metadata["name"]
    own = template["metadata"]
    assert own.get("name", name) == name
    assert own.get("namespace", metadata["namespace"]) == metadata["namespace"]
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": name,
            "namespace": metadata["namespace"],
            "annotations": own.get("annotations", {}),
        },
        "stringData": {key: values[key] for key in keys},
    }
