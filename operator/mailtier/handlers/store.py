"""What the watches have shown: the present objects, stripped to what is read.

Nothing here is a decision. Handlers put objects in; reconcilers read them. A whole object of 4 KiB becomes a few
hundred bytes, and the status is kept as a digest: it is only ever compared.
"""

import contextlib
import dataclasses
import hashlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from mailtier.api import names, notification, settings
from mailtier.settings import observed

_CANONICAL: Final = msgspec.json.Encoder(order="sorted")
# Of statuses that the schema lets through: each of a few fields is there or not.
_FIELDS: Final[dict[frozenset[str], frozenset[str]]] = {}
_KEPT_OF_A_CONDITION: Final = ("type", "status", "reason", "observedGeneration", "lastTransitionTime")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """An object's metadata and status, as last seen.

    Attributes:
        conditions: Those of the status as `remember` keeps them.
        status_digest: Of the whole status, to write only what differs.
        status_fields: Those that the status has.
        requested_at: The annotation that asks for a new look; "" without one.
    """

    namespace: str
    name: str
    uid: str
    generation: int
    conditions: tuple[Mapping[str, Any], ...]
    status_digest: bytes
    status_fields: frozenset[str] = frozenset()
    requested_at: str = ""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Host(Seen):
    """The HostEmailSettings.

    Attributes:
        summary: That of its status; None while it has none.
        queue: The same of what it says of the sender's queue.
    """

    spec: settings.HostSpec | observed.Invalid
    summary: Mapping[str, int] | None
    queue: Mapping[str, Any] | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Organization(Seen):
    """An OrgEmailSettings.

    Attributes:
        projection: The ConfigMap that its status says was written for it; "" without one.
        queue: What its status says is queued; None where it says nothing of it.
    """

    spec: settings.OrgSpec | observed.Invalid
    projection: str = ""
    queue: Mapping[str, Any] | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Notification(Seen):
    """A Notification.

    Attributes:
        spec: None for a large one, which is read when it is needed: a quarter of a megabyte each, a thousand of them
            would be most of what the process may have.
    """

    spec: notification.NotificationSpec | observed.Invalid | None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Namespace:
    """A namespace that is not being deleted."""

    name: str
    uid: str
    labels: Mapping[str, str]


def digest(document: Any) -> bytes:
    """Return 16 bytes that tell two JSON documents apart, whatever the order of their keys."""
    return hashlib.blake2b(_CANONICAL.encode(document), digest_size=16).digest()


def fields(status: Mapping[str, Any]) -> frozenset[str]:
    """Return the fields of a status; ten thousand have the same few, which are kept once."""
    found = frozenset(status)
    return _FIELDS.setdefault(found, found)


def remember(conditions: Sequence[Mapping[str, Any]]) -> tuple[Mapping[str, Any], ...]:
    """Return what is kept of conditions: what tells whether one changes, and since when it is so.

    Their messages would be most of what is known of an organization, and thousands of them the same text.
    """
    return tuple(
        {
            key: sys.intern(value) if isinstance(value, str) else value
            for key in _KEPT_OF_A_CONDITION
            if (value := condition.get(key)) is not None
        }
        for condition in conditions
    )


class Store:
    """The present objects, by kind and key.

    Attributes:
        expected: Digest of the status that is being written, by plural, namespace and name.
    """

    def __init__(self) -> None:
        self.expected: dict[tuple[str, str, str], bytes] = {}
        self.host: Host | None = None
        self.organizations: dict[tuple[str, str], Organization] = {}
        self.notifications: dict[tuple[str, str], Notification] = {}
        self.namespaces: dict[str, Namespace] = {}
        self._by_namespace: dict[str, set[str]] = {}

    @contextlib.contextmanager
    def expecting(self, plural: str, namespace: str, name: str, status_digest: bytes) -> Iterator[None]:
        """Have a status known for our own while it is written: the watch may show it before the answer comes."""
        key = (plural, namespace, name)
        self.expected[key] = status_digest
        try:
            yield
        finally:
            self.expected.pop(key, None)

    def find(self, plural: str, namespace: str, name: str) -> Seen | None:
        """Return an object of one of our kinds as last seen; None while there is none."""
        match plural:
            case names.HOST_PLURAL:
                return self.host if self.host is not None and self.host.name == name else None
            case names.ORG_PLURAL:
                return self.organizations.get((namespace, name))
            case names.NOTIFICATION_PLURAL:
                return self.notifications.get((namespace, name))
            case _:
                return None

    def note_status(self, seen: Seen, document: Mapping[str, Any]) -> None:
        """Take in the status that an object has now, and has from us."""
        noted = dataclasses.replace(
            seen,
            conditions=remember(document.get("conditions", ())),
            status_digest=digest(document),
            status_fields=fields(document),
        )
        match noted:
            case Host():
                self.host = noted
            case Organization():
                projection = document.get("projection", "")
                self.organizations[noted.namespace, noted.name] = dataclasses.replace(noted, projection=projection)
            case Notification():
                self.notifications[noted.namespace, noted.name] = noted

    def put_organization(self, organization: Organization) -> None:
        """Take in an organization's object."""
        self.organizations[organization.namespace, organization.name] = organization
        self._by_namespace.setdefault(organization.namespace, set()).add(organization.name)

    def drop_organization(self, namespace: str, name: str) -> None:
        """Forget an organization's object."""
        self.organizations.pop((namespace, name), None)
        left = self._by_namespace.get(namespace)
        if left is not None:
            left.discard(name)
            if not left:
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
