"""What the operator makes of organizations, on a real API server."""

import json
import re
import shlex
import typing

from kit import operators, worlds

HOST: dict[str, typing.Any] = {
    "smtp": {"host": "relay.platform.example"},
    "from": {"address": "no-reply@platform.example", "displayName": "Platform"},
}
"""The least that makes every organization Ready."""


def test_an_empty_spec_inherits_everything(world: worlds.World, operator: operators.Operator) -> None:
    """`spec: {}` is a whole organization, with the origin of every value."""
    world.namespace("empty")
    world.host(**HOST)
    world.org("empty")
    world.until(lambda: world.reason("empty") == "Published", "empty/default is Ready")
    settings = world.document("empty")
    assert settings["endpoint"]["host"] == "relay.platform.example"
    assert settings["provenance"]["from.address"] == "Host"
    assert settings["provenance"]["smtp.port"] == "Default"
    found = world.get("oes", "default", "empty")
    assert found["status"]["observedGeneration"] == found["metadata"]["generation"]
    assert found["status"]["source"] == "Host"
    assert operator.running


def test_a_host_change_reaches_every_organization_and_an_override_stays(
    world: worlds.World, operator: operators.Operator
) -> None:
    """The host's new value is inherited at once; where it is overridden, the organization's stays."""
    world.namespace("fan-a")
    world.namespace("fan-b")
    world.host(**HOST)
    world.org("fan-a")
    world.org("fan-b", **{"from": {"displayName": "B"}})
    for namespace in ("fan-a", "fan-b"):
        world.until(lambda namespace=namespace: world.reason(namespace) == "Published", "both are Ready")
    world.host(**(HOST | {"from": {"address": "post@platform.example", "displayName": "New"}}))
    world.until(lambda: world.document("fan-a")["from"]["display_name"] == "New", "fan-a inherits the change")
    world.until(lambda: world.document("fan-b")["from"]["address"] == "post@platform.example", "fan-b inherits it")
    assert world.document("fan-b")["from"]["display_name"] == "B"
    assert operator.running


def test_removing_an_override_falls_back_to_the_host(world: worlds.World, operator: operators.Operator) -> None:
    """Nothing is erased by overriding, and nothing is left of an override that is removed."""
    world.namespace("back")
    world.host(**HOST)
    world.org("back", **{"from": {"displayName": "Mine"}})
    world.until(lambda: world.document("back").get("from", {}).get("display_name") == "Mine", "the override acts")
    world.org("back")
    world.until(lambda: world.document("back")["from"]["display_name"] == "Platform", "the host's value is back")
    assert world.document("back")["provenance"]["from.displayName"] == "Host"
    assert operator.running


def test_an_unbound_secret_is_mended_by_the_command_that_status_prints(
    world: worlds.World, operator: operators.Operator
) -> None:
    """A stranger copies one line out of the status, and the organization is Ready (R3)."""
    world.namespace("unbound")
    world.host(**HOST)
    world.cluster.kubectl("create", "secret", "generic", "smtp", "-n", "unbound", "--from-literal=password=hunter2")
    world.org(
        "unbound",
        smtp={"host": "smtp.unbound.example"},
        auth={"username": "u", "passwordSecretRef": {"name": "smtp"}},
    )
    world.until(lambda: world.reason("unbound") == "SecretNotBound", "unbound/default says SecretNotBound")
    assert world.document("unbound")["state"] == "Unresolved"
    conditions = world.conditions("unbound")
    assert conditions["Stalled"]["status"] == "True"
    command = re.search(r"kubectl annotate .*?--overwrite", conditions["Ready"]["message"])
    assert command is not None, conditions["Ready"]["message"]
    world.cluster.kubectl(*shlex.split(command.group())[1:])
    world.until(lambda: world.reason("unbound") == "Published", "unbound/default is Ready")
    assert "Stalled" not in world.conditions("unbound")
    assert "hunter2" not in operator.log
    assert "hunter2" not in json.dumps(world.get("oes", "default", "unbound"))


