"""The metrics of what failed and can be sent again; beside `metrics`, which holds most others."""

from typing import Final

import prometheus_client

from mailtier.telemetry import metrics

REGISTRY: Final = metrics.SENDER_REGISTRY

_kept = prometheus_client.Gauge(
    "mailtier_failed_kept",
    "Notifications that failed or expired whose text is kept, so that they can be sent again.",
    registry=REGISTRY,
)


def set_kept(count: int) -> None:
    """Tell of how many notifications that failed the text is kept."""
    _kept.set(count)
