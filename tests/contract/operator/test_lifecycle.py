"""The operator through crashes, hand-overs and outages, on a real API server."""

import pathlib
import typing

from kit import operators, wait

HOST: dict[str, typing.Any] = {
    "smtp": {"host": "relay.platform.example"},
    "from": {"address": "no-reply@platform.example"},
}


def _writes(world: typing.Any, since: int = 0) -> list[dict[str, typing.Any]]:
    """Return the writes of settings, status and ConfigMaps so far, without those before."""
    kinds = {"configmaps", "orgemailsettings", "hostemailsettings", "notifications"}
    found = [event for event in world.cluster.writes() if event["objectRef"]["resource"] in kinds]
    return found[since:]


def test_a_restart_writes_nothing(world: typing.Any, operator: operators.Operator) -> None:
    """A steady state survives a crash without a single write but the Lease's (R8)."""
    world.namespace("steady")
    world.host(**HOST)
    world.org("steady")
    world.until(lambda: world.reason("steady") == "Published", "steady/default is Ready")
    world.until(
        lambda: (world.get("hes", "default")["status"].get("summary") or {}).get("ready") == 1, "the summary is written"
    )
    operator.restart()
    world.until(operator.is_ready, "the operator is ready again")
    world.until(lambda: operator.reconciled("unchanged") >= 1, "everything was looked at")
    # A write of our own marks the end: the audit log is in order, so that what is not before it did not happen.
    before = len(_writes(world))
    world.cluster.kubectl("create", "configmap", "marker", "-n", world.system)
    world.until(lambda: len(_writes(world)) > before, "the marker is in the audit log")
    after_restart = [
        event
        for event in _writes(world, before - 1)
        if "operator" in event.get("userAgent", "") or "aiohttp" in str(event)
    ]
    assert after_restart == []


def test_a_standby_takes_over_at_once_when_the_leader_is_asked_to_end(
    world: typing.Any, operator: operators.Operator, tmp_path: pathlib.Path
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


def test_an_outage_of_the_api_server_is_survived(world: typing.Any, operator: operators.Operator) -> None:
    """After the API server was away, what happened since is seen, by this process or its next life."""
    world.namespace("outage")
    world.host(**HOST)
    world.org("outage")
    world.until(lambda: world.reason("outage") == "Published", "outage/default is Ready")
    world.cluster.restart_apiserver()
    world.org("outage", **{"from": {"displayName": "After"}})
    if not operator.running:
        operator.start()
    world.until(
        lambda: (
            (operator.running or operator.start() is None)
            and world.document("outage")["from"].get("display_name") == "After"
        ),
        "the change after the outage is published",
    )
