"""The Prometheus metrics that Mailtier exports, beside `lag`; `docs/reference/metrics.md` is generated from them.

No label has a value that a tenant chooses: categories, states, reasons and phases are ours and few, so that ten
thousand organizations are as many series as one.
"""

import platform
from collections.abc import Iterable, Mapping
from typing import Final, Literal, TypeVar

import prometheus_client
from prometheus_client import exposition as _exposition

import mailtier
from mailtier.api import vocabulary

Role = Literal["operator", "sender"]
Queue = Literal["settings", "notifications", "references"]

_CATEGORIES: Final = frozenset(category.value for category in vocabulary.Category)
_Values = TypeVar("_Values", bound=tuple[str, ...])

CONTENT_TYPE: Final = _exposition.CONTENT_TYPE_PLAIN_0_0_4

# When a series began is of no use to us, and would double the counters.
prometheus_client.disable_created_metrics()

COMMON: Final = prometheus_client.CollectorRegistry()
_OPERATOR: Final = prometheus_client.CollectorRegistry()
_SENDER: Final = prometheus_client.CollectorRegistry()
_REGISTRIES: Final[Mapping[Role, prometheus_client.CollectorRegistry]] = {"operator": _OPERATOR, "sender": _SENDER}
"""One process exports its own role's metrics: a sender has no leader, and does not say 0 either."""
SENDER_REGISTRY: Final = _SENDER

prometheus_client.ProcessCollector(registry=COMMON)
prometheus_client.GCCollector(registry=COMMON)

FAST: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_NETWORK: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 600.0)
_BATCH: Final = (1, 2, 5, 10, 20, 50, 100, 200, 500)

_build = prometheus_client.Gauge("mailtier_build_info", "Always 1.", ["version", "python"], registry=COMMON)
_build.labels(version=mailtier.__version__, python=platform.python_version()).set(1)
_api_requests = prometheus_client.Counter(
    "mailtier_kubernetes_requests_total",
    "Requests to the Kubernetes API; the code is an HTTP status, `timeout` or `error`.",
    ["verb", "resource", "code"],
    registry=COMMON,
)
_api_duration = prometheus_client.Histogram(
    "mailtier_kubernetes_request_duration_seconds",
    "Time of one request to the Kubernetes API, with its repeats where the API asked for them; watches are left out.",
    ["verb", "resource"],
    buckets=FAST,
    registry=COMMON,
)
_events = prometheus_client.Counter(
    "mailtier_events_total",
    "Kubernetes Events about settings and Notifications that failed: written, failed, or dropped as too many of a"
    " namespace.",
    ["outcome"],
    registry=_OPERATOR,
)
_watches = prometheus_client.Counter(
    "mailtier_kubernetes_watches_total",
    "Watches that were opened; each but the first of a resource is a restart.",
    ["resource"],
    registry=COMMON,
)
_relists = prometheus_client.Counter(
    "mailtier_kubernetes_relists_total", "Full listings of watched collections.", ["resource"], registry=COMMON
)

_leader = prometheus_client.Gauge("mailtier_leader", "1 while this operator leads, else 0.", registry=_OPERATOR)
_organizations = prometheus_client.Gauge(
    "mailtier_organizations",
    "Organizations by the state of their effective settings and the reason of their condition Ready.",
    ["state", "reason"],
    registry=_OPERATOR,
)
_would_block = prometheus_client.Gauge(
    "mailtier_organizations_would_block",
    "Organizations that the host's policy would block if its mode were Enforce.",
    registry=_OPERATOR,
)
_conditions = prometheus_client.Gauge(
    "mailtier_organization_conditions",
    "Conditions of organizations by their type, status and reason.",
    ["condition", "status", "reason"],
    registry=_OPERATOR,
)
_host_conditions = prometheus_client.Gauge(
    "mailtier_host_conditions",
    "Conditions of the host's settings by their type, status and reason; always 1.",
    ["condition", "status", "reason"],
    registry=_OPERATOR,
)
_reconcile_duration = prometheus_client.Histogram(
    "mailtier_reconcile_duration_seconds",
    "Time of one reconciliation, reads and writes included.",
    ["kind", "outcome"],
    buckets=FAST,
    registry=_OPERATOR,
)
_work_queue = prometheus_client.Gauge(
    "mailtier_work_queue_depth",
    "What waits or is being worked on: objects to reconcile in `settings` and `notifications`, Secrets and CA bundles"
    " to read again in `references`.",
    ["queue"],
    registry=_OPERATOR,
)
_retries = prometheus_client.Counter(
    "mailtier_work_queue_retries_total",
    "Work that failed, and is done again later.",
    ["queue"],
    registry=_OPERATOR,
)
_feed_connected = prometheus_client.Gauge(
    "mailtier_feed_connected", "1 while the operator reads the sender's feed, else 0.", registry=_OPERATOR
)

