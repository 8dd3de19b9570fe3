"""What a real operator exports, with organizations in several states."""

import typing

from prometheus_client import parser

from kit import operators, worlds
from mailtier.api import names, reasons, vocabulary
from mailtier.settings import effective

HOST: dict[str, typing.Any] = {
    "smtp": {"host": "relay.platform.example"},
    "from": {"address": "no-reply@platform.example"},
}
_CONDITIONS = set(vocabulary.Condition)
_STATUSES = {"True", "False", "Unknown"}
_REASONS = set(reasons.BY_NAME)
_RESOURCES = {
    *(names.HOST_PLURAL, names.ORG_PLURAL, names.NOTIFICATION_PLURAL, "namespaces", "configmaps", "secrets"),
    *("leases", "events", "services", "pods"),
}
_VALUES: dict[str, set[str]] = {
    "state": {state.value for state in effective.State},
    "condition": {str(condition) for condition in _CONDITIONS},
    "status": _STATUSES,
    "reason": _REASONS,
    "verb": {"get", "list", "watch", "create", "update", "apply", "delete"},
    "resource": _RESOURCES,
    "kind": {"host", "organization", "notification"},
    "outcome": {"written", "unchanged", "failed"},
    "queue": {"settings", "notifications", "references"},
    "port": {"intake", "health"},
    "cause": {"refused", "evicted", "late", "handshake", "preamble"},
}
"""The words that a label may hold; none of them is a tenant's."""


def _samples(operator: operators.Operator) -> dict[str, dict[frozenset[tuple[str, str]], float]]:
    """Return the operator's own samples by name and labels."""
    found: dict[str, dict[frozenset[tuple[str, str]], float]] = {}
    for family in parser.text_string_to_metric_families(operator.metrics):
        for sample in family.samples:
            if sample.name.startswith("mailtier_"):
                found.setdefault(sample.name, {})[frozenset(sample.labels.items())] = sample.value
    return found


def _value(operator: operators.Operator, name: str, **labels: str) -> float:
    return _samples(operator).get(name, {}).get(frozenset(labels.items()), 0.0)


def test_organizations_are_counted_by_what_they_come_to(world: worlds.World, operator: operators.Operator) -> None:
    """State, reason and every condition are numbers, and an organization that is mended leaves its old number."""
    for name in ("count-a", "count-b", "count-c"):
        world.namespace(name)
    world.host(**HOST)
    world.org("count-a")
    world.org("count-b")
    world.org("count-c", smtp={"host": "smtp.count.example"})

    def counts(state: str, reason: str) -> float:
        return _value(operator, "mailtier_organizations", state=state, reason=reason)

    world.until(lambda: counts("Active", "Published") == 2, "two organizations are Ready")
    assert counts("Blocked", "CredentialsRequired") == 1
    stalled = {"condition": "Stalled", "status": "True", "reason": "CredentialsRequired"}
    assert _value(operator, "mailtier_organization_conditions", **stalled) == 1
    ready = {"condition": "Ready", "status": "True", "reason": "Published"}
    assert _value(operator, "mailtier_organization_conditions", **ready) == 2
    assert _value(operator, "mailtier_host_conditions", **ready) == 1
    world.org("count-c")
    world.until(lambda: counts("Active", "Published") == 3, "all three are Ready")
    assert counts("Blocked", "CredentialsRequired") == 0


def test_the_operator_s_own_work_is_measured(world: worlds.World, operator: operators.Operator) -> None:
    """Who looks at a slow operator sees its queue, its reconciliations, and what the API server costs it."""
    world.namespace("work")
    world.host(**HOST)
    world.org("work")
    world.until(lambda: world.reason("work") == "Published", "work/default is Ready")
    assert operator.leads()
    samples = _samples(operator)
    assert {dict(labels)["queue"] for labels in samples["mailtier_work_queue_depth"]} >= {"settings"}
    writes = {"verb": "apply", "resource": "orgemailsettings"}
    assert _value(operator, "mailtier_kubernetes_requests_total", **writes, code="200") >= 1
    assert _value(operator, "mailtier_kubernetes_request_duration_seconds_count", **writes) >= 1
    for resource in ("orgemailsettings", "hostemailsettings", "notifications", "namespaces", "configmaps"):
        assert _value(operator, "mailtier_kubernetes_watches_total", resource=resource) >= 1, resource
        assert _value(operator, "mailtier_kubernetes_relists_total", resource=resource) >= 1, resource
    reconciled = {"kind": "organization", "outcome": "written"}
    assert _value(operator, "mailtier_reconcile_duration_seconds_count", **reconciled) >= 1


def test_no_label_holds_what_a_tenant_chose(world: worlds.World, operator: operators.Operator) -> None:
    """Every value of a label is a word of ours, whatever organizations are called and say."""
    world.namespace("tenant-chosen")
    world.host(**HOST)
    world.org("tenant-chosen", name="chosen-name", smtp={"host": "chosen.example"})
    world.until(lambda: world.reason("tenant-chosen", "chosen-name"), "it has a status")
    world.until(
        lambda: _value(operator, "mailtier_organizations", state="Blocked", reason="CredentialsRequired"),
        "it is counted",
    )
    assert "chosen" not in operator.metrics
    for name, series in _samples(operator).items():
        for labels in series:
            for label, value in labels:
                if label in _VALUES:
                    assert value in _VALUES[label], (name, label)
                elif label == "code":
                    assert value.isdigit() or value in {"timeout", "error", "too large"}, name
                else:
                    assert label in {"le", "version", "python"}, (name, label)
