"""Metrics of who connects to our ports, and of what is asked about them."""

from typing import Literal

import prometheus_client

from mailtier.telemetry import metrics

Port = Literal["intake", "health"]

_connections = prometheus_client.Gauge(
    "mailtier_connections",
    "Connections to a port of this process: `intake` or `health`.",
    ["port"],
    registry=metrics.COMMON,
)
_connections_ended = prometheus_client.Counter(
    "mailtier_connections_ended_total",
    "Connections that ended otherwise than by an answer: `refused` (no place), `evicted` (it gave up its place for"
    " another), `late` (it took too long), `handshake` (no TLS came about) or `preamble` (a trusted proxy did not say"
    " whom it speaks for).",
    ["port", "cause"],
    registry=metrics.COMMON,
)

_token_checks = prometheus_client.Counter(
    "mailtier_intake_token_checks_total",
    "Tokens of callers whose signature was looked at: `signed` by a key of the cluster, `forged`, or `unchecked`"
    " because the cluster does not publish its keys to us.",
    ["outcome"],
    registry=metrics.SENDER_REGISTRY,
)
_reviews_refused = prometheus_client.Counter(
    "mailtier_intake_reviews_refused_total",
    "Questions that were not put to the Kubernetes API because too many of the same address, or account, had come to"
    " nothing: `token` (whose it is) or `access` (what the account may).",
    ["kind"],
    registry=metrics.SENDER_REGISTRY,
)


def set_connections(*, port: Port, count: int) -> None:
    """Set how many connections a port has."""
    _connections.labels(port=port).set(count)


def count_connection_ended(
    *, port: Port, cause: Literal["refused", "evicted", "late", "handshake", "preamble"]
) -> None:
    """Count a connection that ended otherwise than by an answer."""
    _connections_ended.labels(port=port, cause=cause).inc()


def count_token_check(*, outcome: Literal["signed", "forged", "unchecked"]) -> None:
    """Count a token whose signature was looked at."""
    _token_checks.labels(outcome=outcome).inc()


def count_review_refused(*, kind: Literal["token", "access"]) -> None:
    """Count a question that was not put to the apiserver."""
    _reviews_refused.labels(kind=kind).inc()
