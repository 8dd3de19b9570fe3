"""A GitOps tool that applies objects again and again, as Argo CD and Flux do."""

import collections.abc
import json
import typing

from kit import cluster as cluster_kit

ARGOCD = "argocd-controller"
FLUX = "kustomize-controller"
"""As whom they own fields."""


class Pipeline:
    """A tool that applies the same objects again and again.

    Args:
        cluster: Where to.
        manager: Its name as a field manager.
        text: The objects, as YAML.
    """

    def __init__(self, cluster: cluster_kit.LocalCluster, manager: str, text: str) -> None:
        self._kubectl = cluster.kubectl
        self._options = ("apply", "--server-side", f"--field-manager={manager}", "--validate=strict", "-f", "-")
        self._text = text

    def sync(self) -> list[dict[str, typing.Any]]:
        """Apply the objects, without force, and return them as the API server has them then."""
        return self._items(self._kubectl(*self._options, "-o", "json", input=self._text).stdout)

    def predicted(self) -> list[dict[str, typing.Any]]:
        """Return the objects as they would be after another sync, which is what both tools compare with."""
        return self._items(self._kubectl(*self._options, "-o", "json", "--dry-run=server", input=self._text).stdout)

    def live(self) -> list[dict[str, typing.Any]]:
        """Return the objects as they are."""
        shown = self._kubectl("get", "-f", "-", "--show-managed-fields", "-o", "json", input=self._text).stdout
        return self._items(shown)

    def differences(self) -> list[str]:
        """Return the names of the objects that another sync would change, their metadata included."""
        found = zip(self.predicted(), self.live(), strict=True)
        return [
            live["metadata"]["name"] for predicted, live in found if _without_owners(predicted) != _without_owners(live)
        ]

    @staticmethod
    def _items(text: str) -> list[dict[str, typing.Any]]:
        document = json.loads(text)
        return list(document["items"]) if document["kind"] == "List" else [document]


def _without_owners(document: dict[str, typing.Any]) -> dict[str, typing.Any]:
    metadata = {name: value for name, value in document["metadata"].items() if name != "managedFields"}
    return {**document, "metadata": metadata}


def owned(document: dict[str, typing.Any], manager: str) -> set[str]:
    """Return the paths of the fields that a manager owns."""
    entries = [entry for entry in document["metadata"]["managedFields"] if entry["manager"] == manager]
    return {path for entry in entries for path in _leaves(entry["fieldsV1"], "")}


def _leaves(fields: dict[str, typing.Any], path: str) -> collections.abc.Iterator[str]:
    below = {name: value for name, value in fields.items() if name != "."}
    if not below:
        yield path
    for name, value in below.items():
        yield from _leaves(value, f"{path}/{name}")
