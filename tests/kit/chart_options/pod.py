"""What the values of image, operator and pod do."""

from kit.chart_options import looking

_DIGEST = f"sha256:{'a1' * 32}"
_SMALL = {"requests": {"cpu": "1m", "memory": "128Mi"}, "limits": {"memory": "512Mi"}}
_TOLERATION = {"key": "mail", "operator": "Exists"}
_SPREAD = {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}
_OWN = {"app.kubernetes.io/name": "mailtier", "app.kubernetes.io/instance": "mailtier"}
_VARIABLE = {"name": "SSL_CERT_DIR", "value": "/etc/more"}
_MOUNT = {"name": "more", "mountPath": "/etc/more", "readOnly": True}
_VOLUME = {"name": "more", "configMap": {"name": "more"}}
_SEVERAL = {"sender": {**looking.SHARED["sender"], "replicas": 3}}


def _further(role: str) -> tuple[looking.Option, ...]:
    """Return what a container may be given beside its own."""
    return (
        looking.Option(
            path=f"{role}.extraArgs",
            value=["--log-format=console"],
            look=lambda found: looking.container(found, role)["args"][-1],
            seen="--log-format=console",
        ),
        looking.Option(
            path=f"{role}.extraEnv",
            value=[_VARIABLE],
            look=lambda found: looking.container(found, role)["env"],
            seen=[_VARIABLE],
        ),
        looking.Option(
            path=f"{role}.extraVolumeMounts",
            value=[_MOUNT],
            look=lambda found: looking.container(found, role)["volumeMounts"][-1],
            seen=_MOUNT,
        ),
    )


OPTIONS = (
    looking.Option(
        path="image.registry",
        value="mirror.example",
        look=looking.images,
        seen={"mirror.example/mailtier/mailtier:0.1.0"},
    ),
    looking.Option(path="image.repository", value="own/mailtier", look=looking.images, seen={"own/mailtier:0.1.0"}),
    looking.Option(path="image.tag", value="next", look=looking.images, seen={"mailtier/mailtier:next"}),
    looking.Option(path="image.digest", value=_DIGEST, look=looking.images, seen={f"mailtier/mailtier@{_DIGEST}"}),
    looking.Option(
        path="image.pullPolicy",
        value="Always",
        look=lambda found: [container["imagePullPolicy"] for container in looking.pod(found)["containers"]],
        seen=["Always"] * 2,
    ),
    looking.Option(
        path="imagePullSecrets",
        value=[{"name": "pull"}],
        look=lambda found: looking.pod(found)["imagePullSecrets"],
        seen=[{"name": "pull"}],
    ),
    looking.Option(
        path="operator.logLevel", value="DEBUG", look=looking.argument("operator", "log-level"), seen=["DEBUG"]
    ),
    looking.Option(
        path="operator.resources",
        value={"requests": {"cpu": "1m"}},
        look=lambda found: looking.container(found, "operator")["resources"],
        seen=_SMALL,
    ),
    looking.Option(
        path="podAnnotations",
        value={"a": "b"},
        look=lambda found: looking.metadata(found)["annotations"]["a"],
        seen="b",
    ),
    looking.Option(
        path="podLabels", value={"a": "b"}, look=lambda found: looking.metadata(found)["labels"]["a"], seen="b"
    ),
    looking.Option(
        path="podSecurityContext",
        value={"runAsUser": None, "runAsGroup": None, "fsGroup": None},
        look=lambda found: sorted(looking.pod(found)["securityContext"]),
        seen=["fsGroupChangePolicy", "runAsNonRoot", "seccompProfile"],
    ),
    looking.Option(
        path="securityContext",
        value={"runAsUser": 7},
        look=lambda found: [
            container["securityContext"]["runAsUser"] for container in looking.pod(found)["containers"]
        ],
        seen=[7, 7],
    ),
    looking.Option(
        path="terminationGracePeriodSeconds",
        value=90,
        look=lambda found: looking.pod(found)["terminationGracePeriodSeconds"],
        seen=90,
    ),
    looking.Option(
        path="priorityClassName", value="high", look=lambda found: looking.pod(found)["priorityClassName"], seen="high"
    ),
    looking.Option(
        path="nodeSelector",
        value={"disk": "ssd"},
        look=lambda found: looking.pod(found)["nodeSelector"],
        seen={"disk": "ssd"},
    ),
    looking.Option(
        path="tolerations",
        value=[_TOLERATION],
        look=lambda found: looking.pod(found)["tolerations"],
        seen=[_TOLERATION],
    ),
    looking.Option(
        path="dnsConfig",
        value={"nameservers": ["10.0.0.10"]},
        look=lambda found: looking.pod(found)["dnsConfig"]["nameservers"],
        seen=["10.0.0.10"],
    ),
    looking.Option(
        path="affinity",
        value={"nodeAffinity": {}},
        look=lambda found: looking.pod(found)["affinity"],
        seen={"nodeAffinity": {}},
    ),
    looking.Option(
        path="topologySpreadConstraints",
        value=[_SPREAD],
        look=lambda found: looking.pod(found)["topologySpreadConstraints"],
        seen=[{**_SPREAD, "labelSelector": {"matchLabels": _OWN}}],
    ),
    looking.Option(
        path="podDisruptionBudget.enabled",
        value=False,
        along=_SEVERAL,
        look=lambda found: "PodDisruptionBudget" in looking.kinds(found),
        seen=False,
    ),
    looking.Option(
        path="podDisruptionBudget.maxUnavailable",
        value="34%",
        along=_SEVERAL,
        look=lambda found: looking.named("PodDisruptionBudget")(found)["spec"]["maxUnavailable"],
        seen="34%",
    ),
    looking.Option(path="extraVolumes", value=[_VOLUME], look=looking.volume("more"), seen=_VOLUME),
    *_further("operator"),
    *_further("sender"),
)
