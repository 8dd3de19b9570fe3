"""The exported metrics follow Prometheus' conventions, and a tenant cannot make series."""

import collections.abc
import re

import pytest
from prometheus_client import parser
from prometheus_client.metrics_core import Metric

from mailtier.api import vocabulary
from mailtier.telemetry import attempt_metrics, intake_metrics, metrics

_ROLES: tuple[metrics.Role, ...] = ("operator", "sender")


def families(role: metrics.Role) -> dict[str, Metric]:
    """Return what Prometheus reads from a process of this role."""
    text = metrics.exposition(role).decode()
    return {family.name: family for family in parser.text_string_to_metric_families(text)}


def values(role: metrics.Role, name: str) -> dict[tuple[str, ...], float]:
    """Return the values of a metric by the values of its labels, in the order of their names."""
    return {tuple(sample.labels.values()): sample.value for sample in families(role)[name].samples}


def ours() -> collections.abc.Iterator[Metric]:
    """Return every metric that is ours."""
    seen = {name: family for role in _ROLES for name, family in families(role).items()}
    return (family for name, family in seen.items() if name.startswith("mailtier_"))


def test_names_follow_the_conventions() -> None:
    """Units are base units at the end of the name, counters end in _total, and each has a sentence."""
    for family in ours():
        assert re.fullmatch(r"mailtier_[a-z_]+[a-z]", family.name)
        assert not re.search(r"_(ms|milliseconds|minutes|kb|mb|percent|count|sum|total)$", family.name)
        assert family.documentation.endswith((".", "1."))
        if "duration" in family.name or "latency" in family.name or "age" in family.name.split("_"):
            assert family.name.endswith("_seconds")


def test_roles_do_not_mix() -> None:
    """A sender has no metric of the operator, and both say which build they are."""
    operator, sender = (set(families(role)) for role in _ROLES)
    assert {"mailtier_leader", "mailtier_organizations"} <= operator - sender
    assert {"mailtier_recipients", "mailtier_sessions_open"} <= sender - operator
    common = operator & sender
    assert {"mailtier_build_info", "mailtier_kubernetes_requests", "process_resident_memory_bytes"} <= common


def test_counts_replace_what_was_there() -> None:
    """A reason that no organization has any more is gone, and does not keep its last number."""
    metrics.set_organizations({("Active", "Published"): 3, ("Unresolved", "SecretNotBound"): 1})
    metrics.set_organizations({("Active", "Published"): 4})
    # The text format has labels in the order of their names.
    assert values("operator", "mailtier_organizations") == {("Published", "Active"): 4}
    metrics.set_host_conditions([("Ready", "False", "NotPublished"), ("Accepted", "True", "Accepted")])
    metrics.set_host_conditions([("Ready", "True", "Published")])
    assert values("operator", "mailtier_host_conditions") == {("Ready", "Published", "True"): 1}
    metrics.set_recipients({vocabulary.RecipientState.DEFERRED: 2}, oldest_age_seconds=60)
    metrics.set_recipients({vocabulary.RecipientState.IN_DOUBT: 1}, oldest_age_seconds=70)
    assert values("sender", "mailtier_recipients") == {("in doubt",): 1}
    assert values("sender", "mailtier_oldest_recipient_age_seconds") == {(): 70}


@pytest.mark.parametrize("category", ["Made up", "", None, "joballert"])
def test_unknown_category_is_one_series(category: str | None) -> None:
    """Whatever a caller sends as a category, the label says `unknown`."""
    before = values("sender", "mailtier_notifications_refused").get(("unknown", "Invalid"), 0)
    intake_metrics.count_refused(category=category, reason="Invalid")
    after = values("sender", "mailtier_notifications_refused")
    assert after["unknown", "Invalid"] == before + 1
    assert {labels[0] for labels in after} <= {"unknown", *vocabulary.Category}


def test_every_recorder_can_be_called() -> None:
    """Each function records what it says."""
    open_before = values("sender", "mailtier_sessions_open")[()]
    metrics.count_api_request(verb="get", resource="tests", code="200")
    metrics.count_relist(resource="configmaps")
    metrics.set_leader(True)
    metrics.set_organization_conditions({("Verified", "True", "Verified"): 1})
    metrics.set_would_block(2)
    metrics.observe_reconcile(kind="organization", outcome="written", seconds=0.01)
    metrics.set_work_queue_depth("settings", 5)
    metrics.count_retry("references")
    metrics.observe_api_request(verb="get", resource="tests", seconds=0.01)
    metrics.count_watch(resource="tests")
    metrics.set_feed_connected(True)
    metrics.set_settings(6)
    metrics.count_unusable_settings(component="effective-settings")
    intake_metrics.count_intake_request(route="/v1/x", code=202)
    intake_metrics.count_accepted(category="JobAlert", source="http")
    attempt_metrics.count_finished(state=vocabulary.RecipientState.ACCEPTED, reason="")
    attempt_metrics.count_attempt(state=vocabulary.RecipientState.DEFERRED, reason="ServerBusy")
    attempt_metrics.observe_delivery(category=vocabulary.Category.JOB_ALERT, seconds=1.5)
    metrics.observe_phase(phase="auth", seconds=0.2)
    metrics.add_sessions(2)
    metrics.add_sessions(-1)
    metrics.set_destinations({"closed": 1})
    metrics.count_probe(reason="Verified")
    metrics.observe_commit(operations=20, seconds=0.002)
    metrics.set_queue_size(size_bytes=4096, volume_used_ratio=0.5)
    for name, labels, value in (
        ("mailtier_kubernetes_requests", ("200", "tests", "get"), 1),
        ("mailtier_leader", (), 1),
        ("mailtier_work_queue_depth", ("settings",), 5),
        ("mailtier_organization_conditions", ("Verified", "Verified", "True"), 1),
        ("mailtier_organizations_would_block", (), 2),
        ("mailtier_kubernetes_watches", ("tests",), 1),
    ):
        assert values("operator", name)[labels] == value
    for name, labels, value in (
        ("mailtier_sessions_open", (), open_before + 1),
        ("mailtier_destinations", ("closed",), 1),
        ("mailtier_queue_bytes", (), 4096),
        ("mailtier_queue_volume_used_ratio", (), 0.5),
        ("mailtier_settings", (), 6),
    ):
        assert values("sender", name)[labels] == value
