"""Every name that Mailtier claims in a cluster: group, kinds, labels, annotations, managers, object names."""

GROUP = "mailtier.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"

HOST_KIND = "HostEmailSettings"
HOST_PLURAL = "hostemailsettings"
ORG_KIND = "OrgEmailSettings"
ORG_PLURAL = "orgemailsettings"
NOTIFICATION_KIND = "Notification"
NOTIFICATION_PLURAL = "notifications"
NAMESPACE_PLURAL = "namespaces"
"""The plural of the one kind that is watched and not ours."""
CATEGORY = "mailtier"

HOST_NAME = "default"
"""The one name that HostEmailSettings may have."""

DEFAULT_ORGANIZATION = "default"
"""The organization of a namespace that has no object, and of a request that names none."""

ORGANIZATION_NAME_LENGTH = 50
"""Characters of an organization's name; `mailtier-<name>` stays a DNS label of at most 63."""

REQUESTED_AT_ANNOTATION = "mailtier.dev/requested-at"
"""On our objects: with each new value, what they refer to is read anew (Flux has the same)."""

MAXIMUM_REQUEST_LENGTH = 128
"""Characters of such a value; a longer one asks for nothing."""

ENDPOINT_ANNOTATION = f"{GROUP}/endpoint"
"""On a Secret: the endpoints that its password or certificate may be used at, comma-separated `host[:port]`."""

REFERENCES_BINDING = "mailtier-references"
"""The RoleBinding that lets the operator read what settings of a namespace refer to."""

COMPONENT_LABEL = "app.kubernetes.io/component"
MANAGED_BY_LABEL = "app.kubernetes.io/managed-by"
MANAGED_BY = "mailtier"
EFFECTIVE_COMPONENT = "effective-settings"
CA_COMPONENT = "ca-bundle"
PROJECTION_COMPONENT = "projection"
PUBLISHED_SELECTOR = f"{MANAGED_BY_LABEL}={MANAGED_BY},{COMPONENT_LABEL} in ({EFFECTIVE_COMPONENT},{CA_COMPONENT})"
"""Selects what the operator publishes for the sender, and both of them watch."""
NAMESPACE_LABEL = f"{GROUP}/namespace"
ORGANIZATION_LABEL = f"{GROUP}/organization"

FIELD_MANAGER = "mailtier-operator"
"""The field manager of everything the operator applies."""

LEASE_NAME = "mailtier-operator"

TOKEN_AUDIENCE = "mailtier"  # noqa: S105  # An audience is public; it is not a token.
"""The audience that a caller's ServiceAccount token must carry at the intake."""

EFFECTIVE_KEY = "effective.json"
"""The key of an effective ConfigMap that machines read; the other keys are for people."""

HOST_CONFIG_MAP = "host"
"""The ConfigMap with the host's own effective settings, which the sender probes though nobody may inherit them."""

INTAKE_CA_CONFIG_MAP = "intake-ca"
"""The ConfigMap with the certificates that clients of the intake verify it against, for people and programs.

No other of ours has that name: see `projection`, `effective_config_map` and `is_ca_config_map`.
"""

INTAKE_CA_COMPONENT = "intake-ca"

CA_KEY = "ca.crt"
TLS_SECRET_TYPE = "kubernetes.io/tls"  # noqa: S105  # The type of a Secret; the keys that it has follow.
CERTIFICATE_KEY = "tls.crt"
CERTIFICATE_KEY_KEY = "tls.key"
PASSWORD_KEY = "password"  # noqa: S105  # The name of a key of a Secret; so are the next three.
CLIENT_SECRET_KEY = "client-secret"  # noqa: S105
PRIVATE_KEY_KEY = "private-key"
REFRESH_TOKEN_KEY = "refresh-token"  # noqa: S105


_CA_PREFIX = "ca-"


def effective_config_map(namespace: str, organization: str) -> str:
    """Return the name of an organization's effective ConfigMap; the host's own with an empty namespace.

    A namespace's name has no dot, so that no two organizations share a name, and none has the host's.
    """
    return f"{namespace}.{organization}" if namespace else HOST_CONFIG_MAP


def projection(organization: str) -> str:
    """Return the name of the ConfigMap that `spec.publish` asks for, in the organization's own namespace."""
    return f"{MANAGED_BY}-{organization}"


def ca_config_map(digest: str) -> str:
    """Return the name of the ConfigMap that publishes the CA bundle with this hexadecimal SHA-256."""
    return f"{_CA_PREFIX}{digest[:40]}"


def is_ca_config_map(name: str) -> bool:
    """Return whether a ConfigMap of ours holds a CA bundle; an effective one has a dot in its name or is the host's."""
    return name.startswith(_CA_PREFIX) and "." not in name
