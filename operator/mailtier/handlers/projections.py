"""The ConfigMap that `spec.publish` asks for, in the organization's own namespace.

It is the one object that is written outside the operator's namespace, and nothing there may be trusted: one of that
name that is not ours is never touched. What is ours carries our labels and belongs to the organization's object, so
that the garbage collector removes it with that. It is not watched, because the rights for that would be on all
ConfigMaps of the cluster; it is looked at when the organization is, and every half hour or so.
"""

import contextlib
import datetime as dt
import enum
from collections.abc import Callable, Mapping
from typing import Any, Final

from mailtier.api import names
from mailtier.api import settings as api_settings
from mailtier.handlers import keys, store
from mailtier.kube import client as kube_client
from mailtier.kube import errors, paths
from mailtier.settings import conditions, effective, projection

RECHECK_SECONDS: Final = 1800.0
"""How long what was written is taken to be there still."""

_AGAIN: Final[Mapping[conditions.Projection, dt.timedelta]] = {
    conditions.Projection.PENDING: dt.timedelta(seconds=5),
    conditions.Projection.CONFLICT: dt.timedelta(minutes=1),
    conditions.Projection.NOT_GRANTED: dt.timedelta(minutes=1),
}
_LABELS: Final = {
    names.MANAGED_BY_LABEL: names.MANAGED_BY,
    names.COMPONENT_LABEL: names.PROJECTION_COMPONENT,
}


class _Standing(enum.Enum):
    """Whose a ConfigMap is."""

    OURS = enum.auto()
    PREDECESSOR = enum.auto()
    """Of an object of the same name that is gone; the garbage collector is about to remove it."""
    FOREIGN = enum.auto()


class Projections:
    """Writes and removes projections."""

    def __init__(
        self,
        client: kube_client.Client,
        *,
        url: str,
        look_again: Callable[[keys.Key, dt.timedelta], None],
        monotonic: Callable[[], float],
    ) -> None:
        """Make a writer of projections.

        Args:
            client: For the ConfigMaps.
            url: Scheme and authority of the intake; "" where nobody said.
            look_again: Has an organization reconciled after a while.
            monotonic: Seconds on a clock that never steps.
        """
        self._client = client
        self._look_again = look_again
        self._monotonic = monotonic
        self._intake = projection.Intake(url=url, ca="")
        self._written: dict[keys.Key, tuple[bytes, float]] = {}

    def note_authority(self, pem: str) -> bool:
        """Take note of the intake's CA; return whether it is another, so that all projections have to follow."""
        if pem == self._intake.ca:
            return False
        self._intake = projection.Intake(url=self._intake.url, ca=pem)
        return True

    async def reconcile(
        self, key: keys.Key, seen: store.Organization, settings: effective.Effective
    ) -> tuple[conditions.Projection, bool]:
        """Bring an organization's projection to what its object says; return what became of it, and if it was written.

        Args:
            key: The organization's.
            seen: Its object.
            settings: Its effective settings.
        """
        if not isinstance(seen.spec, api_settings.OrgSpec):
            # What the object means is not known: what is there stays.
            there = bool(seen.projection)
            return conditions.Projection.WRITTEN if there else conditions.Projection.NONE, False
        try:
            if not seen.spec.publish:
                return conditions.Projection.NONE, await self._withdraw(key, seen)
            found, written = await self._publish(key, seen, projection.data(settings, self._intake))
        except errors.ForbiddenError:
            found, written = conditions.Projection.NOT_GRANTED, False
        except errors.ApiError:
            found, written = conditions.Projection.PENDING, False
        if found in _AGAIN:
            self._look_again(key, _AGAIN[found])
        return found, written

    def release(self, key: keys.Key) -> None:
        """Forget an organization that is gone; its projection goes with its object."""
        self._written.pop(key, None)

    async def _publish(
        self, key: keys.Key, seen: store.Organization, data: Mapping[str, str]
    ) -> tuple[conditions.Projection, bool]:
        document = _document(seen, data)
        digest, now = store.digest(document), self._monotonic()
        known, checked_at = self._written.get(key, (b"", 0.0))
        if known == digest and now - checked_at < RECHECK_SECONDS:
            return conditions.Projection.WRITTEN, False
        self._written.pop(key, None)
        path = paths.config_maps(seen.namespace, names.projection(seen.name))
        try:
            there = await self._client.get(path)
        except errors.NotFoundError:
            # Not by server-side apply, which would take over one that somebody else creates at this moment.
            await self._client.create(paths.config_maps(seen.namespace), document)
            self._written[key] = (digest, now)
            return conditions.Projection.WRITTEN, True
        standing = _standing(there, seen)
        if standing != _Standing.OURS:
            is_foreign = standing == _Standing.FOREIGN
            return conditions.Projection.CONFLICT if is_foreign else conditions.Projection.PENDING, False
        written = there.get("data") != dict(data)
        if written:
            # Only over the very object that was looked at.
            metadata = {
                **document["metadata"],
                "uid": there["metadata"]["uid"],
                "resourceVersion": there["metadata"]["resourceVersion"],
            }
            await self._client.apply(path, {**document, "metadata": metadata}, field_manager=names.FIELD_MANAGER)
        self._written[key] = (digest, now)
        return conditions.Projection.WRITTEN, written

    async def _withdraw(self, key: keys.Key, seen: store.Organization) -> bool:
        self._written.pop(key, None)
        if not seen.projection:
            return False
        path = paths.config_maps(seen.namespace, names.projection(seen.name))
        with contextlib.suppress(errors.NotFoundError):
            there = await self._client.get(path)
            if _standing(there, seen) == _Standing.OURS:
                await self._client.delete(path, uid=there["metadata"]["uid"])
                return True
        return False


def _document(seen: store.Organization, data: Mapping[str, str]) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": names.projection(seen.name),
            "namespace": seen.namespace,
            "labels": _LABELS,
            "ownerReferences": [
                {
                    "apiVersion": names.API_VERSION,
                    "kind": names.ORG_KIND,
                    "name": seen.name,
                    "uid": seen.uid,
                    "controller": True,
                    "blockOwnerDeletion": False,
                }
            ],
        },
        "data": dict(data),
    }


def _standing(there: Mapping[str, Any], seen: store.Organization) -> _Standing:
    metadata = there["metadata"]
    labels = metadata.get("labels", {})
    if any(labels.get(name) != value for name, value in _LABELS.items()):
        return _Standing.FOREIGN
    owners = [
        owner["uid"]
        for owner in metadata.get("ownerReferences", ())
        if (owner["apiVersion"], owner["kind"], owner["name"]) == (names.API_VERSION, names.ORG_KIND, seen.name)
    ]
    if seen.uid in owners:
        return _Standing.OURS
    return _Standing.PREDECESSOR if owners else _Standing.FOREIGN
