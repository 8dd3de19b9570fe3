"""Whoever waits for an object with the usual tools, on a real API server with a real operator."""

import datetime as dt
import typing

from kit import health, operators, wait, worlds

HOST: dict[str, typing.Any] = {
    "smtp": {"host": "relay.platform.example"},
    "from": {"address": "no-reply@platform.example"},
}


def _waits(world: worlds.World, condition: str, namespace: str, *, within: str = "1s") -> bool:
    """Return whether `kubectl wait` for a condition of an organization ends well in time."""
    waited = world.cluster.kubectl(
        "wait", f"--for=condition={condition}", f"--timeout={within}", "-n", namespace, "oes/default", check=False
    )
    assert waited.returncode == 0 or "timed out waiting for the condition" in waited.stderr, waited.stderr
    return waited.returncode == 0


def _transition(world: worlds.World, namespace: str, type_: str = "Ready") -> str:
    return str(world.conditions(namespace)[type_]["lastTransitionTime"])


def _await_later_second(than: str) -> None:
    """Wait for the clock to leave the second of a time: times in status have whole seconds."""
    wait.until(
        lambda: dt.datetime.now(dt.UTC) >= dt.datetime.fromisoformat(than) + dt.timedelta(seconds=1),
        within_seconds=5,
        why="the clock is in a later second",
    )


def test_kubectl_wait_ends_when_all_is_well(world: worlds.World, operator: operators.Operator) -> None:
    """A pipeline that applies and waits goes on when the organization is Ready."""
    world.namespace("wait-well")
    world.host(**HOST)
    world.org("wait-well")
    assert _waits(world, "Ready", "wait-well", within="30s")
    assert not _waits(world, "Stalled", "wait-well")
    assert operator.running


def test_kubectl_wait_tells_what_needs_somebody(world: worlds.World, operator: operators.Operator) -> None:
    """Ready never comes for what is Stalled, and waiting for Stalled beside it ends at once."""
    world.namespace("wait-stalled")
    world.host(**HOST)
    world.org("wait-stalled", smtp={"host": "smtp.stalled.example"})
    assert _waits(world, "Stalled", "wait-stalled", within="30s")
    assert not _waits(world, "Ready", "wait-stalled")
    assert _waits(world, "Ready=False", "wait-stalled")
    assert operator.running


def test_kubectl_wait_goes_on_while_a_secret_may_come(world: worlds.World, operator: operators.Operator) -> None:
    """What is Reconciling is not Ready and not Stalled, and ends well when the Secret is there."""
    world.namespace("wait-secret")
    world.host(**HOST)
    world.org("wait-secret", auth={"username": "u", "passwordSecretRef": {"name": "smtp"}})
    assert _waits(world, "Reconciling", "wait-secret", within="30s")
    assert not _waits(world, "Stalled", "wait-secret")
    metadata = {
        "name": "smtp",
        "namespace": "wait-secret",
        "annotations": {"mailtier.dev/endpoint": "relay.platform.example"},
    }
    world.apply({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {"password": "hunter2"}})
    assert _waits(world, "Ready", "wait-secret", within="30s")
    assert operator.running


def test_an_old_status_satisfies_nobody(world: worlds.World, operator: operators.Operator) -> None:
    """Between a change and the operator's look at it, neither kubectl nor kstatus nor Argo CD takes Ready for new."""
    world.namespace("wait-stale")
    world.host(**HOST)
    world.org("wait-stale")
    assert _waits(world, "Ready", "wait-stale", within="30s")
    operator.pause()
    try:
        world.org("wait-stale", **{"from": {"displayName": "New"}})
        assert world.conditions("wait-stale")["Ready"]["status"] == "True"
        assert not _waits(world, "Ready", "wait-stale")
        world.org("wait-stale", name="unseen")
        stale, unseen = world.get("oes", "default", "wait-stale"), world.get("oes", "unseen", "wait-stale")
    finally:
        operator.resume()
    assert _waits(world, "Ready", "wait-stale", within="30s")
    assert stale is not None
    assert unseen is not None
    assert unseen["status"] == {"observedGeneration": -1}
    current = world.get("oes", "default", "wait-stale")
    assert current is not None
    checks = health.expressions("Health checks in CEL")
    verdicts = health.ask([stale, unseen, current], flux=checks)
    assert [verdict.kstatus for verdict in verdicts] == ["InProgress", "InProgress", "Current"]
    assert [verdict.argocd for verdict in verdicts] == ["Progressing", "Progressing", "Healthy"]
    assert [verdict.flux for verdict in verdicts] == ["InProgress", "InProgress", "Current"]


def test_field_selectors_find_organizations(world: worlds.World, operator: operators.Operator) -> None:
    """Who overrides the host, and who names a server, is asked of the API server, not filtered by the reader."""
    for namespace in ("select-host", "select-mixed", "select-own"):
        world.namespace(namespace)
    world.host(**HOST)
    world.org("select-host")
    world.org("select-mixed", **{"from": {"displayName": "Mixed"}})
    world.org("select-own", smtp={"host": "smtp.select.example"}, auth={"mechanism": "Anonymous"})
    for namespace in ("select-host", "select-mixed", "select-own"):
        world.until(lambda namespace=namespace: world.reason(namespace), f"{namespace} has a status")

    def found(selector: str) -> set[str]:
        listed = world.cluster.kubectl(
            *("get", "oes", "--all-namespaces", f"--field-selector={selector}"),
            *("-o", "jsonpath={.items[*].metadata.namespace}"),
        )
        return {namespace for namespace in listed.stdout.split() if namespace.startswith("select-")}

    assert found("status.source=Host") == {"select-host"}
    assert found("status.source!=Host") == {"select-mixed", "select-own"}
    assert found("spec.smtp.host=smtp.select.example") == {"select-own"}
    assert operator.running


def test_a_time_of_transition_moves_with_the_status_alone(world: worlds.World, operator: operators.Operator) -> None:
    """A new reason under the same status keeps the time since when it has been so; a new status has a new one."""
    world.namespace("since")
    world.host(**HOST)
    world.org("since", **{"from": {"address": "elsewhere@since.example"}})
    world.until(lambda: world.reason("since") == "FromNotAllowed", "since/default is blocked")
    since = _transition(world, "since")
    _await_later_second(since)
    world.org("since", smtp={"host": "smtp.since.example"})
    world.until(lambda: world.reason("since") == "CredentialsRequired", "it is blocked for another reason")
    assert _transition(world, "since") == _transition(world, "since", "Stalled") == since
    world.org("since")
    world.until(lambda: world.reason("since") == "Published", "it is Ready")
    assert _transition(world, "since") > since
    assert _transition(world, "since", "ResolvedRefs") == since
    assert operator.running
