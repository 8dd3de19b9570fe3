"""An API server in memory, as far as the operator's writers and readers need one: objects by path, and who owns what.

It passes the contract that the real client passes with a real API server, `tests/contract/kube/test_both.py`.
"""

import collections.abc
import copy
import typing

from mailtier.kube import errors

Object = dict[str, typing.Any]
_Leaf = tuple[str, ...]

_STATUS = "/status"
_IDENTITY = ("name", "namespace", "uid", "resourceVersion", "generation", "creationTimestamp")
_UPDATE = "(update)"
"""Whoever writes otherwise than by server-side apply, as the owner of a field."""


class Api:
    """Objects by path, and every request that was made.

    Attributes:
        objects: What there is, each with its status.
        requests: Verb and path of each request.
        failing: Raised by the next requests while it is set.
    """

    def __init__(self) -> None:
        self.objects: dict[str, Object] = {}
        self.requests: list[tuple[str, str]] = []
        self.failing: errors.ApiError | None = None
        self._owners: dict[str, dict[str, set[_Leaf]]] = {}
        self._made = 0

    async def get(self, path: str, *, timeout_seconds: float | None = None) -> Object:
        """Return one object."""
        del timeout_seconds
        self._note("get", path)
        return copy.deepcopy(self._find(path))

    async def create(self, path: str, body: Object, *, timeout_seconds: float | None = None) -> Object:
        """Put an object into a collection."""
        del timeout_seconds
        self._note("create", path)
        where = f"{path}/{body['metadata']['name']}"
        if where in self.objects:
            raise errors.ConflictError(f"{where} exists", status=409, reason="AlreadyExists")
        self._make(where, body)
        self._owners[where] = {_UPDATE: set(_leaves(body))}
        return copy.deepcopy(self.objects[where])

    async def merge(self, path: str, body: Object) -> None:
        """Change the fields of an object that the body holds; null removes one (RFC 7396)."""
        self._note("patch", path)
        where = path.removesuffix(_STATUS)
        found = self._find(where)
        if path == where:
            self._require(found, body, where)
        before = _leaves(found)
        changes = {key: value for key, value in body.items() if path == where or key == "status"}
        changes["metadata"] = {
            key: value for key, value in body.get("metadata", {}).items() if key not in {"uid", "resourceVersion"}
        }
        self._change(where, _merged(found, changes))
        after = _leaves(self.objects[where])
        owners = self._owners.setdefault(where, {})
        for leaf in before.keys() | after.keys():
            if before.get(leaf) != after.get(leaf):
                for owned in owners.values():
                    owned.discard(leaf)
                if leaf in after:
                    owners.setdefault(_UPDATE, set()).add(leaf)

    async def apply(self, path: str, body: Object, *, field_manager: str, force: bool = True) -> str:
        """Apply an object, or its status: what a manager leaves out goes, unless another owns it too."""
        self._note("apply", path)
        where = path.removesuffix(_STATUS)
        wanted = {key: value for key, value in body.items() if (key == "status") == (path != where)}
        if where not in self.objects:
            if path != where:
                raise errors.NotFoundError(f"{where} does not exist", status=404)
            if "uid" in body["metadata"]:
                raise errors.ConflictError(f"{where} is another by now", status=409)
            self._make(where, {"metadata": body["metadata"]})
        found = self.objects[where]
        if path == where:
            self._require(found, body, where)
        new, there = _leaves(wanted), _leaves(found)
        owners = self._owners.setdefault(where, {})
        mine = owners.setdefault(field_manager, set())
        others = [owned for manager, owned in owners.items() if manager != field_manager]
        taken = {leaf for leaf in new for owned in others if leaf in owned and there.get(leaf) != new[leaf]}
        if taken and not force:
            raise errors.ConflictError(f"{sorted(taken)} are another's", status=409)
        for owned in others:
            owned.difference_update(taken)
        gone = {leaf for leaf in mine if (leaf[0] == "status") == (path != where)} - new.keys()
        mine.difference_update(gone)
        mine.update(new)
        kept = {leaf: value for leaf, value in there.items() if leaf not in gone or any(leaf in one for one in others)}
        identity = {key: value for key, value in found["metadata"].items() if key in _IDENTITY}
        rebuilt = _built({**kept, **new})
        rebuilt["metadata"] = {**rebuilt.get("metadata", {}), **identity}
        self._change(where, rebuilt)
        return str(self.objects[where]["metadata"].get("uid", ""))

    async def put(self, path: str, body: Object, *, field_manager: str) -> Object:
        """Apply with force, and return what is there afterwards."""
        await self.apply(path, body, field_manager=field_manager)
        return copy.deepcopy(self.objects[path.removesuffix(_STATUS)])

    async def delete(self, path: str, *, uid: str | None = None) -> None:
        """Remove one object."""
        self._note("delete", path)
        if self._find(path)["metadata"].get("uid") != uid and uid is not None:
            raise errors.ConflictError(f"{path} is another by now", status=409)
        del self.objects[path]
        self._owners.pop(path, None)

    def count(self, verb: str, path: str = "") -> int:
        """Return how many requests of a verb were made, to a path if one is named."""
        return sum(1 for made, where in self.requests if made == verb and path in {"", where})

    def _note(self, verb: str, path: str) -> None:
        self.requests.append((verb, path))
        if self.failing is not None:
            raise self.failing

    def _find(self, path: str) -> Object:
        if path not in self.objects:
            raise errors.NotFoundError(f"{path} does not exist", status=404)
        return self.objects[path]

    def _make(self, path: str, body: Object) -> None:
        self._made += 1
        made = {"uid": f"uid-{self._made}", "resourceVersion": "1"}
        document = copy.deepcopy({key: value for key, value in body.items() if key != "status"})
        self.objects[path] = {**document, "metadata": {**document["metadata"], **made}}

    def _change(self, path: str, changed: Object) -> None:
        """Put an object in the place of another; only what is another has a new version."""
        metadata = self.objects[path]["metadata"]
        if changed != self.objects[path] and "resourceVersion" in metadata:
            version = str(int(metadata["resourceVersion"]) + 1)
            changed["metadata"] = {**changed["metadata"], "resourceVersion": version}
        self.objects[path] = changed

    @staticmethod
    def _require(found: Object, body: Object, path: str) -> None:
        for key in ("uid", "resourceVersion"):
            wanted = body.get("metadata", {}).get(key)
            if wanted is not None and wanted != found["metadata"].get(key):
                raise errors.ConflictError(f"{path} is another by now", status=409)


