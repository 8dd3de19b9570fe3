"""Writing status: by server-side apply, in one patch, and only where it differs from what is there.

What somebody else has put into a status, server-side apply leaves to them: a name of a ConfigMap, a condition. Nobody
else has anything to say there (R8), and whoever waits would believe it. So where a status held what is not wanted, the
answer is looked at, and what is left of it is removed by a merge patch.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Final

from mailtier.api import names
from mailtier.api import status as status_kinds
from mailtier.handlers import store
from mailtier.kube import client as kube_client
from mailtier.kube import errors, paths

Announce = Callable[[str, store.Seen, Sequence[Mapping[str, Any]]], None]
"""Gets an object's kind, the object as it was seen, and the conditions that were written."""

_KINDS: Final = {
    names.HOST_PLURAL: names.HOST_KIND,
    names.ORG_PLURAL: names.ORG_KIND,
    names.NOTIFICATION_PLURAL: names.NOTIFICATION_KIND,
}
_PATHS: Final = {
    names.HOST_PLURAL: lambda _namespace, name: paths.host_settings(name),
    names.ORG_PLURAL: paths.org_settings,
    names.NOTIFICATION_PLURAL: paths.notifications,
}


async def write(
    client: kube_client.Client, objects: store.Store, plural: str, seen: store.Seen, document: Mapping[str, Any]
) -> bool:
    """Apply a status unless it is there already, and take note of it; return whether it was applied.

    Args:
        client: For the write.
        objects: Where the object is, whose own event says nothing new then.
        plural: The object's kind.
        seen: The object as last seen.
        document: The whole status that is wanted.
    """
    digest = store.digest(document)
    # One that was made anew has its own events, which lead to its own status.
    present = objects.find(plural, seen.namespace, seen.name)
    if digest == seen.status_digest or present is None or present.uid != seen.uid:
        return False
    metadata = {"name": seen.name, "uid": seen.uid}
    if seen.namespace:
        metadata["namespace"] = seen.namespace
    try:
        with objects.expecting(plural, seen.namespace, seen.name, digest):
            path = paths.status(_PATHS[plural](seen.namespace, seen.name))
            body = {"apiVersion": names.API_VERSION, "kind": _KINDS[plural], "metadata": metadata, "status": document}
            if _unwanted(seen.status_fields, seen.conditions, document):
                found = await client.put(path, body, field_manager=names.FIELD_MANAGER)
                await _clear(client, path, document, found)
                uid = found["metadata"]["uid"]
            else:
                uid = await client.apply(path, body, field_manager=names.FIELD_MANAGER)
            if uid != seen.uid:
                # The API server looks at no uid here: the status of one that is gone went to another of its name, which
                # it would call finished. Its own events lead to its own status.
                nothing = {**dict.fromkeys(document), "observedGeneration": status_kinds.NOT_OBSERVED}
                await client.merge(path, {"status": nothing})
                return False
    except (errors.NotFoundError, errors.ConflictError):
        # The object is gone, or was changed meanwhile: its own events lead to its own status.
        return False
    current = objects.find(plural, seen.namespace, seen.name)
    # Only where nothing was heard meanwhile: what the watch has shown is later than the answer, and may be of somebody
    # who wrote over it, or put back what was there. It has its own event, and the next look compares with that.
    if current is seen:
        objects.note_status(current, document)
    return True


async def _clear(client: kube_client.Client, path: str, document: Mapping[str, Any], found: kube_client.Object) -> None:
    """Remove from a status what is there though it is not wanted."""
    status = found.get("status", {})
    if not _unwanted(status.keys(), status.get("conditions", ()), document):
        return
    # A merge patch replaces a list as a whole, whoever owns what is in it.
    left = {**dict.fromkeys(status.keys() - document.keys()), "conditions": document.get("conditions", [])}
    metadata = {"resourceVersion": found["metadata"]["resourceVersion"]}
    await client.merge(path, {"metadata": metadata, "status": left})


def _unwanted(fields: Collection[str], conditions: Iterable[Mapping[str, Any]], document: Mapping[str, Any]) -> bool:
    """Return whether a status with these fields and conditions holds some that are not wanted."""
    types = {entry["type"] for entry in document.get("conditions", ())}
    return any(field not in document for field in fields) or any(entry.get("type") not in types for entry in conditions)
