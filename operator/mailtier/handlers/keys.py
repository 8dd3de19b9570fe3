"""What the work queue holds: the name of something to reconcile."""

import enum
from typing import NamedTuple

from mailtier.api import names


class WorkKind(enum.Enum):
    """The kinds of work."""

    HOST = "host"
    ORGANIZATION = "organization"
    NOTIFICATION = "notification"


class Key(NamedTuple):
    """One thing to reconcile; a tuple, because hundreds of thousands are hashed."""

    subject: WorkKind
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.subject.value} {self.namespace}/{self.name}" if self.namespace else self.subject.value


HOST = Key(WorkKind.HOST, "", names.HOST_NAME)


def flow(key: Key) -> str:
    """Return whose key it is: namespaces take turns."""
    return key.namespace


def organization(namespace: str, name: str) -> Key:
    """Return the key of an organization."""
    return Key(WorkKind.ORGANIZATION, namespace, name)


def notification(namespace: str, name: str) -> Key:
    """Return the key of a Notification object."""
    return Key(WorkKind.NOTIFICATION, namespace, name)
