"""Writing status: by server-side apply, in one patch, and only where it differs from what is there."""

import dataclasses
from collections.abc import Mapping
from typing import Any, TypeVar

from mailtier.api import names
from mailtier.handlers import store
from mailtier.kube import client as kube_client
from mailtier.kube import errors, paths

AnySeen = TypeVar("AnySeen", bound=store.Seen)

_PATHS = {
    names.HOST_PLURAL: lambda _namespace, name: paths.host_settings(name),
    names.ORG_PLURAL: paths.org_settings,
    names.NOTIFICATION_PLURAL: paths.notifications,
}


async def write(
    client: kube_client.Client, kind: str, plural: str, seen: store.Seen, document: Mapping[str, Any]
) -> Mapping[str, Any] | None:
    """Apply a status unless it is there already; return what was applied, or None.

    Args:
        client: For the write.
        kind: The object's kind.
        plural: Its plural.
        seen: The object as last seen.
        document: The whole status that is wanted.
    """
    if store.digest(document) == seen.status_digest:
        return None
    metadata = {"name": seen.name, "uid": seen.uid}
    if seen.namespace:
        metadata["namespace"] = seen.namespace
    try:
        await client.apply(
            paths.status(_PATHS[plural](seen.namespace, seen.name)),
            {"apiVersion": names.API_VERSION, "kind": kind, "metadata": metadata, "status": document},
            field_manager=names.FIELD_MANAGER,
        )
    except (errors.NotFoundError, errors.ConflictError):
        # The object is gone, or another of that name has come: its own events lead to its own status.
        return None
    return document


def noted(current: AnySeen | None, seen: store.Seen, document: Mapping[str, Any]) -> AnySeen | None:
    """Return an object as it is after its status was written, so that the write's own event says nothing new.

    Args:
        current: What the store holds by now; None is returned where that is nothing, or another object of that name.
        seen: The object that the status was written for.
        document: What was written.
    """
    if current is None or current.uid != seen.uid:
        return None
    return dataclasses.replace(
        current, conditions=tuple(document.get("conditions", ())), status_digest=store.digest(document)
    )
