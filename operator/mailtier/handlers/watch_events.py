"""What a watch event means: an object goes into the store, and keys into the work queue.

An event is only a reason to look again. What is done about it depends on the present objects alone (R8), so that
a lost, repeated or reordered event changes nothing in the end.
"""

from collections.abc import Mapping
from typing import Any, Final, Protocol

import msgspec
import pydantic

from mailtier.api import names, notification
from mailtier.handlers import keys, store, streams
from mailtier.settings import observed


class KeyQueue(Protocol):
    """Where keys go."""

    def add(self, key: keys.Key, *, background: bool = False) -> None:
        """Have a key worked on; in the background, if it can wait for those that cannot."""


HELD_BYTES: Final = 2048
"""Of a Notification's spec, as JSON, that are kept in memory."""


def parse_notification(document: Any) -> notification.NotificationSpec | observed.Invalid:
    """Return the spec of a Notification, or what does not fit in it."""
    try:
        return notification.NotificationSpec.model_validate(document)
    except pydantic.ValidationError as error:
        return observed.invalid(error, notification.NotificationSpec)


def _seen(document: Mapping[str, Any]) -> dict[str, Any]:
    metadata = document["metadata"]
    status = document.get("status", {})
    return {
        "namespace": metadata.get("namespace", ""),
        "name": metadata["name"],
        "uid": metadata["uid"],
        "generation": metadata.get("generation", 0),
        "conditions": store.remember(status.get("conditions", ())),
        "status_digest": store.digest(status),
        "status_fields": store.fields(status),
        "requested_at": _requested_at(metadata.get("annotations", {})),
    }


def _requested_at(annotations: Mapping[str, str]) -> str:
    found = annotations.get(names.REQUESTED_AT_ANNOTATION, "")
    return found if len(found) <= names.MAXIMUM_REQUEST_LENGTH else ""


def is_counted(plural: str, metadata: Mapping[str, Any]) -> bool:
    """Return whether an object of a watched kind goes into the store.

    A namespace that is being deleted does not, however long a finalizer keeps it: nothing is delivered for it.
    """
    if plural == names.NAMESPACE_PLURAL:
        return "deletionTimestamp" not in metadata
    return plural != names.HOST_PLURAL or metadata["name"] == names.HOST_NAME


def _unchanged(old: store.Seen | None, seen: Mapping[str, Any]) -> bool:
    """Return whether an object is one that was seen before with the same spec."""
    return old is not None and old.uid == seen["uid"] and old.generation == seen["generation"]


def _differs(old: store.Seen, seen: Mapping[str, Any]) -> bool:
    """Return whether an object with the same spec is a reason to look again: another status, or because it asks."""
    return (old.status_digest, old.requested_at) != (seen["status_digest"], seen["requested_at"])


