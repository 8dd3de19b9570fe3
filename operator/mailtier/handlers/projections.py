"""The ConfigMap that `spec.publish` asks for, in the organization's own namespace.

It is the one object that is written outside the operator's namespace, and nothing there may be trusted: one of that
name that is not ours is never touched. What is ours carries our labels and belongs to the organization's object, so
that the garbage collector removes it with that. It is not watched, because the rights for that would be on all
ConfigMaps of the cluster; it is read again every 45 s, within a budget for all, and the organization is looked at when
it is not what was written: one that was deleted by hand is back within a minute.
"""

import contextlib
import dataclasses
import datetime as dt
import enum
from collections.abc import Callable, Mapping
from typing import Any, Final

from mailtier.api import names
from mailtier.api import settings as api_settings
from mailtier.handlers import keys, store, workqueue
from mailtier.kube import client as kube_client
from mailtier.kube import errors, pace, paths
from mailtier.settings import conditions, effective, projection

RECHECK: Final = dt.timedelta(seconds=45)
"""How often what was written is looked at."""

TRUSTED_SECONDS: Final = 1800.0
"""How long what was written is taken to be there still, where nobody looks at it meanwhile."""

_PER_SECOND: Final = 50
_BURST: Final = 100
_READERS: Final = 4


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Written:
    """What was written.

    Attributes:
        digest: Of the document.
        shape: What `_shape` makes of it; None where others may have a part in it.
        checked_at: Monotonic seconds.
    """

    digest: bytes
    shape: bytes | None
    checked_at: float


_UNCHECKED: Final = _Written(digest=b"", shape=None, checked_at=0.0)
"""Of one that may be there, whatever it holds."""

_AGAIN: Final[Mapping[conditions.Projection, dt.timedelta]] = {
    conditions.Projection.PENDING: dt.timedelta(seconds=5),
    conditions.Projection.CONFLICT: dt.timedelta(seconds=10),
    conditions.Projection.NOT_GRANTED: dt.timedelta(minutes=1),
}
_LABELS: Final = {
    names.MANAGED_BY_LABEL: names.MANAGED_BY,
    names.COMPONENT_LABEL: names.PROJECTION_COMPONENT,
}


class _Standing(enum.Enum):
    """Whose a ConfigMap is."""

    OURS = enum.auto()
    LEAVING = enum.auto()
    """Being deleted, or of an object of the same name that is gone; the garbage collector is about to remove it."""
    FOREIGN = enum.auto()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Projected:
    """What became of a projection.

    Attributes:
        found: What status says of it.
        written: Whether anything was written or deleted.
        is_left: Whether one of ours may be there whatever `found` says, so that status goes on naming it: only what
            is named there is removed when nobody wants it any more.
        refused: Why nothing could be done; it is tried again, after status has said so.
    """

    found: conditions.Projection
    written: bool = False
    is_left: bool = False
    refused: errors.ApiError | None = None


