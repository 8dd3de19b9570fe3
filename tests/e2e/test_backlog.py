"""Who has a backlog, seen with kubectl alone, and what became of a Notification that failed."""

import json
import typing

import pytest

from kit import certs, installations, tenants
from kit import cluster as cluster_kit


def _queue(installation: installations.Installation, kind: str, namespace: str = "") -> dict[str, typing.Any]:
    found = installation.world.get(kind, "default", namespace)
    assert found is not None
    return typing.cast("dict[str, typing.Any]", found["status"].get("queue", {}))


def _notify(installation: installations.Installation, tenant: tenants.Tenant, name: str, recipient: str) -> None:
    document = {
        "apiVersion": "mailtier.dev/v1alpha1",
        "kind": "Notification",
        "metadata": {"name": name, "namespace": tenant.namespace},
        "spec": {"category": "JobAlert", "text": "It failed.", "recipients": [recipient]},
    }
    installation.world.apply(document)


def test_a_backlog_and_a_failure_are_seen_with_kubectl(
    cluster: cluster_kit.LocalCluster, ca: certs.Authority, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """What waits is a column of `kubectl get -o wide` until it is gone, and a failure an Event on its object."""
    with installations.run(cluster, ca, tmp_path_factory.mktemp("backlog")) as installation:
        world = installation.world
        waiting, flowing = (installation.tenant(suspend=suspend) for suspend in (True, False))
        _notify(installation, waiting, "waits", "ops@example.com")
        _notify(installation, flowing, "fails", "nobody@example.com")

        def events() -> list[tuple[str, str]]:
            found = world.cluster.kubectl("get", "events", "-n", flowing.namespace, "-o", "json").stdout
            of = [item for item in json.loads(found)["items"] if item["involvedObject"]["kind"] == "Notification"]
            return [(item["type"], item["reason"]) for item in of]

        world.until(lambda: events() == [("Warning", "Failed")], "the failure is told")
        world.until(
            lambda: _queue(installation, "oes", waiting.namespace).get("held") == 1,
            "what is held is in the organization's status",
            within_seconds=120,
        )
        world.until(lambda: _queue(installation, "hes").get("held") == 1, "and in the host's", within_seconds=60)
        assert _queue(installation, "oes", flowing.namespace) == {}
        head, line = world.cluster.kubectl("get", "oes", "-n", waiting.namespace, "-o", "wide").stdout.splitlines()
        first = head.split().index("QUEUED")
        assert head.split()[first : first + 4] == ["QUEUED", "DEFERRED", "HELD", "OLDEST"]
        # Before these columns no value is empty or of two words.
        assert line.split()[first : first + 3] == ["0", "0", "1"]
        world.org(waiting.namespace)
        world.until(
            lambda: not _queue(installation, "oes", waiting.namespace) and not _queue(installation, "hes"),
            "once it is delivered nothing is said of it",
            within_seconds=120,
        )
        assert events() == [("Warning", "Failed")]
