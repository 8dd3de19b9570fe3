"""What the operator has made of a cluster, without what differs between two runs that are the same."""

import json
import re
import typing

from mailtier.api import names
from mailtier.kube import client as kube_client
from mailtier.kube import errors, paths

Snapshot = dict[str, str]
"""Canonical JSON by what it is of: `configmap acme-0.org-1`, `status acme-0/org-1`."""

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_VERSION = re.compile(r'("version":")uid/\d+"')
_HASH = re.compile(r'"hash":"[0-9a-f]{64}"')
_TIME = re.compile(r'("lastTransitionTime":) ?"[^"]+"')


async def take(client: kube_client.Client, *, system: str) -> Snapshot:
    """Return every effective ConfigMap and every status; {} while the API server does not answer.

    uids are all the same in it, resourceVersions and times are not there, and so is the hash over them. Everything
    else is as it stands in the cluster.
    """
    try:
        maps = await client.list(paths.config_maps(system), labels=names.PUBLISHED_SELECTOR)
        organizations = await client.list(paths.org_settings())
        host = await client.get(paths.host_settings(names.HOST_NAME))
    except errors.ApiError:
        return {}
    found = {
        f"configmap {item['metadata']['name']}": _text({"labels": item["metadata"]["labels"], "data": _data(item)})
        for item in maps.items
    }
    for item in [*organizations.items, host]:
        metadata = item["metadata"]
        # Generations are the same in both: how often an object was edited is part of the script.
        status = dict(item.get("status", {}))
        # That no sender answers is seen after a minute, and no sender is part of the script.
        status.pop("queue", None)
        found[f"status {metadata.get('namespace', '')}/{metadata['name']}"] = _text(status)
    return found


def differences(one: Snapshot, other: Snapshot) -> list[str]:
    """Return what differs, one line each."""
    keys = sorted(one.keys() | other.keys())
    return [f"{key}:\n  {one.get(key)}\n  {other.get(key)}" for key in keys if one.get(key) != other.get(key)]


def _data(item: dict[str, typing.Any]) -> dict[str, str]:
    return dict(item["data"])


def _text(document: dict[str, typing.Any]) -> str:
    text = json.dumps(document, sort_keys=True).replace('\\"', '"')
    text = _UUID.sub("uid", text)
    return _TIME.sub(r"\1 then", _HASH.sub('"hash"', _VERSION.sub(r'\1version"', text)))
