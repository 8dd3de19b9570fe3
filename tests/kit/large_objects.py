"""Organizations as large as etcd takes, put there past the API server."""

import base64
import collections.abc
import io
import json
import typing
import uuid

import aiohttp

from kit import cluster as cluster_kit
from kit import loading
from mailtier.api import names

_MEBIBYTE: typing.Final = 1024 * 1024
_LABELS: typing.Final = 2_000
"""Of an object: with what the API server notes of them, as much as etcd takes."""

CONNECTIONS: typing.Final = 3
"""With more, the API server takes longer for an object of a megabyte than it allows itself."""


def labels() -> dict[str, str]:
    """Return a megabyte of labels."""
    # Few and long: what the API server notes of each costs it more than the bytes do.
    prefix = ".".join(["d" * 62] * 4)
    return {f"{prefix}/{number:063}": "v" * 63 for number in range(_LABELS)}


async def put(
    control_plane: cluster_kit.LocalCluster,
    namespace: str,
    numbers: collections.abc.Iterable[int],
    *,
    spec: dict[str, typing.Any],
    generation: int = 1,
) -> None:
    """Have organizations with a spec, each of them as large as etcd takes.

    Past the API server, because that would take minutes for what is put in seconds.
    """

    async def one(number: int) -> None:
        document = _organization(namespace, number, spec=spec, generation=generation)
        path = f"/registry/{names.GROUP}/{names.ORG_PLURAL}/{namespace}/{document['metadata']['name']}"
        value = json.dumps(document, separators=(",", ":")).encode()
        assert _MEBIBYTE < len(value) < 1.5 * _MEBIBYTE
        pair = {"key": base64.b64encode(path.encode()).decode(), "value": base64.b64encode(value).decode()}
        async with etcd.post(
            f"{control_plane.etcd_url}/v3/kv/put", data=io.BytesIO(json.dumps(pair).encode())
        ) as answer:
            assert answer.status == 200, await answer.text()

    async with aiohttp.ClientSession() as etcd:
        await loading.each(numbers, one, connections=CONNECTIONS)


def _organization(
    namespace: str, number: int, *, spec: dict[str, typing.Any], generation: int
) -> dict[str, typing.Any]:
    labelled = labels()
    fields: dict[str, typing.Any] = {"f:metadata": {"f:labels": {f"f:{label}": {} for label in labelled}}}
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.ORG_KIND,
        "metadata": {
            "name": f"large-{number}",
            "namespace": namespace,
            "uid": str(uuid.UUID(int=number)),
            "generation": generation,
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "labels": labelled,
            "managedFields": [
                {
                    "manager": "kubectl",
                    "operation": "Update",
                    "apiVersion": names.API_VERSION,
                    "fieldsType": "FieldsV1",
                    "fieldsV1": fields,
                }
            ],
        },
        "spec": spec,
        "status": {"observedGeneration": -1},
    }
