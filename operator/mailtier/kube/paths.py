"""The URL paths of the kinds that Mailtier reads and writes."""

import re
import urllib.parse
from typing import Final

from mailtier.api import names
from mailtier.kube import errors

_OURS: Final = f"/apis/{names.GROUP}/{names.VERSION}"
_CORE: Final = "/api/v1"
_EVENTS: Final = "/apis/events.k8s.io/v1"
_COORDINATION: Final = "/apis/coordination.k8s.io/v1"
_CRDS: Final = "/apis/apiextensions.k8s.io/v1"
_AUTHENTICATION: Final = "/apis/authentication.k8s.io/v1"
_AUTHORIZATION: Final = "/apis/authorization.k8s.io/v1"
_RBAC: Final = "/apis/rbac.authorization.k8s.io/v1"

# RFC 1123 subdomain, as Kubernetes' names of all kinds below are (`validation.IsDNS1123Subdomain`).
_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_NAME_LENGTH: Final = 253

TOKEN_REVIEWS: Final = f"{_AUTHENTICATION}/tokenreviews"
SUBJECT_ACCESS_REVIEWS: Final = f"{_AUTHORIZATION}/subjectaccessreviews"
SELF_SUBJECT_ACCESS_REVIEWS: Final = f"{_AUTHORIZATION}/selfsubjectaccessreviews"
SIGNING_KEYS: Final = "/openid/v1/jwks"
VERSION: Final = "/version"
READYZ: Final = "/readyz"


def host_settings(name: str | None = None) -> str:
    """Return the path of HostEmailSettings, or of one."""
    return _path(_OURS, names.HOST_PLURAL, None, name)


def org_settings(namespace: str | None = None, name: str | None = None) -> str:
    """Return the path of OrgEmailSettings everywhere, in a namespace, or of one."""
    return _path(_OURS, names.ORG_PLURAL, namespace, name)


def notifications(namespace: str | None = None, name: str | None = None) -> str:
    """Return the path of Notifications everywhere, in a namespace, or of one."""
    return _path(_OURS, names.NOTIFICATION_PLURAL, namespace, name)


def namespaces(name: str | None = None) -> str:
    """Return the path of Namespaces, or of one."""
    return _path(_CORE, "namespaces", None, name)


def config_maps(namespace: str | None = None, name: str | None = None) -> str:
    """Return the path of ConfigMaps everywhere, in a namespace, or of one."""
    return _path(_CORE, "configmaps", namespace, name)


def secrets(namespace: str, name: str) -> str:
    """Return the path of one Secret; there is none for several (R9)."""
    return _path(_CORE, "secrets", namespace, name)


def new_secret(namespace: str) -> str:
    """Return the path to which a new Secret is posted; nothing is ever listed there (R9)."""
    return _path(_CORE, "secrets", namespace, None)


def role_bindings(namespace: str, name: str | None = None) -> str:
    """Return the path of the RoleBindings in a namespace, or of one."""
    return _path(_RBAC, "rolebindings", namespace, name)


def local_access_reviews(namespace: str) -> str:
    """Return the path where somebody who administers a namespace asks what others may do there."""
    return _path(_AUTHORIZATION, "localsubjectaccessreviews", namespace, None)


def leases(namespace: str, name: str | None = None) -> str:
    """Return the path of the Leases in a namespace, or of one."""
    return _path(_COORDINATION, "leases", namespace, name)


def events(namespace: str) -> str:
    """Return the path of the Events in a namespace."""
    return _path(_EVENTS, "events", namespace, None)


def pods(namespace: str, name: str | None = None) -> str:
    """Return the path of the Pods in a namespace, or of one."""
    return _path(_CORE, "pods", namespace, name)


def volume_claims(namespace: str, name: str) -> str:
    """Return the path of a PersistentVolumeClaim."""
    return _path(_CORE, "persistentvolumeclaims", namespace, name)


def services(namespace: str, name: str | None = None) -> str:
    """Return the path of the Services in a namespace, or of one."""
    return _path(_CORE, "services", namespace, name)


def service_account_token(namespace: str, name: str) -> str:
    """Return the path where a token of a ServiceAccount is asked for (TokenRequest)."""
    return f"{_path(_CORE, 'serviceaccounts', namespace, name)}/token"


def port_forward(namespace: str, name: str) -> str:
    """Return the path of a connection to a port of a Pod."""
    return f"{pods(namespace, name)}/portforward"


def crds(name: str | None = None) -> str:
    """Return the path of CustomResourceDefinitions, or of one."""
    return _path(_CRDS, "customresourcedefinitions", None, name)


def status(path: str) -> str:
    """Return the path of an object's status subresource."""
    return f"{path}/status"


def resource(path: str) -> str:
    """Return the plural of the kind that a path leads to, such as `configmaps`; the path itself outside the API."""
    segments = path.strip("/").split("/")
    after_version = {"api": 2, "apis": 3}.get(segments[0])
    if after_version is None or len(segments) <= after_version:
        return path
    inside = segments[after_version:]
    # `namespaces/<name>/<plural>...` is inside a namespace; `namespaces/<name>` and its status are the Namespace.
    if inside[0] == "namespaces" and len(inside) > 2 and inside[2] != "status":  # noqa: PLR2004  # As above.
        return inside[2]
    return inside[0]


def _path(api: str, plural: str, namespace: str | None, name: str | None) -> str:
    """Return a path whose every variable segment is a name.

    Raises:
        NotFoundError: A segment cannot be the name of an object, such as "" or `..`, so that there is none; a
            name that a tenant chose never leads to another path.
    """
    segments = [api]
    if namespace is not None:
        segments += ["namespaces", _segment(namespace)]
    segments.append(plural)
    if name is not None:
        segments.append(_segment(name))
    return "/".join(segments)


def _segment(text: str) -> str:
    if len(text) > _NAME_LENGTH or not _NAME.fullmatch(text):
        raise errors.NotFoundError(f"no object can have the name {urllib.parse.quote(text[:60])!r}", reason="NotFound")
    return text
