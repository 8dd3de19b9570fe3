"""What commands learn from the pod that the sender runs in."""

import typing

import pytest

from mailtier.cli.online import cluster

_HASH = "6d5f7c9b8"


@pytest.mark.parametrize(
    ("owners", "labels", "service"),
    [
        ([{"kind": "StatefulSet", "name": "post"}], {}, "post"),
        ([{"kind": "ReplicaSet", "name": f"post-{_HASH}"}], {"pod-template-hash": _HASH}, "post"),
        ([{"kind": "Job", "name": "post"}], {}, "mailtier"),
        (None, None, "mailtier"),
    ],
    ids=["volume", "database", "another", "alone"],
)
def test_certificate_is_for_the_service_of_whatever_made_the_pod(
    owners: list[dict[str, typing.Any]] | None, labels: dict[str, str] | None, service: str
) -> None:
    """The chart calls the Service as what makes the pods, a StatefulSet or a Deployment with its ReplicaSets."""
    assert cluster.service_of({"ownerReferences": owners, "labels": labels}) == service
