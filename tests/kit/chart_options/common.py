"""What the values for all objects do, and those of accounts and rights."""

import collections.abc

from kit.chart_options import looking

_READERS = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "applications"}
_WAVE = {"argocd.argoproj.io/sync-wave": "-2"}


def _bound_in(objects: looking.Objects, role: str) -> list[str]:
    """Return the namespaces in which a ClusterRole is bound."""
    bindings = [document for document in objects if document["kind"] == "RoleBinding"]
    return [binding["metadata"]["namespace"] for binding in bindings if binding["roleRef"]["name"] == role]


def _called(objects: looking.Objects, *kinds: str) -> set[str]:
    """Return the names of all objects of some kinds."""
    return {document["metadata"]["name"] for document in objects if document["kind"] in kinds}


def _crd_annotations(objects: looking.Objects) -> list[object]:
    return [
        document["metadata"].get("annotations")
        for document in objects
        if document["kind"] == "CustomResourceDefinition"
    ]


def _refuses(text: str) -> collections.abc.Callable[[looking.Objects], bool]:
    """Return what tells whether the admission policy has a text."""
    return lambda found: text in str(looking.named("ValidatingAdmissionPolicy")(found)["spec"])


OPTIONS = (
    looking.Option(
        path="nameOverride", value="post", look=lambda found: "mailtier-post" in looking.names(found), seen=True
    ),
    looking.Option(
        path="fullnameOverride",
        value="post",
        look=lambda found: {"post", "post-pods"} <= looking.names(found),
        seen=True,
    ),
    looking.Option(
        path="commonLabels",
        value={"team": "a"},
        look=lambda found: {document["metadata"]["labels"]["team"] for document in found},
        seen={"a"},
    ),
    looking.Option(
        path="commonAnnotations",
        value=_WAVE,
        look=lambda found: [
            document["metadata"]["name"]
            for document in found
            if not document["metadata"].get("annotations", {}).items() >= _WAVE.items()
        ],
        seen=[],
    ),
    looking.Option(
        path="crds.enabled",
        value=False,
        look=lambda found: "CustomResourceDefinition" in looking.kinds(found),
        seen=False,
    ),
    looking.Option(path="crds.keep", value=False, look=_crd_annotations, seen=[None] * 3),
    looking.Option(
        path="crds.annotations",
        value=_WAVE,
        look=_crd_annotations,
        seen=[{**_WAVE, "helm.sh/resource-policy": "keep"}] * 3,
    ),
    looking.Option(
        path="serviceAccount.create",
        value=False,
        look=lambda found: "ServiceAccount" in looking.kinds(found),
        seen=False,
    ),
    looking.Option(
        path="serviceAccount.name",
        value="post",
        look=lambda found: (
            looking.pod(found)["serviceAccountName"],
            looking.named("RoleBinding")(found)["subjects"][0]["name"],
            looking.named("ClusterRoleBinding")(found)["subjects"][0]["name"],
            looking.named("ServiceAccount", "post")(found)["kind"],
        ),
        seen=("post", "post", "post", "ServiceAccount"),
    ),
    looking.Option(
        path="serviceAccount.annotations",
        value={"a": "b"},
        look=lambda found: looking.named("ServiceAccount")(found)["metadata"]["annotations"],
        seen={"a": "b"},
    ),
    looking.Option(
        path="rbac.create",
        value=False,
        look=lambda found: _called(found, "Role", "RoleBinding"),
        seen={"mailtier-intake-ca"},
    ),
    looking.Option(
        path="rbac.aggregate",
        value=False,
        look=lambda found: (
            looking.names(found) & {"mailtier-view", "mailtier-edit", "mailtier-grant", "mailtier-notifier"}
        ),
        seen={"mailtier-notifier"},
    ),
    looking.Option(
        path="rbac.references.scope",
        value="Cluster",
        look=lambda found: (_bound_in(found, "mailtier-references"), looking.names(found) & {"mailtier-grant"}),
        seen=([], set()),
    ),
    looking.Option(
        path="rbac.references.namespaces",
        value=["team-a", "mailtier-system", "team-b"],
        look=lambda found: _bound_in(found, "mailtier-references"),
        seen=["mailtier-system", "team-a", "team-b"],
    ),
    looking.Option(
        path="rbac.intakeCa.subjects",
        value=[_READERS],
        look=lambda found: looking.named("RoleBinding", "mailtier-intake-ca")(found)["subjects"],
        seen=[_READERS],
    ),
    looking.Option(
        path="confinement.enabled",
        value=False,
        look=lambda found: "mailtier-confinement" in looking.names(found),
        seen=False,
    ),
    looking.Option(
        path="admissionPolicy.enabled",
        value=False,
        look=lambda found: _called(found, "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"),
        seen={"mailtier-confinement"},
    ),
    looking.Option(path="admissionPolicy.labels", value=7, look=_refuses("labels <= 7 "), seen=True),
    looking.Option(path="admissionPolicy.annotations", value=8, look=_refuses("annotations) > 8 "), seen=True),
    looking.Option(
        path="admissionPolicy.annotationBytes", value=2048, look=_refuses("annotations <= 2048 "), seen=True
    ),
    looking.Option(
        path="projections.enabled",
        value=True,
        look=lambda found: [
            rule["verbs"]
            for rule in looking.named("ClusterRole")(found)["rules"]
            if rule.get("resources") == ["configmaps"]
        ],
        seen=[["get", "create", "patch", "delete"]],
    ),
    looking.Option(
        path="extraObjects",
        value=[
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "{{ .Release.Name }}-a"}},
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: b}",
        ],
        look=lambda found: looking.names(found) & {"mailtier-a", "b"},
        seen={"mailtier-a", "b"},
    ),
)