def _leaves(document: collections.abc.Mapping[str, typing.Any]) -> dict[_Leaf, typing.Any]:
    """Return every field that may have an owner: values, lists, and each condition."""
    found: dict[_Leaf, typing.Any] = {}

    def walk(path: _Leaf, value: typing.Any) -> None:
        if path == ("status", "conditions"):
            for entry in value:
                found[*path, entry["type"]] = entry
        elif isinstance(value, dict) and value:
            for key, inner in value.items():
                walk((*path, key), inner)
        elif path and not (path[0] == "metadata" and path[1:] and path[1] in _IDENTITY):
            found[path] = value

    walk((), dict(document))
    return found


def _built(leaves: collections.abc.Mapping[_Leaf, typing.Any]) -> Object:
    """Return the document with these fields."""
    document: Object = {}
    for path, value in leaves.items():
        if path[:2] == ("status", "conditions"):
            document.setdefault("status", {}).setdefault("conditions", []).append(copy.deepcopy(value))
            continue
        inside = document
        for key in path[:-1]:
            inside = inside.setdefault(key, {})
        inside[path[-1]] = copy.deepcopy(value)
    return document


def _merged(found: typing.Any, change: typing.Any) -> typing.Any:
    """Return a document after a merge patch (RFC 7396 section 2)."""
    if not isinstance(change, dict):
        return copy.deepcopy(change)
    merged = dict(found) if isinstance(found, dict) else {}
    for key, value in change.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = _merged(merged.get(key), value)
    return merged
