"""What the watches have shown: the present objects, stripped to what is read.

Nothing here is a decision. Handlers put objects in; reconcilers read them. A whole object of 4 KiB becomes a few
hundred bytes, and the status is kept as a digest: it is only ever compared.
"""

import dataclasses
import hashlib
from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from mailtier.api import notification, settings
from mailtier.settings import observed

_CANONICAL: Final = msgspec.json.Encoder(order="sorted")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """An object's metadata and status, as last seen.

    Attributes:
        conditions: Those of the status, for their times of transition.
        status_digest: Of the whole status, to write only what differs.
    """

    namespace: str
    name: str
    uid: str
    generation: int
    conditions: tuple[Mapping[str, Any], ...]
    status_digest: bytes


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Host(Seen):
    """The HostEmailSettings.

    Attributes:
        summary: That of its status; None while it has none.
    """

    spec: settings.HostSpec | observed.Invalid
    summary: Mapping[str, int] | None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Organization(Seen):
    """An OrgEmailSettings."""

    spec: settings.OrgSpec | observed.Invalid


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Notification(Seen):
    """A Notification."""

    spec: notification.NotificationSpec | observed.Invalid


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Namespace:
    """A namespace that is not being deleted."""

    name: str
    uid: str
    labels: Mapping[str, str]


def digest(document: Any) -> bytes:
    """Return 16 bytes that tell two JSON documents apart, whatever the order of their keys."""
    return hashlib.blake2b(_CANONICAL.encode(document), digest_size=16).digest()


class Store:
    """The present objects, by kind and key."""

    def __init__(self) -> None:
        self.host: Host | None = None
        self.organizations: dict[tuple[str, str], Organization] = {}
        self.notifications: dict[tuple[str, str], Notification] = {}
        self.namespaces: dict[str, Namespace] = {}
        self._by_namespace: dict[str, set[str]] = {}

    def put_organization(self, organization: Organization) -> None:
        """Take in an organization's object."""
        self.organizations[organization.namespace, organization.name] = organization
        self._by_namespace.setdefault(organization.namespace, set()).add(organization.name)

    def drop_organization(self, namespace: str, name: str) -> None:
        """Forget an organization's object."""
        self.organizations.pop((namespace, name), None)
        names = self._by_namespace.get(namespace)
        if names is not None:
            names.discard(name)
            if not names:
                del self._by_namespace[namespace]

    def has_organizations(self, namespace: str) -> bool:
        """Return whether a namespace holds any organization's object."""
        return namespace in self._by_namespace

    def organizations_in(self, namespace: str) -> Iterator[str]:
        """Yield the names of the organizations' objects in a namespace."""
        yield from self._by_namespace.get(namespace, ())

    def namespace_uids(self) -> set[str]:
        """Return the uid of every namespace that is there and not being deleted."""
        return {namespace.uid for namespace in self.namespaces.values()}

    def host_keys(self) -> list[tuple[str, str]]:
        """Return the key of the host's object, as the other kinds have theirs."""
        return [("", self.host.name)] if self.host is not None else []
