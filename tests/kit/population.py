"""Organizations in number: most inherit, a fifth overrides, a twentieth is broken, a hundredth rotates its Secret.

Of 10,000 in 500 namespaces 2,000 override something, 500 are broken in five ways, and 100 of those that override have
a server and a Secret of their own.
"""

import dataclasses
from typing import Any

from mailtier.api import names

PER_NAMESPACE = 20
_RELAY = "relay.platform.example"
_OWN = "smtp.tenant.example"
_BROKEN = (
    # The reasons are, in this order: FromNotAllowed, CredentialsRequired, SecretNotFound, SecretNotBound,
    # EndpointNotAllowed.
    {"from": {"address": "no-reply@elsewhere.example"}},
    {"smtp": {"host": _OWN}},
    {"smtp": {"host": _OWN}, "auth": {"username": "a", "passwordSecretRef": {"name": "missing"}}},
    {"smtp": {"host": _OWN}, "auth": {"username": "a", "passwordSecretRef": {"name": "unbound"}}},
    {"smtp": {"host": "10.0.0.25"}, "auth": {"username": "a", "passwordSecretRef": {"name": "unbound"}}},
)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Organization:
    """One of them.

    Attributes:
        number: From 0.
        prefix: Of its namespace's name.
    """

    number: int
    prefix: str

    @property
    def namespace(self) -> str:
        """Its namespace."""
        return f"{self.prefix}-{self.number // PER_NAMESPACE}"

    @property
    def name(self) -> str:
        """Its name."""
        return f"org-{self.number % PER_NAMESPACE}"

    @property
    def is_broken(self) -> bool:
        """Whether its settings are blocked."""
        return self.number % 20 == 7

    @property
    def is_plain(self) -> bool:
        """Whether it inherits everything."""
        return self.spec == {}

    @property
    def rotates(self) -> bool:
        """Whether it has a Secret of its own, which is rotated."""
        return self.number % 100 == 1

    @property
    def spec(self) -> dict[str, Any]:
        """What it sets."""
        if self.is_broken:
            broken = _BROKEN[self.number // 20 % len(_BROKEN)]
            return broken if "smtp" not in broken else {**broken, "from": {"address": "team@tenant.example"}}
        if self.rotates:
            return {
                "smtp": {"host": _OWN},
                "auth": {"username": "team", "passwordSecretRef": {"name": self.secret_name}},
                "from": {"address": "team@tenant.example"},
            }
        return {"from": {"displayName": f"{self.namespace} {self.name}"}} if self.number % 5 == 1 else {}

    @property
    def secret_name(self) -> str:
        """The name of its Secret."""
        return f"smtp-{self.name}"

    @property
    def body(self) -> dict[str, Any]:
        """Its object."""
        return {
            "apiVersion": names.API_VERSION,
            "kind": names.ORG_KIND,
            "metadata": {"name": self.name, "namespace": self.namespace},
            "spec": self.spec,
        }

    def edit(self, display_name: str) -> dict[str, Any]:
        """Return an edit that changes its display name and nothing else."""
        return {**self.body, "spec": {"from": {"displayName": display_name}}}

    def secret(self, password: str) -> dict[str, Any]:
        """Return its Secret."""
        return secret(self.namespace, self.secret_name, password, annotations={names.ENDPOINT_ANNOTATION: _OWN})


def make(count: int, prefix: str) -> list[Organization]:
    """Return so many organizations."""
    return [Organization(number=number, prefix=prefix) for number in range(count)]


def secret(namespace: str, name: str, password: str, *, annotations: dict[str, str] | None = None) -> dict[str, Any]:
    """Return a Secret with a password."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace, "annotations": annotations or {}},
        "stringData": {"password": password},
    }


def host(name: str) -> dict[str, Any]:
    """Return the host's settings, with a Reply-To that tells one change from another, and that nobody overrides."""
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.HOST_KIND,
        "metadata": {"name": names.HOST_NAME},
        "spec": {
            "smtp": {"host": _RELAY, "port": 587},
            "from": {"address": "no-reply@platform.example", "replyTo": f"{name.lower()}@platform.example"},
        },
    }
