"""The metrics of what namespaces share; beside `metrics`, which holds all others."""

from typing import Final, Literal

import prometheus_client

from mailtier.telemetry import metrics

Share = Literal[
    "lookups",
    "openings",
    "tokens",
    "bodies",
    "commits",
    "lists",
    "looks",
    "probe_answers",
    "own_server_probes",
    "host_server_probes",
    "secrets",
]

REGISTRY: Final = metrics.SENDER_REGISTRY

_slots = prometheus_client.Gauge(
    "mailtier_share_slots",
    "Slots in use of those that namespaces share: lookups of names, openings of sessions, requests for tokens,"
    " bodies of requests to the intake (by 256 KiB), commits of batches, lists of the queue and what is done with them,"
    " looks at where a notification stands, answers to whoever asked for a probe, the sender's own probes of"
    " organizations' servers and of the host's, reads of Secrets.",
    ["of"],
    registry=REGISTRY,
)
_waiting = prometheus_client.Gauge(
    "mailtier_share_waiting",
    "What waits for such a slot: its namespace uses up its own share, or all together use up all.",
    ["of"],
    registry=REGISTRY,
)
_refused_logins = prometheus_client.Counter(
    "mailtier_refused_logins_total",
    "Logins that a server refused; three of a namespace within an hour hold its others at that server.",
    registry=REGISTRY,
)
_broken_off = prometheus_client.Counter(
    "mailtier_broken_off_total",
    "Connections on which a message was under way for a minute and that were broken off: its namespace had over half of"
    " the server's, and another waited; or another sender is to have the server.",
    registry=REGISTRY,
)


def add_slots(of: Share, count: int) -> None:
    """Tell that more or fewer slots are in use."""
    _slots.labels(of=of).inc(count)


def add_waiting(of: Share, count: int) -> None:
    """Tell that more or less waits for a slot."""
    _waiting.labels(of=of).inc(count)


def count_refused_login() -> None:
    """Count a login that a server refused."""
    _refused_logins.inc()


def count_broken_off() -> None:
    """Count a connection that was broken off for others."""
    _broken_off.inc()
