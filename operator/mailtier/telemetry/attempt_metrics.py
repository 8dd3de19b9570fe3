"""The metrics of attempts and of what became of recipients; beside `metrics`, which holds all others.

Each message counts here, so that the series are looked up once.
"""

import functools
from typing import Final

import prometheus_client

from mailtier.api import vocabulary
from mailtier.telemetry import metrics

_DELIVERY: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0, 14400.0, 86400.0)

_finished = prometheus_client.Counter(
    "mailtier_recipients_finished_total",
    "Recipients that reached a final state.",
    ["state", "reason"],
    registry=metrics.SENDER_REGISTRY,
)
_latency = prometheus_client.Histogram(
    "mailtier_delivery_latency_seconds",
    "Time from the acceptance of a notification until the next hop took a recipient's message.",
    ["category"],
    buckets=_DELIVERY,
    registry=metrics.SENDER_REGISTRY,
)
_attempts = prometheus_client.Counter(
    "mailtier_attempts_total",
    "Attempts of delivery by the recipient's state after them, and why.",
    ["state", "reason"],
    registry=metrics.SENDER_REGISTRY,
)

# A series is looked up once: that takes longer than to count.
_finished_of: Final = functools.cache(_finished.labels)
_attempts_of: Final = functools.cache(_attempts.labels)
_latency_of: Final = functools.cache(_latency.labels)


def count_finished(*, state: vocabulary.RecipientState, reason: str) -> None:
    """Count a recipient that reached a final state."""
    _finished_of(state.value, reason).inc()


def count_attempt(*, state: vocabulary.RecipientState, reason: str) -> None:
    """Count an attempt by what it left the recipient in."""
    _attempts_of(state.value, reason).inc()


def observe_delivery(*, category: vocabulary.Category, seconds: float) -> None:
    """Record how long after its acceptance a recipient's message was taken by the next hop."""
    _latency_of(category.value).observe(seconds)
