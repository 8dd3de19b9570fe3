"""Whether the queue's database answers; beside `metrics`."""

import prometheus_client

from mailtier.telemetry import metrics

_up = prometheus_client.Gauge(
    "mailtier_queue_up",
    "1 while the queue's database answers, and 0 once it has not for 10 s: nothing is taken in or delivered meanwhile."
    " 1 with a queue on a volume.",
    registry=metrics.SENDER_REGISTRY,
)
_up.set(1)


def set_up(*, is_up: bool) -> None:
    """Tell whether it answers."""
    _up.set(is_up)
