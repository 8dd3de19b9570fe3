"""The metric of what is in memory of what is queued; beside `metrics`, which holds all others."""

import prometheus_client

from mailtier.telemetry import metrics

_active = prometheus_client.Gauge(
    "mailtier_active_recipients",
    "Recipients in memory: being delivered, or about to be. Whatever else is queued is on the volume alone.",
    registry=metrics.SENDER_REGISTRY,
)


def set_active(recipients: int) -> None:
    """Tell how many recipients are in memory."""
    _active.set(recipients)
