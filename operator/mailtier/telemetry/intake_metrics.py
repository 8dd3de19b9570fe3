"""The metrics of the intake: its requests, and what became of the notifications in them; beside `metrics`."""

import functools
from typing import Final, Literal

import prometheus_client

from mailtier.telemetry import metrics

_intake_requests = prometheus_client.Counter(
    "mailtier_intake_requests_total",
    "Requests to the intake by route and HTTP status.",
    ["route", "code"],
    registry=metrics.SENDER_REGISTRY,
)
_accepted = prometheus_client.Counter(
    "mailtier_notifications_accepted_total",
    "Notifications that were durably queued; the source is `http` or `object`.",
    ["category", "source"],
    registry=metrics.SENDER_REGISTRY,
)
_refused = prometheus_client.Counter(
    "mailtier_notifications_refused_total",
    "Notifications that were not taken.",
    ["category", "reason"],
    registry=metrics.SENDER_REGISTRY,
)
_would_refuse = prometheus_client.Counter(
    "mailtier_would_refuse_total",
    "Notifications that were taken, and that the host's policy would have refused if its mode were Enforce.",
    ["reason"],
    registry=metrics.SENDER_REGISTRY,
)

# A series is looked up once: that takes longer than to count.
_requests_of: Final = functools.cache(_intake_requests.labels)
_accepted_of: Final = functools.cache(_accepted.labels)


def count_intake_request(*, route: str, code: int) -> None:
    """Count a request to the intake; `route` is the route's pattern, never the path that was asked for."""
    _requests_of(route, code).inc()


def count_accepted(*, category: str, source: Literal["http", "object"]) -> None:
    """Count a notification that was durably queued."""
    _accepted_of(metrics.category_name(category), source).inc()


def count_refused(*, category: str | None, reason: str) -> None:
    """Count a notification that was not taken; the category may be anything or None, as the caller sent it."""
    _refused.labels(category=metrics.category_name(category), reason=reason).inc()


def count_would_refuse(*, reason: str) -> None:
    """Count a notification that was taken, and that the policy would have refused if it were enforced."""
    _would_refuse.labels(reason=reason).inc()
