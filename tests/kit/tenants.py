"""Organizations as a sender meets them: a namespace, an application's ServiceAccount, published settings."""

import collections.abc
import dataclasses
import datetime as dt
import pathlib
import secrets
import typing

from kit import cluster as cluster_kit
from kit import rest, smtpd
from mailtier.api import names, vocabulary
from mailtier.settings import codec, effective

LOOPBACK = effective.AddressRules(public=True, private=True, allow=("127.0.0.0/8",), deny=())
"""Address rules that let test servers be reached."""

_APPLICATION = "application"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Tenant:
    """A namespace with an application that may notify in it.

    Attributes:
        uid: Of the namespace.
        token: The application's, for the intake.
    """

    namespace: str
    uid: str
    token: str

    def collection(self, organization: str = "default") -> str:
        """Return the path to POST to."""
        return f"/v1/namespaces/{self.namespace}/organizations/{organization}/notifications"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """What a sender under test stands beside.

    Attributes:
        system: The operator's namespace.
        account: The kubeconfig of the sender's ServiceAccount.
        smtp: Where mail goes.
    """

    cluster: cluster_kit.LocalCluster
    system: str
    account: pathlib.Path
    smtp: smtpd.Process

    def publish(self, tenant: Tenant, **changes: typing.Any) -> None:
        """Publish settings of a tenant, as `settings` makes them, for the stage's SMTP server."""
        publish(self.cluster, self.system, settings(tenant, port=self.smtp.port, **changes))


def create(cluster: cluster_kit.LocalCluster, *, name: str | None = None) -> Tenant:
    """Return a new tenant.

    Args:
        name: Of its namespace; one that nobody has by default.
    """
    namespace = name or f"team-{secrets.token_hex(4)}"
    metadata = _post(cluster, "/api/v1/namespaces", {"metadata": {"name": namespace}})["metadata"]
    token = account(cluster, namespace, _APPLICATION, allowed=True)
    return Tenant(namespace=namespace, uid=metadata["uid"], token=token)


def account(
    cluster: cluster_kit.LocalCluster,
    namespace: str,
    name: str,
    *,
    allowed: bool,
    verbs: collections.abc.Sequence[str] = ("create",),
) -> str:
    """Make a ServiceAccount and return its token for the intake.

    Args:
        allowed: Whether it may do something with notifications in its namespace.
        verbs: What.
    """
    core, group = f"/api/v1/namespaces/{namespace}", "rbac.authorization.k8s.io"
    metadata = {"name": name, "namespace": namespace}
    _post(cluster, f"{core}/serviceaccounts", {"metadata": metadata})
    if allowed:
        rule = {"apiGroups": [names.GROUP], "resources": [names.NOTIFICATION_PLURAL], "verbs": list(verbs)}
        rbac = f"/apis/{group}/v1/namespaces/{namespace}"
        _post(cluster, f"{rbac}/roles", {"metadata": metadata, "rules": [rule]})
        binding = {
            "metadata": metadata,
            "roleRef": {"apiGroup": group, "kind": "Role", "name": name},
            "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": namespace}],
        }
        _post(cluster, f"{rbac}/rolebindings", binding)
    return token(cluster, namespace, name)


