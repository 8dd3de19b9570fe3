"""Events on settings, on a real API server: told once when something changes, and never otherwise."""

import json
import typing

from kit import operators, worlds

HOST: dict[str, typing.Any] = {
    "smtp": {"host": "relay.platform.example"},
    "from": {"address": "no-reply@platform.example"},
}


def _events(world: worlds.World, namespace: str) -> list[tuple[str, str]]:
    found = world.cluster.kubectl("get", "events", "-n", namespace, "-o", "json").stdout
    items = sorted(json.loads(found)["items"], key=lambda item: item["eventTime"])
    return [(item["type"], item["reason"]) for item in items if item["involvedObject"]["kind"] == "OrgEmailSettings"]


def test_a_change_of_ready_is_told_on_the_object(world: worlds.World, operator: operators.Operator) -> None:
    """What breaks and what is mended is an Event each, which `kubectl describe` shows; a steady state adds none."""
    world.namespace("told")
    world.host(**HOST)
    world.org("told")
    world.until(lambda: world.reason("told") == "Published", "told/default is Ready")
    assert _events(world, "told") == []
    world.org("told", **{"from": {"address": "ceo@elsewhere.example"}})
    world.until(lambda: _events(world, "told") == [("Warning", "FromNotAllowed")], "the change is told")
    shown = world.cluster.kubectl("describe", "oes", "default", "-n", "told").stdout
    assert "Warning  FromNotAllowed" in shown
    assert "mailtier.dev/operator" in shown
    operator.stop()
    operator.start()
    world.org("told")
    world.until(lambda: len(_events(world, "told")) > 1, "the mending is told")
    assert _events(world, "told") == [("Warning", "FromNotAllowed"), ("Normal", "Published")]