def test_a_secret_that_comes_later_is_found(world: worlds.World, operator: operators.Operator) -> None:
    """A pipeline may apply the object before the Secret: the status says Reconciling, and mends itself (R9)."""
    world.namespace("later")
    world.host(**HOST)
    world.org("later", smtp={"host": "smtp.later.example"}, auth={"username": "u", "passwordSecretRef": {"name": "s"}})
    world.until(lambda: world.reason("later") == "SecretNotFound", "later/default waits for its Secret")
    assert world.conditions("later")["Reconciling"]["status"] == "True"
    world.apply(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {
                "name": "s",
                "namespace": "later",
                "annotations": {"mailtier.dev/endpoint": "smtp.later.example:587"},
            },
            "stringData": {"password": "hunter2"},
        }
    )
    world.until(lambda: world.reason("later") == "Published", "later/default is Ready")
    assert operator.running


def test_an_own_endpoint_without_credentials_is_blocked(world: worlds.World, operator: operators.Operator) -> None:
    """The host's credentials are not sent to a tenant's server, and status says what to do (R3)."""
    world.namespace("bare")
    world.host(**HOST)
    world.org("bare", smtp={"host": "smtp.bare.example"})
    world.until(lambda: world.reason("bare") == "CredentialsRequired", "bare/default is blocked")
    assert world.document("bare")["state"] == "Blocked"
    assert "spec.auth" in world.conditions("bare")["Ready"]["message"]
    assert operator.running


def test_namespaces_without_an_object_are_organizations_where_the_policy_says_so(
    world: worlds.World, operator: operators.Operator
) -> None:
    """A selected namespace has effective settings without any object; its conditions stand in the ConfigMap."""
    world.namespace("implied", mail="yes")
    world.namespace("not-implied")
    rules = {"organizations": {"mode": "Selector", "selector": {"matchLabels": {"mail": "yes"}}}}
    world.host(**HOST, policy=rules)
    world.until(lambda: world.document("implied").get("state") == "Active", "implied/default has settings")
    assert world.effective("not-implied") is None
    assert "Ready=True Published" in world.effective("implied")["conditions"]
    world.namespace("implied")
    world.until(lambda: world.effective("implied") is None, "a namespace that lost its label has none")
    world.org("not-implied")
    world.until(lambda: world.reason("not-implied") == "NamespaceNotAllowed", "an object elsewhere is refused")
    assert operator.running


def test_drift_of_an_effective_config_map_is_repaired(world: worlds.World, operator: operators.Operator) -> None:
    """Whoever edits or deletes what the sender trusts finds it as it was (R8)."""
    world.namespace("drift")
    world.host(**HOST)
    world.org("drift")
    world.until(lambda: world.document("drift"), "the effective settings are published")
    before = world.effective("drift")
    world.cluster.kubectl(
        "patch", "configmap", "drift.default", "-n", world.system, "--type=merge", "-p", '{"data":{"state":"Odd"}}'
    )
    world.until(lambda: world.effective("drift") == before, "the edit is undone")
    world.cluster.kubectl("delete", "configmap", "drift.default", "-n", world.system)
    world.until(lambda: world.effective("drift") == before, "it is back")
    assert operator.running


def test_what_is_deleted_goes_whether_or_not_anybody_watched(world: worlds.World, operator: operators.Operator) -> None:
    """An organization's ConfigMap goes with its object, also when the operator was away meanwhile (R8)."""
    for name in ("gone-a", "gone-b"):
        world.namespace(name)
    world.host(**HOST)
    world.org("gone-a")
    world.org("gone-b")
    for name in ("gone-a", "gone-b"):
        world.until(lambda name=name: world.document(name), f"{name} is published")
    world.cluster.kubectl("delete", "oes", "default", "-n", "gone-a")
    world.until(lambda: world.effective("gone-a") is None, "gone-a is withdrawn")
    operator.kill()
    world.cluster.kubectl("delete", "oes", "default", "-n", "gone-b")
    assert world.effective("gone-b") is not None
    operator.start()
    world.until(lambda: world.effective("gone-b") is None, "gone-b is swept")


def test_the_host_s_status_sums_up_its_organizations(world: worlds.World, operator: operators.Operator) -> None:
    """One look at the host tells how many organizations there are, and how many are in trouble."""
    for name in ("sum-a", "sum-b"):
        world.namespace(name)
    world.host(**HOST)
    world.org("sum-a")
    world.org("sum-b", smtp={"host": "smtp.sum.example"})
    expected = {"organizations": 2, "ready": 1, "blocked": 1, "overriding": 1}
    world.until(
        lambda: (world.get("hes", "default")["status"].get("summary") or {}).items() >= expected.items(),
        f"the summary says {expected}",
    )
    assert operator.running
