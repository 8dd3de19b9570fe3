"""The metrics of fallbacks; beside `metrics`, which holds all others."""

import prometheus_client

from mailtier.telemetry import metrics

_in_use = prometheus_client.Gauge(
    "mailtier_fallbacks_in_use",
    "First servers that are dead, so that their fallback takes the mail.",
    registry=metrics.SENDER_REGISTRY,
)


def set_in_use(count: int) -> None:
    """Tell for how many first servers a fallback is in use."""
    _in_use.set(count)
