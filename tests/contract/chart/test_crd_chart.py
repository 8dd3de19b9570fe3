"""The chart that has the CRDs alone, and the chart of Mailtier without them."""

import typing

from kit import helm
from mailtier.api import crds


def _rendered(values: dict[str, typing.Any] | None = None) -> dict[str, dict[str, typing.Any]]:
    objects = helm.objects(values, chart=helm.CRD_CHART)
    return {document["metadata"]["name"]: document for document in objects}


def test_it_is_without_fault_and_has_what_the_other_leaves_out() -> None:
    """Both together install what the chart of Mailtier installs alone."""
    helm.run("lint", "--strict", str(helm.CRD_CHART))
    found = _rendered()
    assert {name: document["spec"] for name, document in found.items()} == {
        resource.name: crds.definition(resource)["spec"] for resource in crds.ALL
    }
    bare = {document["kind"] for document in helm.objects({"crds": {"enabled": False}})}
    assert "CustomResourceDefinition" not in bare


def test_its_values_are_seen() -> None:
    """CRDs stay unless it is said that they go, and have the labels and annotations that are asked for."""
    wave = {"argocd.argoproj.io/sync-wave": "-2"}
    plain = _rendered().values()
    assert all(each["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"} for each in plain)
    chosen = _rendered({"keep": False, "labels": {"team": "a"}, "annotations": wave}).values()
    assert all(each["metadata"]["annotations"] == wave for each in chosen)
    assert all(each["metadata"]["labels"]["team"] == "a" for each in chosen)
