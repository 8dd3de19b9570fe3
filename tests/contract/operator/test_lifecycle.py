"""The operator through crashes, hand-overs and outages, on a real API server."""

import pathlib
import typing

from kit import cluster as cluster_kit
from kit import operators, wait, worlds

ROOT = pathlib.Path(__file__).parents[3]

HOST: dict[str, typing.Any] = {
    "smtp": {"host": "relay.platform.example"},
    "from": {"address": "no-reply@platform.example"},
}


def _writes(world: worlds.World) -> list[str]:
    """Return what was written so far, in order: settings, status and ConfigMaps, but the controllers' own."""
    kinds = {"configmaps", "orgemailsettings", "hostemailsettings", "notifications"}
    references = [event["objectRef"] for event in world.cluster.writes() if event["objectRef"]["resource"] in kinds]
    return [
        f"{reference['resource']} {reference.get('namespace', '')}/{reference['name']}"
        for reference in references
        if reference.get("name", "kube-root-ca.crt") != "kube-root-ca.crt"
    ]


def test_a_restart_writes_nothing(world: worlds.World, operator: operators.Operator) -> None:
    """A steady state survives a crash without a single write but the Lease's (R8)."""
    world.namespace("steady")
    world.host(**HOST)
    world.org("steady")
    world.until(lambda: world.reason("steady") == "Published", "steady/default is Ready")
    world.until(
        lambda: (world.get("hes", "default")["status"].get("summary") or {}).get("ready") == 1, "the summary is written"
    )
    operator.restart()
    world.until(lambda: operator.reconciled("unchanged") >= 1 and operator.is_idle(), "everything was looked at")
    # The audit log is in order, so that what does not stand before our own marker did not happen.
    world.cluster.kubectl("create", "configmap", "marker", "-n", world.system)
    marker = f"configmaps {world.system}/marker"
    writes = world.until(lambda: found if marker in (found := _writes(world)) else None, "the marker is in the log")
    last = max(index for index, write in enumerate(writes) if write.startswith("hostemailsettings"))
    assert writes[last + 1 :] == [marker]


def test_a_standby_takes_over_at_once_when_the_leader_is_asked_to_end(
    world: worlds.World, operator: operators.Operator, tmp_path: pathlib.Path
) -> None:
    """SIGTERM gives the Lease up: nobody waits for it to expire."""
    world.namespace("hand")
    world.host(**HOST)
    with operators.Operator(tmp_path, world.cluster.kubeconfig, namespace=world.system, identity="standby") as standby:
        world.until(standby.is_ready, "the standby is ready while it contends")
        assert standby.leads() is False
        operator.stop()
        wait.until(standby.leads, within_seconds=8, why="the standby leads before the Lease would have expired")
        world.org("hand")
        world.until(lambda: world.reason("hand") == "Published", "the new leader works")


def test_an_outage_of_the_api_server_is_survived(tmp_path: pathlib.Path) -> None:
    """After the API server was away, what happened since is seen, by this process or by its next life (R8)."""
    with cluster_kit.LocalCluster() as control_plane:
        control_plane.apply_crds(ROOT / "crds")
        control_plane.kubectl("create", "namespace", "system")
        world = worlds.World(control_plane, "system")
        with operators.Operator(tmp_path, control_plane.kubeconfig, namespace="system") as operator:
            world.until(operator.is_ready, "the operator is ready")
            world.namespace("outage")
            world.host(**HOST)
            world.org("outage")
            world.until(lambda: world.reason("outage") == "Published", "outage/default is Ready")
            control_plane.restart_apiserver()
            world.org("outage", **{"from": {"displayName": "After"}})

            def published() -> bool:
                if not operator.running:
                    operator.start()
                return world.document("outage")["from"].get("display_name") == "After"

            world.until(published, "the change after the outage is published")


def test_a_deletion_during_a_gap_of_the_watch_is_found(tmp_path: pathlib.Path) -> None:
    """The operator relists after the API server lost its history, and drops what vanished meanwhile (R8)."""
    with cluster_kit.LocalCluster() as control_plane:
        control_plane.apply_crds(ROOT / "crds")
        control_plane.kubectl("create", "namespace", "system")
        world = worlds.World(control_plane, "system")
        with operators.Operator(tmp_path, control_plane.kubeconfig, namespace="system") as operator:
            world.until(operator.is_ready, "the operator is ready")
            world.namespace("gap")
            world.host(**HOST)
            world.org("gap")
            world.until(lambda: world.effective("gap") is not None, "gap/default is published")
            operator.pause()
            world.cluster.kubectl("delete", "oes", "default", "-n", "gap")
            control_plane.restart_apiserver()
            operator.resume()

            def withdrawn() -> bool:
                if not operator.running:
                    operator.start()
                return world.effective("gap") is None

            world.until(withdrawn, "gap/default is withdrawn")


def test_a_namespace_that_cannot_be_deleted_stops_nobody(tmp_path: pathlib.Path) -> None:
    """A namespace that a finalizer keeps for ever is listed and not counted: the operator starts and works (R8)."""
    # Without its controllers an API server leaves every deleted namespace Terminating.
    with cluster_kit.LocalCluster() as control_plane:
        control_plane.apply_crds(ROOT / "crds")
        control_plane.kubectl("create", "namespace", "system")
        world = worlds.World(control_plane, "system")
        world.namespace("stuck")
        world.org("stuck")
        control_plane.kubectl("delete", "namespace", "stuck", "--wait=false")
        with operators.Operator(tmp_path, control_plane.kubeconfig, namespace="system") as operator:
            world.until(operator.is_ready, "the operator is ready")
            world.namespace("well")
            world.host(**HOST)
            world.org("well")
            world.until(lambda: world.reason("well") == "Published", "well/default is Ready")
            assert world.effective("stuck") is None
