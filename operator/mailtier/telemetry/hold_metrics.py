"""The metric of what is held, and why; beside `metrics`, which holds all others."""

from collections.abc import Mapping
from typing import Literal

import prometheus_client

from mailtier.telemetry import metrics

Of = Literal["organization", "lane", "pause", "awaited"]

_holds = prometheus_client.Gauge(
    "mailtier_holds",
    "What keeps messages back, by reason: `organization` (settings or credentials), `lane` (one class of an"
    " organization, whose settings the server refuses), `pause` (an organization that waits alone for what it met at"
    " its server, or for the rate that the server was found to take) and `awaited` (an organization that waits for an"
    " access token, a login or a connection, and is told when it has it).",
    ["of", "reason"],
    registry=metrics.SENDER_REGISTRY,
)


def set_holds(counts: Mapping[tuple[Of, str], int]) -> None:
    """Replace the numbers of holds."""
    _holds.clear()
    for (of, reason), count in counts.items():
        _holds.labels(of=of, reason=reason).set(count)
