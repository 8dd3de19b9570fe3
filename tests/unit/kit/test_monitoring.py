"""The configuration for kube-state-metrics reads what objects have."""

import typing

import pytest
import yaml

from kit import health, states
from mailtier.api import crds, names

_FILE = health.ROOT / "docs/monitoring/kube-state-metrics.yaml"
_RESOURCES = yaml.safe_load(_FILE.read_text(encoding="utf-8"))["spec"]["resources"]
_METRICS = [(resource, metric) for resource in _RESOURCES for metric in resource["metrics"]]


def _at(value: typing.Any, path: list[str]) -> typing.Any:
    """Return what stands at a path, as kube-state-metrics follows it; None where there is nothing."""
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _schema(kind: str) -> dict[str, typing.Any]:
    (resource,) = (resource for resource in crds.ALL if resource.kind == kind)
    (version,) = crds.definition(resource)["spec"]["versions"]
    metadata = {"properties": {"name": {}, "namespace": {}, "generation": {}}}
    schema: dict[str, typing.Any] = version["schema"]["openAPIV3Schema"]
    return {**schema, "properties": {**schema["properties"], "metadata": metadata}}


def _exists(schema: dict[str, typing.Any], path: list[str]) -> bool:
    for key in path:
        schema = schema.get("items", schema)
        if key not in schema.get("properties", {}):
            return False
        schema = schema["properties"][key]
    return True


def test_it_names_each_kind_once() -> None:
    """kube-state-metrics ends with an error where a kind stands twice, and misses what is not named."""
    assert [resource["groupVersionKind"] for resource in _RESOURCES] == [
        {"group": names.GROUP, "version": names.VERSION, "kind": kind}
        for kind in (names.HOST_KIND, names.ORG_KIND, names.NOTIFICATION_KIND)
    ]


@pytest.mark.parametrize(
    ("resource", "metric"), _METRICS, ids=lambda found: found.get("name") or found["groupVersionKind"]["kind"]
)
def test_every_path_is_in_the_schema(resource: dict[str, typing.Any], metric: dict[str, typing.Any]) -> None:
    """A path that no object has would be a metric without a sample, silently."""
    schema = _schema(resource["groupVersionKind"]["kind"])
    each = metric["each"]
    type_ = each["type"]
    assert set(each) == {"type", type_[:1].lower() + type_[1:]}
    read = each[type_[:1].lower() + type_[1:]]
    paths = [*read.get("labelsFromPath", {}).values(), *([read["valueFrom"]] if "valueFrom" in read else [])]
    assert _exists(schema, read["path"])
    assert all(_exists(schema, [*read["path"], *path]) for path in paths)
    assert all(_exists(schema, path) for path in resource["labelsFromPath"].values())


def test_labels_hold_nothing_that_a_tenant_writes_into_a_field() -> None:
    """Beside the name of the object, a label is a word of ours: no host, no address, no text."""
    ours = {"condition", "reason", "source", "state", "category"}
    for _, metric in _METRICS:
        (read,) = (value for key, value in metric["each"].items() if key != "type")
        assert set(read.get("labelsFromPath", {})) <= ours


def test_every_state_has_its_series() -> None:
    """For each state of the table, each condition has exactly one status, among those that the set lists."""
    by_kind = {resource["groupVersionKind"]["kind"]: resource["metrics"] for resource in _RESOURCES}
    for state in states.all_states():
        (read,) = (metric["each"]["stateSet"] for metric in by_kind[state.kind] if metric["name"] == "status_condition")
        found = _at(state.document, read["path"])
        assert [_at(condition, read["valueFrom"]) in read["list"] for condition in found] == [True] * len(found)
