"""A cluster with an operator, in the few words that tests ask of it."""

import collections.abc
import json
import typing

from kit import cluster as cluster_kit
from kit import wait

WITHIN = 30.0
"""Seconds that anything the operator does may take before a test gives up."""


class World:
    """What a test asks of the cluster, in a few words.

    Args:
        control_plane: The API server.
        system: The operator's namespace.
    """

    def __init__(self, control_plane: cluster_kit.LocalCluster, system: str) -> None:
        self.cluster = control_plane
        self.system = system

    def apply(self, *documents: dict[str, typing.Any]) -> None:
        """Apply objects as a GitOps pipeline would."""
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(documents)})
        self.cluster.kubectl("apply", "--server-side", "--field-manager=test", "-f", "-", input=text)

    def host(self, **spec: typing.Any) -> None:
        """Apply the host's settings."""
        self.apply(document("HostEmailSettings", "default", **spec))

    def org(self, namespace: str, name: str = "default", **spec: typing.Any) -> None:
        """Apply an organization's settings."""
        self.apply(document("OrgEmailSettings", name, namespace, **spec))

    def namespace(self, name: str, **labels: str) -> None:
        """Apply a namespace."""
        self.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})

    def get(self, kind: str, name: str, namespace: str = "") -> dict[str, typing.Any] | None:
        """Return an object, or None."""
        where = ("-n", namespace) if namespace else ()
        found = self.cluster.kubectl("get", kind, name, *where, "-o", "json", "--ignore-not-found").stdout
        return typing.cast("dict[str, typing.Any]", json.loads(found)) if found.strip() else None

    def conditions(self, namespace: str, name: str = "default") -> dict[str, dict[str, typing.Any]]:
        """Return an organization's conditions by type."""
        found = self.get("oes", name, namespace)
        assert found is not None
        return {condition["type"]: condition for condition in found["status"].get("conditions", [])}

    def reason(self, namespace: str, name: str = "default") -> str:
        """Return the reason of an organization's Ready; "" while it has none."""
        return str(self.conditions(namespace, name).get("Ready", {}).get("reason", ""))

    def effective(self, namespace: str, name: str = "default") -> dict[str, str] | None:
        """Return the data of an organization's effective ConfigMap, or None."""
        found = self.get("configmap", f"{namespace}.{name}", self.system)
        return None if found is None else dict(found["data"])

    def document(self, namespace: str, name: str = "default") -> dict[str, typing.Any]:
        """Return the settings in an organization's effective.json; {} while there is none."""
        found = self.effective(namespace, name)
        return {} if found is None else dict(json.loads(found["effective.json"])["settings"])

    def until(
        self, predicate: collections.abc.Callable[[], object], why: str, *, within_seconds: float = WITHIN
    ) -> typing.Any:
        """Wait for something that the operator does."""
        return wait.until(predicate, within_seconds=within_seconds, why=why, poll_seconds=0.1)


def document(kind: str, name: str, namespace: str = "", **spec: typing.Any) -> dict[str, typing.Any]:
    """Return an object of ours."""
    metadata = {"name": name} | ({"namespace": namespace} if namespace else {})
    return {"apiVersion": "mailtier.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec}
