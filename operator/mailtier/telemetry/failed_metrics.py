"""The metrics of what failed and can be sent again; beside `metrics`, which holds most others."""

from typing import Final

import prometheus_client

from mailtier.telemetry import metrics

REGISTRY: Final = metrics.SENDER_REGISTRY

_kept = prometheus_client.Gauge(
    "mailtier_failed_kept",
    "Notifications whose text is kept after they failed, expired or were suppressed, so that they can be sent again.",
    registry=REGISTRY,
)

_suppressed = prometheus_client.Gauge(
    "mailtier_suppressed_addresses",
    "Addresses to which an organization sends nothing for a while, as they were refused as unknown in two messages.",
    registry=REGISTRY,
)
_retried = prometheus_client.Counter(
    "mailtier_retried_total",
    "Recipients that failed, expired or were suppressed and that somebody had sent again.",
    registry=REGISTRY,
)
_dropped = prometheus_client.Counter(
    "mailtier_dropped_total",
    "Recipients that waited and that somebody dropped.",
    registry=REGISTRY,
)


def set_kept(count: int) -> None:
    """Tell of how many notifications that failed the text is kept."""
    _kept.set(count)


def set_suppressed(count: int) -> None:
    """Tell to how many addresses nothing is sent."""
    _suppressed.set(count)


def count_retried(count: int) -> None:
    """Count recipients that are sent again."""
    _retried.inc(count)


def count_dropped(count: int) -> None:
    """Count recipients that were dropped before their end."""
    _dropped.inc(count)
