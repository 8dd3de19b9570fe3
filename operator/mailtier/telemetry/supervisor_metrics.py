"""What the sender's supervisor tells of its processes."""

from typing import Final

import prometheus_client

from mailtier.telemetry import metrics

_up: Final = prometheus_client.Gauge(
    "mailtier_sender_up",
    "1 while the sender's process of this part runs, else 0: while delivery does not, the intake takes and stores.",
    ["part"],
    registry=metrics.SENDER_REGISTRY,
)
_restarts: Final = prometheus_client.Counter(
    "mailtier_sender_deaths_total",
    "Times that the sender's process of this part died; three of them within a minute end the container.",
    ["part"],
    registry=metrics.SENDER_REGISTRY,
)


def set_up(part: str, *, is_up: bool) -> None:
    """Tell whether a part runs."""
    _up.labels(part=part).set(is_up)
    _restarts.labels(part=part)


def count_restart(part: str) -> None:
    """Count a death."""
    _restarts.labels(part=part).inc()
