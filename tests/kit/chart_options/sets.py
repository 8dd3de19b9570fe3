"""Sets of values as people use the chart, each of which is rendered and judged as a whole."""

from kit.chart_options import looking

_LABELS = {"release": "prometheus"}
_SPREAD = {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}
_DATABASE = {"dsnSecret": {"name": "queue"}}
_PARENTS = [{"name": "front", "namespace": "gateways", "sectionName": "https"}]
_HOST = "mail.platform.example"

SETS: dict[str, looking.Values] = {
    "default": {},
    "named": {
        "nameOverride": "post",
        "fullnameOverride": "mail",
        "commonLabels": {"team": "platform"},
        "commonAnnotations": {"argocd.argoproj.io/sync-wave": "-1"},
        "crds": {"annotations": {"argocd.argoproj.io/sync-wave": "-2"}},
        "serviceAccount": {"annotations": {"example.com/a": "b"}},
        "podAnnotations": {"example.com/a": "b"},
        "podLabels": {"example.com/a": "b"},
        "service": {"port": 8443, "annotations": {"example.com/a": "b"}, "clusterDomain": "corp.example"},
        "extraObjects": [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "{{ .Release.Name }}-extra"}}],
    },
    "mirrored": {
        "image": {"registry": "mirror.example", "digest": f"sha256:{'a1' * 32}", "pullPolicy": "Always"},
        "imagePullSecrets": [{"name": "pull"}],
    },
    "placed": {
        "priorityClassName": "system-cluster-critical",
        "nodeSelector": {"disk": "ssd"},
        "tolerations": [{"key": "mail", "operator": "Exists"}],
        "affinity": {"podAntiAffinity": {}},
        "topologySpreadConstraints": [_SPREAD],
        "dnsConfig": {"nameservers": ["10.0.0.10"]},
        "terminationGracePeriodSeconds": 90,
    },
    "storage": {
        "sender": {
            "persistence": {
                "size": "50Gi",
                "storageClass": "-",
                "accessModes": ["ReadWriteOncePod"],
                "annotations": {"example.com/a": "b"},
                "retention": {"whenDeleted": "Delete", "whenScaled": "Delete"},
            },
        },
    },
    "restored": {"sender": {"persistence": {"existingClaim": "restored"}}},
    "postgres on volumes": {
        "sender": {"replicas": 2, "postgres": _DATABASE, "tls": {"secretName": "intake"}, "heloName": "a.example"}
    },
    "postgres": {
        "certManager": {"enabled": True},
        "sender": {"replicas": 3, "postgres": _DATABASE, "persistence": {"enabled": False}},
        "podDisruptionBudget": {"maxUnavailable": "34%"},
    },
    "issued": {
        "certManager": {
            "enabled": True,
            "issuerRef": {"kind": "ClusterIssuer", "name": "platform"},
            "names": [_HOST, "10.0.0.7", "fd00::7"],
        },
    },
    "ingress": {
        "ingress": {
            "enabled": True,
            "className": "nginx",
            "annotations": {"nginx.ingress.kubernetes.io/backend-protocol": "HTTPS"},
            "hosts": [_HOST],
            "tls": [{"hosts": [_HOST], "secretName": "front"}],
        },
    },
    "passed through": {"gateway": {"enabled": True, "parentRefs": _PARENTS, "hostnames": [_HOST]}},
    "gateway": {
        "gateway": {
            "enabled": True,
            "kind": "HTTPRoute",
            "annotations": {"example.com/a": "b"},
            "parentRefs": _PARENTS,
            "hostnames": [_HOST, "*.tenants.example"],
        },
    },
    "watched": {
        "metrics": {
            "serviceMonitor": {
                "enabled": True,
                "labels": _LABELS,
                "interval": "30s",
                "scrapeTimeout": "10s",
                "relabelings": [{"action": "labeldrop", "regex": "pod"}],
                "metricRelabelings": [{"action": "drop", "sourceLabels": ["__name__"], "regex": "python_.*"}],
            },
            "prometheusRule": {"enabled": True, "labels": _LABELS},
        },
    },
    "walled in": {
        "metrics": {"podMonitor": {"enabled": True}},
        "sender": {"postgres": _DATABASE},
        "networkPolicy": {
            "enabled": True,
            "ingress": {
                "metrics": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}],
                "more": [{"from": [{"podSelector": {}}], "ports": [{"port": 8443}]}],
            },
            "egress": {
                "apiServer": ["10.0.0.1/32", "fd00::1/128"],
                "tokens": True,
                "postgres": {"to": [{"podSelector": {"matchLabels": {"app": "postgres"}}}]},
                "more": [{"to": [{"ipBlock": {"cidr": "10.9.0.0/16"}}]}],
            },
        },
    },
    "minimal": {
        "crds": {"enabled": False},
        "rbac": {"create": False, "aggregate": False, "intakeCa": {"subjects": []}},
        "serviceAccount": {"create": False, "name": "mine"},
        "admissionPolicy": {"enabled": False},
        "confinement": {"enabled": False},
    },
    "trusting": {
        "rbac": {"references": {"scope": "Cluster"}},
        "projections": {"enabled": True},
        "operator": {
            "extraArgs": ["--log-format=console"],
            "extraEnv": [{"name": "TZ", "value": "UTC"}],
            "extraVolumeMounts": [{"name": "more", "mountPath": "/etc/more", "readOnly": True}],
        },
        "sender": {
            "trustedProxies": ["10.0.0.0/24"],
            "extraArgs": ["--log-format=console"],
            "extraEnv": [{"name": "TZ", "value": "UTC"}],
            "extraVolumeMounts": [{"name": "more", "mountPath": "/etc/more", "readOnly": True}],
        },
        "extraVolumes": [{"name": "more", "configMap": {"name": "more"}}],
    },
}
