"""Each value of the chart does what its comment says."""

import collections.abc
import dataclasses
import typing

import pytest

from kit import helm, values_page

Objects = list[dict[str, typing.Any]]
_DIGEST = f"sha256:{'a1' * 32}"
_SHARED = {"postgres": {"dsnSecret": {"name": "queue"}}, "tls": {"secretName": "intake"}}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """A value that is set, and what is to be seen of it.

    Attributes:
        path: The keys that lead to it, joined by dots.
        look: Returns what is compared with `seen`.
        beside: The values of its own group that it acts with alone.
        above: Likewise, of the group that its own is in.
    """

    path: str
    value: object
    look: collections.abc.Callable[[Objects], object]
    seen: object
    beside: collections.abc.Mapping[str, object] = dataclasses.field(default_factory=dict)
    above: collections.abc.Mapping[str, object] = dataclasses.field(default_factory=dict)

    def values(self) -> dict[str, typing.Any]:
        """Return the values with this one alone."""
        *groups, name = self.path.split(".")
        result: dict[str, typing.Any] = {name: self.value, **self.beside}
        for depth, key in enumerate(reversed(groups)):
            result = {key: result, **({} if depth else self.above)}
        return result


def _named(kind: str, name: str = "mailtier") -> collections.abc.Callable[[Objects], dict[str, typing.Any]]:
    return lambda objects: next(
        document for document in objects if (document["kind"], document["metadata"]["name"]) == (kind, name)
    )


def _kinds(objects: Objects) -> set[str]:
    return {document["kind"] for document in objects}


def _names(objects: Objects) -> set[str]:
    return {document["metadata"]["name"] for document in objects}


def _spec(objects: Objects) -> dict[str, typing.Any]:
    return dict(_named("StatefulSet")(objects)["spec"])


def _pod(objects: Objects) -> dict[str, typing.Any]:
    return dict(_spec(objects)["template"]["spec"])


def _metadata(objects: Objects) -> dict[str, typing.Any]:
    return dict(_spec(objects)["template"]["metadata"])


def _claim(objects: Objects) -> dict[str, typing.Any]:
    return dict(_spec(objects)["volumeClaimTemplates"][0])


def _container(objects: Objects, name: str) -> dict[str, typing.Any]:
    return next(container for container in _pod(objects)["containers"] if container["name"] == name)


def _images(objects: Objects) -> set[str]:
    return {container["image"] for container in _pod(objects)["containers"]}


def _argument(role: str, option: str) -> collections.abc.Callable[[Objects], list[str]]:
    """Return what finds the values that an option is given."""
    start = f"--{option}="
    return lambda objects: [
        argument.removeprefix(start) for argument in _container(objects, role)["args"] if argument.startswith(start)
    ]


def _bound_in(objects: Objects, role: str) -> list[str]:
    """Return the namespaces in which a ClusterRole is bound."""
    bindings = [document for document in objects if document["kind"] == "RoleBinding"]
    return [binding["metadata"]["namespace"] for binding in bindings if binding["roleRef"]["name"] == role]


def _crd_annotations(objects: Objects) -> list[object]:
    return [
        document["metadata"].get("annotations")
        for document in objects
        if document["kind"] == "CustomResourceDefinition"
    ]


_WAVE = {"argocd.argoproj.io/sync-wave": "-2"}
_SMALL = {"requests": {"cpu": "1m", "memory": "128Mi"}, "limits": {"memory": "512Mi"}}
_TOLERATION = {"key": "mail", "operator": "Exists"}
_SPREAD = {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}


def _refuses(text: str) -> collections.abc.Callable[[Objects], bool]:
    """Return what tells whether the admission policy has a text."""
    return lambda found: text in str(_named("ValidatingAdmissionPolicy")(found)["spec"])


