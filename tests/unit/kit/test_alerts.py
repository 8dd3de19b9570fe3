"""The alert rules ask for metrics that there are."""

import re
import typing

import yaml

from kit import repository
from mailtier.telemetry import (
    attempt_metrics,  # noqa: F401  # What has a metric of its own registers it; likewise below.
    hold_metrics,  # noqa: F401
    intake_metrics,  # noqa: F401
    lag,  # noqa: F401
    metrics,
    queue_metrics,  # noqa: F401
    supervisor_metrics,  # noqa: F401
)

_RULES: list[dict[str, typing.Any]] = [
    rule
    for group in yaml.safe_load(repository.read("docs/monitoring/alerts.yaml"))["groups"]
    for rule in group["rules"]
]
_OURS = re.compile(r"\bmailtier_[a-z_]+")


def test_every_metric_is_exported() -> None:
    """An alert on a series that nothing exports would never fire, and a hint at one would lead nowhere."""
    exported = b"".join(metrics.exposition(role) for role in ("operator", "sender")).decode()
    assert _RULES
    for rule in _RULES:
        for name in _OURS.findall(rule["expr"] + rule["annotations"]["description"]):
            assert re.search(rf"^(# TYPE )?{name.removesuffix('_bucket')}[ {{]", exported, re.MULTILINE), name


def test_every_alert_says_what_it_is_and_what_to_do() -> None:
    """Each has a name of ours, a severity, a sentence and a way on."""
    for rule in _RULES:
        assert rule["alert"].startswith("Mailtier")
        assert rule["labels"]["severity"] in {"warning", "critical"}
        assert rule["annotations"]["summary"].endswith(".")
        assert rule["annotations"]["description"].endswith(".")
