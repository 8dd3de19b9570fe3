"""The metrics of what is learned from servers that ask for less; beside `metrics`, which holds all others."""

from typing import Literal

import prometheus_client

from mailtier.telemetry import metrics

_lessened = prometheus_client.Counter(
    "mailtier_lessened_total",
    "How often a server that asked for less (421, 432, 452, 454 and their like) is given fewer connections or messages:"
    " by one who uses it (`user`: a login, or a namespace where logins are shared) or by all together (`server`).",
    ["of"],
    registry=metrics.SENDER_REGISTRY,
)
_learned = prometheus_client.Gauge(
    "mailtier_learned_limits",
    "Limits of connections or messages that were learned so and are in force; they are raised again little by little.",
    registry=metrics.SENDER_REGISTRY,
)


def count_lessened(of: Literal["user", "server"]) -> None:
    """Count that a server is given less."""
    _lessened.labels(of=of).inc()


def set_learned(count: int) -> None:
    """Tell how many learned limits are in force."""
    _learned.set(count)
