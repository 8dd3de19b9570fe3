"""An API server in memory, as far as the operator's writers and readers need one: objects by path, and no rules.

What the real one does with the same requests is held by `tests/contract/kube` and `tests/contract/operator`.
"""

import copy
import typing

from mailtier.kube import errors

Object = dict[str, typing.Any]


class Api:
    """Objects by path, and every request that was made.

    Attributes:
        objects: What there is.
        requests: Verb and path of each request.
        failing: Raised by the next requests while it is set.
    """

    def __init__(self) -> None:
        self.objects: dict[str, Object] = {}
        self.requests: list[tuple[str, str]] = []
        self.failing: errors.ApiError | None = None
        self._made = 0

    async def get(self, path: str, *, timeout_seconds: float | None = None) -> Object:
        """Return one object."""
        del timeout_seconds
        self._note("get", path)
        if path not in self.objects:
            raise errors.NotFoundError(f"{path} does not exist", status=404)
        return copy.deepcopy(self.objects[path])

    async def create(self, path: str, body: Object, *, timeout_seconds: float | None = None) -> Object:
        """Put an object into a collection."""
        del timeout_seconds
        self._note("create", path)
        where = f"{path}/{body['metadata']['name']}"
        if where in self.objects:
            raise errors.ConflictError(f"{where} exists", status=409)
        self._made += 1
        made = {"uid": f"uid-{self._made}", "resourceVersion": "1"}
        self.objects[where] = copy.deepcopy({**body, "metadata": {**body["metadata"], **made}})
        return copy.deepcopy(self.objects[where])

    async def merge(self, path: str, body: Object) -> None:
        """Change an object's data, if it is the very object and version that the metadata name."""
        self._note("patch", path)
        found = self.objects[path]
        if any(found["metadata"][key] != value for key, value in body["metadata"].items()):
            raise errors.ConflictError(f"{path} is another by now", status=409)
        found["metadata"]["resourceVersion"] = str(int(found["metadata"]["resourceVersion"]) + 1)
        merged = {**found.get("data", {}), **body["data"]}
        found["data"] = {key: value for key, value in merged.items() if value is not None}

    async def apply(self, path: str, body: Object, *, field_manager: str, force: bool = True) -> None:
        """Merge an object's data, labels and status into what is there."""
        del field_manager, force
        self._note("apply", path)
        found = self.objects.setdefault(path, {"metadata": {}, "data": {}})
        found["metadata"] = {**found["metadata"], **body["metadata"]}
        if "data" in body:
            found["data"] = {**found["data"], **body["data"]}
        if "status" in body:
            found["status"] = body["status"]

    async def delete(self, path: str, *, uid: str | None = None) -> None:
        """Remove one object."""
        del uid
        self._note("delete", path)
        if self.objects.pop(path, None) is None:
            raise errors.NotFoundError(f"{path} does not exist", status=404)

    def count(self, verb: str, path: str = "") -> int:
        """Return how many requests of a verb were made, to a path if one is named."""
        return sum(1 for made, where in self.requests if made == verb and path in {"", where})

    def _note(self, verb: str, path: str) -> None:
        self.requests.append((verb, path))
        if self.failing is not None:
            raise self.failing