class WatchEvents:
    """Takes in watch events, one method a kind; `None` for an object that is gone."""

    def __init__(self, objects: store.Store, queue: KeyQueue) -> None:
        self._store = objects
        self._queue = queue
        # The version of an object that kopf was last shown and has not brought yet, by plural, namespace and name.
        self._awaited: dict[tuple[str, str, str], str] = {}

    def is_echo(self, plural: str, metadata: streams.Metadata, status: bytes) -> bool:
        """Return whether an object is as it is known to be, or has got the status that is being written to it.

        While kopf still has an earlier version of it, it is not: that one comes later, and would be taken for the
        present one.

        Args:
            plural: Of one of our kinds; of another, nothing is known.
            metadata: The object's.
            status: As JSON.
        """
        key = (plural, metadata.namespace, metadata.name)
        if key not in self._awaited and self._is_known(plural, metadata, status):
            return True
        if plural != names.NAMESPACE_PLURAL:
            self._awaited[key] = metadata.resource_version
        return False

    def _is_known(self, plural: str, metadata: streams.Metadata, status: bytes) -> bool:
        old = self._store.find(plural, metadata.namespace, metadata.name)
        seen = (metadata.uid, metadata.generation, metadata.requested_at)
        if old is None or (old.uid, old.generation, old.requested_at) != seen:
            return False
        document = msgspec.json.decode(status)
        digest = store.digest(document)
        if digest == old.status_digest:
            return True
        if digest != self._store.expected.get((plural, metadata.namespace, metadata.name)):
            return False
        self._store.note_status(old, document)
        return True

    def _arrive(self, plural: str, namespace: str, name: str, document: Mapping[str, Any] | None) -> None:
        """Note that kopf has brought what it was shown of an object last, or that the object is gone."""
        key = (plural, namespace, name)
        if document is None or document["metadata"].get("resourceVersion") == self._awaited.get(key):
            self._awaited.pop(key, None)

    def host(self, name: str, document: Mapping[str, Any] | None) -> None:
        """Take in the HostEmailSettings; a new generation reaches every organization."""
        self._arrive(names.HOST_PLURAL, "", name, document)
        if document is not None and not is_counted(names.HOST_PLURAL, document["metadata"]):
            return
        old = self._store.host
        if document is None:
            self._store.host = None
            if old is not None:
                self._everything()
            return
        seen = _seen(document)
        told = {part: document.get("status", {}).get(part) for part in ("summary", "queue")}
        if old is not None and _unchanged(old, seen):
            self._store.host = store.Host(**seen, spec=old.spec, **told)
            if _differs(old, seen):
                self._queue.add(keys.HOST)
            return
        self._store.host = store.Host(**seen, spec=observed.parse_host(document.get("spec")), **told)
        self._everything()

    def organization(self, namespace: str, name: str, document: Mapping[str, Any] | None) -> None:
        """Take in an OrgEmailSettings."""
        self._arrive(names.ORG_PLURAL, namespace, name, document)
        old = self._store.organizations.get((namespace, name))
        key = keys.organization(namespace, name)
        if document is None:
            if old is not None:
                self._store.drop_organization(namespace, name)
                self._queue.add(key)
                self._implicit(namespace)
            return
        seen = _seen(document)
        status = document.get("status", {})
        told = {"projection": status.get("projection", ""), "queue": status.get("queue")}
        if old is not None and _unchanged(old, seen):
            if _differs(old, seen):
                self._store.put_organization(store.Organization(**seen, spec=old.spec, **told))
                self._queue.add(key)
            return
        spec = observed.parse_org(document.get("spec"))
        self._store.put_organization(store.Organization(**seen, spec=spec, **told))
        # Who begins to lead looks at everything, and first at what nobody has looked at yet.
        is_known = old is None and document.get("status", {}).get("observedGeneration") == seen["generation"]
        self._queue.add(key, background=is_known)
        if old is None:
            self._implicit(namespace, background=is_known)

    def notification(self, namespace: str, name: str, document: Mapping[str, Any] | None) -> None:
        """Take in a Notification."""
        self._arrive(names.NOTIFICATION_PLURAL, namespace, name, document)
        key = (namespace, name)
        old = self._store.notifications.get(key)
        if document is None:
            if self._store.notifications.pop(key, None) is not None:
                self._queue.add(keys.notification(namespace, name))
            return
        seen = _seen(document)
        if old is not None and _unchanged(old, seen) and old.status_digest == seen["status_digest"]:
            return
        found = document.get("spec", {})
        spec = parse_notification(found) if len(msgspec.json.encode(found)) <= HELD_BYTES else None
        self._store.notifications[key] = store.Notification(**seen, spec=spec)
        self._queue.add(keys.notification(namespace, name))

    def namespace(self, name: str, document: Mapping[str, Any] | None) -> None:
        """Take in a namespace; its labels decide whether it holds organizations."""
        old = self._store.namespaces.get(name)
        metadata = document["metadata"] if document is not None else {}
        if document is None or not is_counted(names.NAMESPACE_PLURAL, metadata):
            if old is not None:
                del self._store.namespaces[name]
                self._in_namespace(name)
            return
        new = store.Namespace(name=name, uid=metadata["uid"], labels=metadata.get("labels", {}))
        if new != old:
            self._store.namespaces[name] = new
            # The objects in a namespace that is new say themselves how urgent they are.
            self._in_namespace(name, background=old is None)

    def _implicit(self, namespace: str, *, background: bool = False) -> None:
        """Look again at the organization that a namespace has while it holds no object."""
        self._queue.add(keys.organization(namespace, names.DEFAULT_ORGANIZATION), background=background)

    def _in_namespace(self, namespace: str, *, background: bool = False) -> None:
        for name in self._store.organizations_in(namespace):
            self._queue.add(keys.organization(namespace, name), background=background)
        self._implicit(namespace, background=background)

    def _everything(self) -> None:
        """Look again at all there is: it can wait for whoever edits one object meanwhile."""
        self._queue.add(keys.HOST)
        for namespace in self._store.namespaces:
            self._in_namespace(namespace, background=True)
        # Namespaces and organizations come by separate watches, in either order.
        for namespace, name in self._store.organizations:
            if namespace not in self._store.namespaces:
                self._queue.add(keys.organization(namespace, name), background=True)