class Projections:
    """Writes and removes projections."""

    def __init__(
        self,
        client: kube_client.Client,
        *,
        url: str,
        look_again: Callable[[keys.Key, dt.timedelta], None],
        monotonic: Callable[[], float],
        jitter: Callable[[], float],
    ) -> None:
        """Make a writer of projections.

        Args:
            client: For the ConfigMaps.
            url: Scheme and authority of the intake; "" where nobody said.
            look_again: Has an organization reconciled after a while.
            monotonic: Seconds on a clock that never steps.
            jitter: Random numbers from 0 up to 1.
        """
        self._client = client
        self._look_again = look_again
        self._monotonic = monotonic
        self._intake = projection.Intake(url=url, ca="")
        # What was written and when; kept until it is withdrawn, because status may not name it yet.
        self._written: dict[keys.Key, _Written] = {}
        self._pace = pace.Pace(per_second=_PER_SECOND, burst=_BURST, monotonic=monotonic)
        self._schedule = workqueue.WorkQueue[keys.Key](
            self._look, workers=_READERS, monotonic=monotonic, jitter=jitter, flow=keys.flow
        )

    async def run(self) -> None:
        """Look at what was written until cancelled."""
        await self._schedule.run()

    def note_authority(self, pem: str) -> bool:
        """Take note of the intake's CA; return whether it is another, so that all projections have to follow."""
        if pem == self._intake.ca:
            return False
        self._intake = projection.Intake(url=self._intake.url, ca=pem)
        return True

    async def reconcile(self, key: keys.Key, seen: store.Organization, settings: effective.Effective) -> Projected:
        """Bring an organization's projection to what its object says.

        Args:
            key: The organization's.
            seen: Its object.
            settings: Its effective settings.
        """
        spec = seen.spec
        if not isinstance(spec, api_settings.OrgSpec):
            # What the object means is not known: what is there stays.
            return Projected(found=conditions.Projection.NONE, is_left=self._is_left(key, seen))
        if not spec.publish:
            return await self._withdraw(key, seen)
        if settings.state != effective.State.BLOCKED:
            return await self._publish(key, seen, projection.data(settings, self._intake), is_blocked=False)
        if not self._is_left(key, seen):
            # Nothing is published that the policy forbids, nor into a namespace that it does not select.
            return Projected(found=conditions.Projection.NONE)
        # Who has it already goes on handing over what is held meanwhile, and has to find and trust the intake.
        data = projection.handover(settings.organization, self._intake)
        outcome = await self._publish(key, seen, data, is_blocked=True)
        return dataclasses.replace(outcome, found=conditions.Projection.NONE)

    def release(self, key: keys.Key) -> None:
        """Forget an organization that is gone; its projection goes with its object."""
        self._written.pop(key, None)
        self._schedule.forget(key)

    async def _look(self, key: keys.Key) -> None:
        """Have an organization looked at whose projection is not what was written."""
        written = self._written.get(key)
        if written is None or written.shape is None:
            return
        await self._pace.turn()
        there: kube_client.Object = {"metadata": {}}
        # Where it may not be read any more, the organization's own look says so.
        with contextlib.suppress(errors.NotFoundError, errors.ForbiddenError):
            there = await self._client.get(paths.config_maps(key.namespace, names.projection(key.name)))
        if self._written.get(key) is not written:
            return
        if _shape(there) != written.shape:
            self._doubt(key)
            self._look_again(key, dt.timedelta(0))
            return
        self._written[key] = dataclasses.replace(written, checked_at=self._monotonic())
        self._schedule.add_after(key, RECHECK)

    def _is_left(self, key: keys.Key, seen: store.Organization) -> bool:
        return bool(seen.projection) or key in self._written

    async def _publish(
        self, key: keys.Key, seen: store.Organization, data: Mapping[str, str], *, is_blocked: bool
    ) -> Projected:
        """Have the ConfigMap hold data and, unless the settings are blocked, nothing else."""
        document = _document(seen, data)
        digest = store.digest(document)
        known = self._written.get(key, _UNCHECKED)
        if known.digest == digest and self._monotonic() - known.checked_at < TRUSTED_SECONDS:
            return Projected(found=conditions.Projection.WRITTEN, is_left=True)
        written, refused = False, None
        try:
            found, written = await self._write(key, seen, document, is_blocked=is_blocked)
        except errors.ForbiddenError:
            found = conditions.Projection.NOT_GRANTED
            self._doubt(key)
        except errors.ConflictError:
            # Somebody else wrote, created or deleted it at the same moment.
            found = conditions.Projection.PENDING
            self._doubt(key)
        except errors.ApiError as error:
            # An outage says nothing of what is there.
            found = conditions.Projection.WRITTEN if known.digest == digest else conditions.Projection.PENDING
            refused = error
        else:
            self._note(key, found, digest, None if is_blocked else _shape(document))
        if refused is None and found in _AGAIN:
            self._look_again(key, _AGAIN[found])
        is_gone = found in {conditions.Projection.CONFLICT, conditions.Projection.NONE}
        return Projected(
            found=found, written=written, is_left=not is_gone and self._is_left(key, seen), refused=refused
        )

    def _note(self, key: keys.Key, found: conditions.Projection, digest: bytes, shape: bytes | None) -> None:
        """Remember what was found there: ours as it should be, or nothing that would have to be withdrawn."""
        if found == conditions.Projection.WRITTEN:
            self._written[key] = _Written(digest=digest, shape=shape, checked_at=self._monotonic())
            self._schedule.add_after(key, RECHECK)
        else:
            self._written.pop(key, None)

    def _doubt(self, key: keys.Key) -> None:
        """Have what was written looked at the next time, and not forgotten."""
        if key in self._written:
            self._written[key] = _UNCHECKED

    async def _write(
        self, key: keys.Key, seen: store.Organization, document: dict[str, Any], *, is_blocked: bool
    ) -> tuple[conditions.Projection, bool]:
        """Return what became of the ConfigMap, and whether anything was written."""
        path = paths.config_maps(seen.namespace, names.projection(seen.name))
        try:
            there = await self._client.get(path)
        except errors.NotFoundError:
            return (conditions.Projection.NONE, False) if is_blocked else await self._create(key, seen, document)
        match _standing(there, seen):
            case _Standing.FOREIGN:
                return conditions.Projection.CONFLICT, False
            case _Standing.LEAVING:
                return conditions.Projection.PENDING, False
        present, wanted = there.get("data", {}), document["data"]
        if is_blocked:
            others = {name: value for name, value in present.items() if not name.startswith(projection.HANDOVER_PREFIX)}
            wanted = {**others, **wanted}
        is_immutable = bool(there.get("immutable"))
        if present == wanted or (is_immutable and is_blocked):
            return conditions.Projection.WRITTEN, False
        if is_immutable:
            await self._client.delete(path, uid=there["metadata"]["uid"])
            return conditions.Projection.PENDING, True
        # Not by server-side apply, which leaves keys that were created otherwise, such as those of a server that is
        # not the organization's own any more. The version has it fail where the object is another by now.
        metadata = {"resourceVersion": there["metadata"]["resourceVersion"]}
        await self._client.merge(path, {"metadata": metadata, "data": {**dict.fromkeys(present), **wanted}})
        return conditions.Projection.WRITTEN, True

    async def _create(
        self, key: keys.Key, seen: store.Organization, document: dict[str, Any]
    ) -> tuple[conditions.Projection, bool]:
        # Before it is sent: the answer may get lost, and spec.publish be removed before the next attempt.
        self._written[key] = _UNCHECKED
        try:
            # Not by server-side apply, which would take over one that somebody else creates at this moment.
            await self._client.create(paths.config_maps(seen.namespace), document)
        except (errors.ForbiddenError, errors.InvalidError, errors.NotFoundError):
            # Certainly none was made.
            del self._written[key]
            raise
        return conditions.Projection.WRITTEN, True

    async def _withdraw(self, key: keys.Key, seen: store.Organization) -> Projected:
        nothing = conditions.Projection.NONE
        if not self._is_left(key, seen):
            return Projected(found=nothing)
        # What stands there from now on is not as it was written, should it be asked for again.
        self._doubt(key)
        path = paths.config_maps(seen.namespace, names.projection(seen.name))
        try:
            there = await self._client.get(path)
            is_ours = _standing(there, seen) == _Standing.OURS
            if is_ours:
                await self._client.delete(path, uid=there["metadata"]["uid"])
        except errors.NotFoundError:
            is_ours = False
        except errors.ForbiddenError:
            # Nobody asks for it any more, so that it is in nobody's way; with the object it goes in any case.
            self._look_again(key, _AGAIN[conditions.Projection.NOT_GRANTED])
            return Projected(found=nothing, is_left=True)
        except errors.ApiError as error:
            return Projected(found=nothing, is_left=True, refused=error)
        self._written.pop(key, None)
        return Projected(found=nothing, written=is_ours)


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


def _shape(there: Mapping[str, Any]) -> bytes:
    """Return what tells a ConfigMap as it was written from any other."""
    metadata = there["metadata"]
    labels = {name: metadata.get("labels", {}).get(name) for name in _LABELS}
    owners = [owner["uid"] for owner in metadata.get("ownerReferences", ())]
    return store.digest({"labels": labels, "owners": owners, "data": there.get("data")})


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
    if seen.uid not in owners:
        return _Standing.LEAVING if owners else _Standing.FOREIGN
    return _Standing.LEAVING if "deletionTimestamp" in metadata else _Standing.OURS
