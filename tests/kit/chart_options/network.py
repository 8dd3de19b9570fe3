"""What the values of the NetworkPolicy and of monitoring do."""

import collections.abc
import typing

from kit.chart_options import looking

_PEER = {"podSelector": {"matchLabels": {"app": "a"}}}
_RULE = {"ports": [{"port": 9}]}
_LABELS = {"release": "prometheus"}
_RELABELING = {"action": "labeldrop", "regex": "pod"}
_IN_FORCE = {"networkPolicy": {"enabled": True}}


def _policy(objects: looking.Objects) -> dict[str, typing.Any]:
    return dict(looking.named("NetworkPolicy")(objects)["spec"])


def _ports(direction: str, peers: str) -> collections.abc.Callable[[looking.Objects], list[tuple[object, list[int]]]]:
    """Return what finds the peers and ports of each rule of a direction; no peers are everybody."""
    return lambda objects: [
        (rule.get(peers, "anywhere"), [port["port"] for port in rule.get("ports", [])])
        for rule in _policy(objects)[direction]
    ]


def _in(objects: looking.Objects) -> list[tuple[object, list[int]]]:
    return _ports("ingress", "from")(objects)


def _out(objects: looking.Objects) -> list[tuple[object, list[int]]]:
    return _ports("egress", "to")(objects)


def _monitor(kind: str, value: str, endpoints: str) -> tuple[looking.Option, ...]:
    """Return what a monitor may be told."""
    along = {"metrics": {value: {"enabled": True}}}

    def each(key: str) -> looking.Look:
        return lambda objects: [found[key] for found in looking.named(kind)(objects)["spec"][endpoints]]

    told = {
        "interval": "15s",
        "scrapeTimeout": "5s",
        "relabelings": [_RELABELING],
        "metricRelabelings": [_RELABELING],
    }
    return (
        looking.Option(
            path=f"metrics.{value}.enabled",
            value=True,
            look=lambda objects: (each("port")(objects), each("path")(objects)),
            seen=(["http-operator", "http-sender"], ["/metrics"] * 2),
        ),
        looking.Option(
            path=f"metrics.{value}.labels",
            value=_LABELS,
            along=along,
            look=lambda objects: looking.named(kind)(objects)["metadata"]["labels"]["release"],
            seen="prometheus",
        ),
        *(
            looking.Option(
                path=f"metrics.{value}.{name}", value=chosen, along=along, look=each(name), seen=[chosen, chosen]
            )
            for name, chosen in told.items()
        ),
    )


OPTIONS = (
    *_monitor("ServiceMonitor", "serviceMonitor", "endpoints"),
    *_monitor("PodMonitor", "podMonitor", "podMetricsEndpoints"),
    looking.Option(
        path="metrics.prometheusRule.enabled",
        value=True,
        look=lambda objects: looking.named("PrometheusRule")(objects)["spec"]["groups"][0]["name"],
        seen="mailtier",
    ),
    looking.Option(
        path="metrics.prometheusRule.labels",
        value=_LABELS,
        along={"metrics": {"prometheusRule": {"enabled": True}}},
        look=lambda objects: looking.named("PrometheusRule")(objects)["metadata"]["labels"]["release"],
        seen="prometheus",
    ),
    looking.Option(
        path="networkPolicy.enabled",
        value=True,
        look=lambda objects: _policy(objects)["policyTypes"],
        seen=["Ingress", "Egress"],
    ),
    looking.Option(
        path="networkPolicy.ingress.intake",
        value=[_PEER],
        along=_IN_FORCE,
        look=lambda objects: ([_PEER], [8443]) in _in(objects),
        seen=True,
    ),
    looking.Option(
        path="networkPolicy.ingress.metrics",
        value=[_PEER],
        along=_IN_FORCE,
        look=lambda objects: ([_PEER], [8080, 8081]) in _in(objects),
        seen=True,
    ),
    looking.Option(
        path="networkPolicy.ingress.more",
        value=[_RULE],
        along=_IN_FORCE,
        look=lambda objects: ("anywhere", [9]) in _in(objects),
        seen=True,
    ),
    looking.Option(
        path="networkPolicy.egress.dns",
        value=[_PEER],
        along=_IN_FORCE,
        look=lambda objects: ([_PEER], [53, 53]) in _out(objects),
        seen=True,
    ),
    looking.Option(
        path="networkPolicy.egress.apiServer",
        value=["10.0.0.1/32", "fd00::1/128"],
        along=_IN_FORCE,
        look=lambda objects: (
            [rule["to"] for rule in _policy(objects)["egress"] if "ports" not in rule],
            "6443" in str(_policy(objects)),
        ),
        seen=([[{"ipBlock": {"cidr": "10.0.0.1/32"}}, {"ipBlock": {"cidr": "fd00::1/128"}}]], False),
    ),
    looking.Option(
        path="networkPolicy.egress.smtpPorts",
        value=[26],
        along=_IN_FORCE,
        look=lambda objects: [rule for rule in _out(objects) if {25, 26} & set(rule[1])],
        seen=[("anywhere", [26])],
    ),
    looking.Option(
        path="networkPolicy.egress.tokens",
        value=True,
        along=_IN_FORCE,
        look=lambda objects: ("anywhere", [443]) in _out(objects),
        seen=True,
    ),
    looking.Option(
        path="networkPolicy.egress.postgres.port",
        value=6432,
        along={**looking.SHARED, **_IN_FORCE},
        look=lambda objects: ("anywhere", [6432]) in _out(objects),
        seen=True,
    ),
    looking.Option(
        path="networkPolicy.egress.postgres.to",
        value=[_PEER],
        along={**looking.SHARED, **_IN_FORCE},
        look=lambda objects: ([_PEER], [5432]) in _out(objects),
        seen=True,
    ),
    looking.Option(
        path="networkPolicy.egress.more",
        value=[_RULE],
        along=_IN_FORCE,
        look=lambda objects: ("anywhere", [9]) in _out(objects),
        seen=True,
    ),
)