_settings = prometheus_client.Gauge(
    "mailtier_settings", "Organizations whose effective settings the sender knows.", registry=_SENDER
)
_unusable_settings = prometheus_client.Counter(
    "mailtier_settings_unusable_total",
    "Published ConfigMaps that the sender could not use: the operator and the sender do not fit together.",
    ["component"],
    registry=_SENDER,
)
_recipients = prometheus_client.Gauge(
    "mailtier_recipients", "Recipients without a final state.", ["state"], registry=_SENDER
)
_waiting_for_rate = prometheus_client.Gauge(
    "mailtier_organizations_waiting_for_rate",
    "Organizations with messages that wait for the rate of their namespace (the host's quota) or of their endpoint.",
    registry=_SENDER,
)
_oldest = prometheus_client.Gauge(
    "mailtier_oldest_recipient_age_seconds", "Age of the oldest recipient without a final state.", registry=_SENDER
)
_phases = prometheus_client.Histogram(
    "mailtier_attempt_phase_duration_seconds",
    "Time of one phase of a session or transaction.",
    ["phase"],
    buckets=_NETWORK,
    registry=_SENDER,
)
_sessions = prometheus_client.Gauge("mailtier_sessions_open", "SMTP sessions that are open.", registry=_SENDER)
_destinations = prometheus_client.Gauge(
    "mailtier_destinations", "Endpoints by the state of their breaker.", ["breaker"], registry=_SENDER
)
_probes = prometheus_client.Counter(
    "mailtier_probes_total", "Probes of endpoints by the reason they ended with.", ["reason"], registry=_SENDER
)
_tokens = prometheus_client.Counter(
    "mailtier_token_requests_total",
    "Requests to token servers of OAuth2 by outcome: granted, refused or failed.",
    ["outcome"],
    registry=_SENDER,
)
_commit_batch = prometheus_client.Histogram(
    "mailtier_queue_commit_operations",
    "Operations that one commit of the queue made durable.",
    buckets=_BATCH,
    registry=_SENDER,
)
_commit_duration = prometheus_client.Histogram(
    "mailtier_queue_commit_duration_seconds", "Time of one commit of the queue.", buckets=FAST, registry=_SENDER
)
_queue_bytes = prometheus_client.Gauge("mailtier_queue_bytes", "Size of the queue's files.", registry=_SENDER)
_volume = prometheus_client.Gauge(
    "mailtier_queue_volume_used_ratio", "Used part of the queue's volume, 0 to 1.", registry=_SENDER
)


def exposition(role: Role) -> bytes:
    """Return the metrics of this process in Prometheus' text format (`CONTENT_TYPE`)."""
    return _exposition.generate_latest(COMMON) + _exposition.generate_latest(_REGISTRIES[role])


def count_api_request(*, verb: str, resource: str, code: str) -> None:
    """Count a request to the apiserver."""
    _api_requests.labels(verb=verb, resource=resource, code=code).inc()


def observe_api_request(*, verb: str, resource: str, seconds: float) -> None:
    """Record how long a request to the apiserver took, whatever came of it."""
    _api_duration.labels(verb=verb, resource=resource).observe(seconds)


def count_watch(*, resource: str) -> None:
    """Count a watch that was opened."""
    _watches.labels(resource=resource).inc()


def count_relist(*, resource: str) -> None:
    """Count a full listing of a watched collection."""
    _relists.labels(resource=resource).inc()


def count_event(outcome: Literal["written", "failed", "dropped"]) -> None:
    """Count an Event that was worth telling, by what became of it."""
    _events.labels(outcome=outcome).inc()


