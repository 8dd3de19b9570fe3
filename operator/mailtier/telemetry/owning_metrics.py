"""The metric of what a sender owns of a queue that several share; beside `metrics`, which holds all others."""

import prometheus_client

from mailtier.telemetry import metrics

_rooms = prometheus_client.Gauge(
    "mailtier_owned_rooms",
    "Servers of which this sender should be the only one that connects, by how far it is: it is (owned), it waits for"
    " another sender to leave them (awaited), or it leaves them to another one (leaving). None on an embedded queue.",
    ["state"],
    registry=metrics.SENDER_REGISTRY,
)


def set_rooms(*, owned: int, leaving: int, awaited: int) -> None:
    """Tell how many rooms are owned, are being left, and are awaited."""
    _rooms.labels("owned").set(owned)
    _rooms.labels("leaving").set(leaving)
    _rooms.labels("awaited").set(awaited)