OPTIONS = (
    Option(path="nameOverride", value="post", look=lambda found: "mailtier-post" in _names(found), seen=True),
    Option(path="fullnameOverride", value="post", look=lambda found: {"post", "post-pods"} <= _names(found), seen=True),
    Option(
        path="commonLabels",
        value={"team": "a"},
        look=lambda found: {document["metadata"]["labels"]["team"] for document in found},
        seen={"a"},
    ),
    Option(
        path="crds.enabled", value=False, look=lambda found: "CustomResourceDefinition" in _kinds(found), seen=False
    ),
    Option(path="crds.keep", value=False, look=_crd_annotations, seen=[None] * 3),
    Option(
        path="crds.annotations",
        value=_WAVE,
        look=_crd_annotations,
        seen=[{**_WAVE, "helm.sh/resource-policy": "keep"}] * 3,
    ),
    Option(
        path="image.registry", value="mirror.example", look=_images, seen={"mirror.example/mailtier/mailtier:0.1.0"}
    ),
    Option(path="image.repository", value="own/mailtier", look=_images, seen={"own/mailtier:0.1.0"}),
    Option(path="image.tag", value="next", look=_images, seen={"mailtier/mailtier:next"}),
    Option(path="image.digest", value=_DIGEST, look=_images, seen={f"mailtier/mailtier@{_DIGEST}"}),
    Option(
        path="image.pullPolicy",
        value="Always",
        look=lambda found: [container["imagePullPolicy"] for container in _pod(found)["containers"]],
        seen=["Always"] * 2,
    ),
    Option(
        path="imagePullSecrets",
        value=[{"name": "pull"}],
        look=lambda found: _pod(found)["imagePullSecrets"],
        seen=[{"name": "pull"}],
    ),
    Option(path="serviceAccount.create", value=False, look=lambda found: "ServiceAccount" in _kinds(found), seen=False),
    Option(
        path="serviceAccount.name",
        value="post",
        look=lambda found: (
            _pod(found)["serviceAccountName"],
            _named("RoleBinding")(found)["subjects"][0]["name"],
            _named("ClusterRoleBinding")(found)["subjects"][0]["name"],
            _named("ServiceAccount", "post")(found)["kind"],
        ),
        seen=("post", "post", "post", "ServiceAccount"),
    ),
    Option(
        path="serviceAccount.annotations",
        value={"a": "b"},
        look=lambda found: _named("ServiceAccount")(found)["metadata"]["annotations"],
        seen={"a": "b"},
    ),
    Option(path="rbac.create", value=False, look=lambda found: _kinds(found) & {"Role", "RoleBinding"}, seen=set()),
    Option(
        path="rbac.aggregate",
        value=False,
        look=lambda found: _names(found) & {"mailtier-view", "mailtier-edit", "mailtier-grant", "mailtier-notifier"},
        seen={"mailtier-notifier"},
    ),
    Option(
        path="rbac.references.scope",
        value="Cluster",
        look=lambda found: (_bound_in(found, "mailtier-references"), _names(found) & {"mailtier-grant"}),
        seen=([], set()),
    ),
    Option(
        path="rbac.references.namespaces",
        value=["team-a", "mailtier-system", "team-b"],
        look=lambda found: _bound_in(found, "mailtier-references"),
        seen=["mailtier-system", "team-a", "team-b"],
    ),
    Option(
        path="admissionPolicy.enabled",
        value=False,
        look=lambda found: _kinds(found) & {"ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"},
        seen=set(),
    ),
    Option(path="admissionPolicy.labels", value=7, look=_refuses("labels <= 7 "), seen=True),
    Option(path="admissionPolicy.annotations", value=8, look=_refuses("annotations) > 8 "), seen=True),
    Option(path="admissionPolicy.annotationBytes", value=2048, look=_refuses("annotations <= 2048 "), seen=True),
    Option(
        path="projections.enabled",
        value=True,
        look=lambda found: [
            rule["verbs"] for rule in _named("ClusterRole")(found)["rules"] if rule.get("resources") == ["configmaps"]
        ],
        seen=[["get", "create", "patch", "delete"]],
    ),
    Option(path="operator.logLevel", value="DEBUG", look=_argument("operator", "log-level"), seen=["DEBUG"]),
    Option(
        path="operator.resources",
        value={"requests": {"cpu": "1m"}},
        look=lambda found: _container(found, "operator")["resources"],
        seen=_SMALL,
    ),
    Option(path="sender.logLevel", value="ERROR", look=_argument("sender", "log-level"), seen=["ERROR"]),
    Option(path="sender.heloName", value="a.example", look=_argument("sender", "helo-name"), seen=["a.example"]),
    Option(path="sender.quota.messages", value=9, look=_argument("sender", "quota-messages"), seen=["9"]),
    # As a float it would be written 1.073741824e+09, which is no integer on a command line.
    Option(
        path="sender.quota.storedBytes",
        value=2**31,
        look=_argument("sender", "quota-stored-bytes"),
        seen=["2147483648"],
    ),
    Option(path="sender.quota.bytes", value=2**30, look=_argument("sender", "quota-bytes"), seen=["1073741824"]),
    Option(
        path="sender.trustedProxies",
        value=["10.0.0.0/24", "2001:db8::7"],
        look=_argument("sender", "trusted-proxy"),
        seen=["10.0.0.0/24", "2001:db8::7"],
    ),
    Option(path="sender.keepFailed", value="24h", look=_argument("sender", "keep-failed"), seen=["24h"]),
    Option(path="sender.fullAt", value=0.5, look=_argument("sender", "full-at"), seen=["0.5"]),
    Option(path="sender.replicas", value=3, beside=_SHARED, look=lambda found: _spec(found)["replicas"], seen=3),
    Option(
        path="sender.postgres.dsnSecret.name",
        value="queue",
        look=lambda found: (_argument("sender", "queue-dsn-file")(found), _argument("sender", "sender-name")(found)),
        seen=(["/etc/mailtier/queue/dsn"], ["$(POD_NAME)"]),
    ),
    Option(
        path="sender.postgres.dsnSecret.key",
        value="uri",
        beside={"name": "queue"},
        look=_argument("sender", "queue-dsn-file"),
        seen=["/etc/mailtier/queue/uri"],
    ),
    Option(
        path="sender.persistence.enabled",
        value=False,
        above=_SHARED,
        look=lambda found: (
            "volumeClaimTemplates" in _spec(found),
            [volume for volume in _pod(found)["volumes"] if volume["name"] == "queue"],
        ),
        seen=(False, [{"name": "queue", "emptyDir": {"sizeLimit": "16Mi"}}]),
    ),
    Option(
        path="sender.tls.secretName",
        value="intake",
        look=lambda found: (
            _argument("sender", "tls-dir")(found),
            _argument("sender", "tls-name")(found),
            [volume["secret"]["secretName"] for volume in _pod(found)["volumes"] if volume["name"] == "tls"],
        ),
        seen=(["/etc/mailtier/tls"], [], ["intake"]),
    ),
    Option(
        path="sender.tls.extraNames",
        value=["mail.example", "fd00::1"],
        look=lambda found: _argument("sender", "tls-name")(found)[-2:],
        seen=["mail.example", "fd00::1"],
    ),
    Option(
        path="sender.persistence.size",
        value="9Gi",
        look=lambda found: _claim(found)["spec"]["resources"]["requests"]["storage"],
        seen="9Gi",
    ),
    Option(
        path="sender.persistence.storageClass",
        value="fast",
        look=lambda found: _claim(found)["spec"]["storageClassName"],
        seen="fast",
    ),
    Option(
        path="sender.persistence.storageClass",
        value="-",
        look=lambda found: _claim(found)["spec"]["storageClassName"],
        seen="",
    ),
    Option(
        path="sender.persistence.accessModes",
        value=["ReadWriteOncePod"],
        look=lambda found: _claim(found)["spec"]["accessModes"],
        seen=["ReadWriteOncePod"],
    ),
    Option(
        path="sender.persistence.annotations",
        value={"a": "b"},
        look=lambda found: _claim(found)["metadata"]["annotations"],
        seen={"a": "b"},
    ),
    Option(
        path="sender.resources",
        value={"requests": {"cpu": "1m"}},
        look=lambda found: _container(found, "sender")["resources"],
        seen={"requests": {"cpu": "1m", "memory": "288Mi"}, "limits": {"memory": "768Mi"}},
    ),
    Option(
        path="service.port",
        value=8443,
        look=lambda found: _named("Service")(found)["spec"]["ports"][0]["port"],
        seen=8443,
    ),
    Option(
        path="service.annotations",
        value={"a": "b"},
        look=lambda found: _named("Service")(found)["metadata"]["annotations"],
        seen={"a": "b"},
    ),
    Option(
        path="service.clusterDomain",
        value="corp.example",
        look=lambda found: _argument("sender", "tls-name")(found)[1],
        seen="mailtier.mailtier-system.svc.corp.example",
    ),
    Option(path="podAnnotations", value={"a": "b"}, look=lambda found: _metadata(found)["annotations"]["a"], seen="b"),
    Option(path="podLabels", value={"a": "b"}, look=lambda found: _metadata(found)["labels"]["a"], seen="b"),
    Option(
        path="podSecurityContext",
        value={"runAsUser": None, "runAsGroup": None, "fsGroup": None},
        look=lambda found: sorted(_pod(found)["securityContext"]),
        seen=["fsGroupChangePolicy", "runAsNonRoot", "seccompProfile"],
    ),
    Option(
        path="securityContext",
        value={"runAsUser": 7},
        look=lambda found: [container["securityContext"]["runAsUser"] for container in _pod(found)["containers"]],
        seen=[7, 7],
    ),
    Option(
        path="terminationGracePeriodSeconds",
        value=90,
        look=lambda found: _pod(found)["terminationGracePeriodSeconds"],
        seen=90,
    ),
    Option(path="priorityClassName", value="high", look=lambda found: _pod(found)["priorityClassName"], seen="high"),
    Option(
        path="nodeSelector", value={"disk": "ssd"}, look=lambda found: _pod(found)["nodeSelector"], seen={"disk": "ssd"}
    ),
    Option(path="tolerations", value=[_TOLERATION], look=lambda found: _pod(found)["tolerations"], seen=[_TOLERATION]),
    Option(
        path="dnsConfig",
        value={"nameservers": ["10.0.0.10"]},
        look=lambda found: _pod(found)["dnsConfig"]["nameservers"],
        seen=["10.0.0.10"],
    ),
    Option(
        path="affinity",
        value={"nodeAffinity": {}},
        look=lambda found: _pod(found)["affinity"],
        seen={"nodeAffinity": {}},
    ),
    Option(
        path="topologySpreadConstraints",
        value=[_SPREAD],
        look=lambda found: _pod(found)["topologySpreadConstraints"],
        seen=[_SPREAD],
    ),
    Option(
        path="extraObjects",
        value=[
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "{{ .Release.Name }}-a"}},
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: b}",
        ],
        look=lambda found: _names(found) & {"mailtier-a", "b"},
        seen={"mailtier-a", "b"},
    ),
)


@pytest.fixture(scope="module")
def default() -> Objects:
    """Return what is rendered without values."""
    return helm.objects()


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.path)
def test_option_is_seen(option: Option, default: Objects) -> None:
    """The value is to be found where its comment says, and is not there by default."""
    assert option.look(helm.objects(option.values())) == option.seen
    try:
        before = option.look(default)
    except (LookupError, StopIteration):
        return
    assert before != option.seen


def test_every_option_is_tried() -> None:
    """No value of values.yaml is missing above, and none above is unknown."""
    text = (helm.CHART / "values.yaml").read_text(encoding="utf-8")
    assert {option.path for option in OPTIONS} == {value.path for value in values_page.values(text) if not value.group}