def set_leader(leading: bool) -> None:
    """Tell whether this operator leads."""
    _leader.set(leading)


def set_organizations(counts: Mapping[tuple[str, str], int]) -> None:
    """Replace the numbers of organizations by state and reason of Ready."""
    _replace(_organizations, ("state", "reason"), counts)


def set_would_block(count: int) -> None:
    """Tell how many organizations the host's policy would block if it were enforced."""
    _would_block.set(count)


def set_organization_conditions(counts: Mapping[tuple[str, str, str], int]) -> None:
    """Replace the numbers of organizations by (type, status, reason) of each of their conditions."""
    _replace(_conditions, ("condition", "status", "reason"), counts)


def set_host_conditions(conditions: Iterable[tuple[str, str, str]]) -> None:
    """Replace the (type, status, reason) of the conditions of the host's settings; none where there are none."""
    _replace(_host_conditions, ("condition", "status", "reason"), dict.fromkeys(conditions, 1))


def observe_reconcile(*, kind: str, outcome: str, seconds: float) -> None:
    """Count a reconciliation; the outcome is `written`, `unchanged` or `failed`."""
    _reconcile_duration.labels(kind=kind, outcome=outcome).observe(seconds)


def set_work_queue_depth(queue: Queue, depth: int) -> None:
    """Tell how much waits in a queue or is being worked on."""
    _work_queue.labels(queue=queue).set(depth)


def count_retry(queue: Queue) -> None:
    """Count work that failed and is done again."""
    _retries.labels(queue=queue).inc()


def set_feed_connected(connected: bool) -> None:
    """Tell whether the sender's feed is being read."""
    _feed_connected.set(connected)


def set_settings(count: int) -> None:
    """Tell how many organizations' effective settings are known."""
    _settings.set(count)


def count_unusable_settings(*, component: str) -> None:
    """Count a published ConfigMap that could not be used."""
    _unusable_settings.labels(component=component).inc()


def set_recipients(counts: Mapping[vocabulary.RecipientState, int], *, oldest_age_seconds: float) -> None:
    """Replace the numbers of recipients without a final state."""
    _replace(_recipients, ("state",), {(state.value,): count for state, count in counts.items()})
    _oldest.set(oldest_age_seconds)


def set_waiting(*, for_rate: int) -> None:
    """Tell how many organizations wait for a rate that others share."""
    _waiting_for_rate.set(for_rate)


def observe_phase(*, phase: str, seconds: float) -> None:
    """Record the time of a phase: dns, connect, tls, ehlo, auth, mail, rcpt, data or dot."""
    _phases.labels(phase=phase).observe(seconds)


def add_sessions(change: int) -> None:
    """Count a session that was opened (1) or ended (-1)."""
    _sessions.inc(change)


def set_destinations(counts: Mapping[str, int]) -> None:
    """Replace the numbers of endpoints by breaker state."""
    _replace(_destinations, ("breaker",), {(breaker,): count for breaker, count in counts.items()})


def count_probe(*, reason: str) -> None:
    """Count a probe by the reason of Verified it ended with."""
    _probes.labels(reason=reason).inc()


def count_token_request(*, outcome: Literal["granted", "refused", "failed"]) -> None:
    """Count a request to a token server."""
    _tokens.labels(outcome=outcome).inc()


def observe_commit(*, operations: int, seconds: float) -> None:
    """Record a commit of the queue."""
    _commit_batch.observe(operations)
    _commit_duration.observe(seconds)


def set_queue_size(*, size_bytes: int, volume_used_ratio: float) -> None:
    """Tell how large the queue is, and how full its volume."""
    _queue_bytes.set(size_bytes)
    _volume.set(volume_used_ratio)


def category_name(name: str | None) -> str:
    """Return a category's name; what a caller made up would be a series of its own."""
    return name if name in _CATEGORIES else "unknown"


def _replace(gauge: prometheus_client.Gauge, labels: tuple[str, ...], counts: Mapping[_Values, int]) -> None:
    """Set a gauge anew: a combination that is no longer there must not keep its last number."""
    gauge.clear()
    for values, count in counts.items():
        gauge.labels(**dict(zip(labels, values, strict=True))).set(count)