def token(cluster: cluster_kit.LocalCluster, namespace: str, name: str = _APPLICATION) -> str:
    """Return a new token of a ServiceAccount for the intake."""
    request = {"spec": {"audiences": [names.TOKEN_AUDIENCE], "expirationSeconds": 86400}}
    answer = _post(cluster, f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token", request)
    return str(answer["status"]["token"])


def settings(
    tenant: Tenant,
    *,
    port: int,
    organization: str = "default",
    state: effective.State = effective.State.ACTIVE,
    recipients: collections.abc.Sequence[str] = (),
    disabled: collections.abc.Container[vocabulary.Category] = (),
    max_connections: int = 3,
    locale: vocabulary.Locale = vocabulary.Locale.ENGLISH,
    quota: effective.Quota | None = None,
    domains: collections.abc.Sequence[str] | None = None,
    enforced: bool = True,
) -> effective.Effective:
    """Return effective settings for an SMTP server without TLS on loopback.

    Args:
        recipients: Of every category.
        disabled: Categories that are switched off.
        locale: Of every category.
        quota: Of the namespace; the sender's own where it is None.
        domains: Which recipients notifications may name; None for all.
        enforced: Whether others are refused.
    """
    return effective.Effective(
        organization=effective.OrganizationKey(namespace=tenant.namespace, name=organization),
        namespace_uid=tenant.uid,
        state=state,
        findings=(),
        source=vocabulary.Source.HOST,
        endpoint=effective.Endpoint(
            host="127.0.0.1",
            port=port,
            tls=effective.Tls(
                mode=vocabulary.TlsMode.DISABLED,
                server_name=None,
                min_version=vocabulary.TlsVersion.V1_2,
                ca=None,
            ),
            addresses=LOOPBACK,
            origin=vocabulary.Origin.HOST,
            is_host_s=True,
        ),
        auth=effective.Auth(
            mechanism=vocabulary.Mechanism.ANONYMOUS, identity="", secret=None, origin=vocabulary.Origin.HOST
        ),
        from_=effective.From(
            address="no-reply@example.com",
            display_name="Platform",
            reply_to=None,
            envelope="no-reply@example.com",
        ),
        delivery=effective.Delivery(
            helo_name="sender.example.com",
            max_connections=max_connections,
            messages_per_connection=100,
            session_timeout=dt.timedelta(seconds=30),
            envelope_timeout=dt.timedelta(seconds=60),
            message_timeout=dt.timedelta(seconds=600),
            rate_per_minute=None,
            max_age=None,
        ),
        notifications={
            category: effective.CategorySettings(
                enabled=category not in disabled,
                recipients=() if category is vocabulary.Category.PASSWORD_RECOVERY else tuple(recipients),
                locale=locale,
            )
            for category in vocabulary.Category
        },
        provenance={},
        quota=quota or effective.Quota(),
        recipients=effective.RecipientRules(domains=None if domains is None else tuple(domains), enforced=enforced),
    )


def owned(published: effective.Effective) -> effective.Effective:
    """Return settings whose endpoint and credentials are the organization's own, at a server that is not the host's."""
    assert published.endpoint is not None
    assert published.auth is not None
    own = vocabulary.Origin.ORG
    return dataclasses.replace(
        published,
        source=vocabulary.Source.ORG,
        endpoint=dataclasses.replace(published.endpoint, origin=own, is_host_s=False),
        auth=dataclasses.replace(published.auth, origin=own),
    )


def publish(cluster: cluster_kit.LocalCluster, namespace: str, published: effective.Effective) -> None:
    """Write settings as the operator does, into its namespace."""
    document = config_map(published)
    path = f"/api/v1/namespaces/{namespace}/configmaps/{document['metadata']['name']}"
    _request(cluster, "PATCH", path, document, content_type=rest.APPLY, fieldManager=names.FIELD_MANAGER, force="true")


def config_map(published: effective.Effective) -> dict[str, typing.Any]:
    """Return settings as the operator publishes them."""
    key = published.organization
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": names.effective_config_map(key.namespace, key.name),
            "labels": {
                names.MANAGED_BY_LABEL: names.MANAGED_BY,
                names.COMPONENT_LABEL: names.EFFECTIVE_COMPONENT,
            },
        },
        "data": {names.EFFECTIVE_KEY: codec.encode(published)},
    }


def _post(cluster: cluster_kit.LocalCluster, path: str, body: object) -> dict[str, typing.Any]:
    return _request(cluster, "POST", path, body)


def _request(
    cluster: cluster_kit.LocalCluster, method: str, path: str, body: object, **options: str
) -> dict[str, typing.Any]:
    connection = rest.Rest(cluster)
    try:
        status, answer = connection.request(method, path, body, **options)
    finally:
        connection.close()
    assert status in {200, 201}, (path, answer)
    return answer
