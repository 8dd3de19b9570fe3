"""Secrets in memory, as the sender reads them from a cluster."""

import collections.abc
import dataclasses
import itertools

from kit import certs
from mailtier.api import names, secret
from mailtier.sender.secrets import credentials
from mailtier.settings import effective


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Secret:
    """A Secret in memory."""

    uid: str
    resource_version: str
    kind: str
    annotations: collections.abc.Mapping[str, str]
    data: collections.abc.Mapping[str, secret.Hidden]


class Secrets:
    """Secrets that a test writes itself; counts how often each is read."""

    def __init__(self) -> None:
        self._secrets: dict[tuple[str, str], Secret] = {}
        self._versions = itertools.count(1)
        self.reads = 0

    def put(self, namespace: str, name: str, password: str, *, endpoint: str) -> effective.SecretReference:
        """Create or change a Secret, and return the reference that the operator would publish."""
        return self.put_values(namespace, name, {names.PASSWORD_KEY: password}, endpoint=endpoint)

    def put_values(
        self,
        namespace: str,
        name: str,
        values: collections.abc.Mapping[str, str],
        *,
        endpoint: str,
        kind: str = "Opaque",
    ) -> effective.SecretReference:
        """Create or change a Secret with any keys."""
        version = str(next(self._versions))
        self._secrets[namespace, name] = Secret(
            uid=f"uid-{namespace}-{name}",
            resource_version=version,
            kind=kind,
            annotations={names.ENDPOINT_ANNOTATION: endpoint} if endpoint else {},
            data={key: secret.Hidden(value) for key, value in values.items()},
        )
        return effective.SecretReference(
            namespace=namespace,
            name=name,
            key=names.PASSWORD_KEY if names.PASSWORD_KEY in values else "",
            version=f"uid-{namespace}-{name}/{version}",
        )

    def put_certificate(
        self, namespace: str, name: str, leaf: certs.Leaf, *, endpoint: str
    ) -> effective.CertificateReference:
        """Create or change a Secret of type kubernetes.io/tls, and return the reference to it."""
        values = {
            names.CERTIFICATE_KEY: leaf.cert_path.read_text(),
            names.CERTIFICATE_KEY_KEY: leaf.key_path.read_text(),
        }
        put = self.put_values(namespace, name, values, endpoint=endpoint, kind=names.TLS_SECRET_TYPE)
        return effective.CertificateReference(namespace=namespace, name=name, version=put.version)

    def remove(self, namespace: str, name: str) -> None:
        """Delete a Secret."""
        del self._secrets[namespace, name]

    async def read(self, namespace: str, name: str) -> Secret:
        """Return a Secret."""
        self.reads += 1
        found = self._secrets.get((namespace, name))
        if found is None:
            raise credentials.SecretNotFoundError(f"Secret {namespace}/{name} does not exist")
        return found
