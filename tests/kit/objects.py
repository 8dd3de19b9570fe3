"""Kubernetes objects that tests create."""

import typing


def config_map(namespace: str, name: str, **data: str) -> dict[str, typing.Any]:
    """Return a ConfigMap with the label `test=yes`."""
    metadata = {"namespace": namespace, "name": name, "labels": {"test": "yes"}}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}
