"""Everything that an arena's run wrote for people and machines to read, for the search for leaks (R1).

What is left out holds secrets by its nature: Secrets, what etcd stores, and what tenants wrote into objects themselves.
"""

import json
import pathlib
import subprocess
import sys

from kit import arena as arena_kit
from mailtier.api import names

_OBJECTS = "hes,oes,ntf,configmaps,events,namespaces,leases"


def collect(arena: arena_kit.Arena) -> dict[str, bytes]:
    """Return all traces by where they were found; ends operator and sender, so that what is buffered is written."""
    traces = _exported(arena) | _objects(arena) | _printed(arena)
    arena.operator.stop()
    arena.sender.stop()
    for folder in (arena.sender.folder, *sorted(arena.folder.glob("cut-off*"))):
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                # The queue keeps a reserve of sixteen megabytes of zeros, which take long to search.
                traces[str(path.relative_to(arena.folder))] = path.read_bytes().strip(b"\0")
    return traces


def _exported(arena: arena_kit.Arena) -> dict[str, bytes]:
    """Return what both processes export, as Prometheus reads it."""
    return {
        "sender's metrics": arena.sender.get("/metrics")[1].encode(),
        "operator's metrics": arena.operator.metrics.encode(),
    }


def _objects(arena: arena_kit.Arena) -> dict[str, bytes]:
    """Return the objects that we write or that hold our words, as JSON and as kubectl describes the organizations."""
    listed = json.loads(arena.cluster.kubectl("get", _OBJECTS, "-A", "-o", "json").stdout)["items"]
    found = {}
    for document in listed:
        metadata = document["metadata"]
        if document["kind"] == "ConfigMap" and not _is_ours(metadata):
            continue
        found[f"{document['kind']} {metadata.get('namespace', '')}/{metadata['name']}"] = json.dumps(
            document, ensure_ascii=False
        ).encode()
    found["kubectl describe"] = arena.cluster.kubectl("describe", "oes", "-A").stdout.encode()
    return found


def _is_ours(metadata: dict[str, object]) -> bool:
    labels = metadata.get("labels")
    return metadata.get("namespace") == arena_kit.SYSTEM or (
        isinstance(labels, dict) and labels.get(names.MANAGED_BY_LABEL) == names.MANAGED_BY
    )


def _printed(arena: arena_kit.Arena) -> dict[str, bytes]:
    """Return what commands print, of the cluster and of all that stands in it as files."""
    folder = arena.folder / "exported"
    folder.mkdir(exist_ok=True)
    _export(arena, folder)
    at = [f"--kubeconfig={arena.cluster.kubeconfig}"]
    found = {}
    for command in (
        ["status", *at],
        ["status", "-o", "json", *at],
        ["lint", "-f", str(folder)],
        ["render", "-f", str(folder)],
        ["render", "-f", str(folder), "-o", "json"],
    ):
        done = subprocess.run([sys.executable, "-m", "mailtier", *command], capture_output=True, check=False)
        # 1 says that there are findings, of which there are many.
        assert done.returncode in {0, 1}, (command, done.stderr)
        found[f"mailtier {' '.join(command[:3])}"] = done.stdout + done.stderr
    return found


def _export(arena: arena_kit.Arena, folder: pathlib.Path) -> None:
    """Write settings, Secrets and CA bundles as files, as a GitOps repository would hold them."""
    documents = json.loads(
        arena.cluster.kubectl("get", "hes,oes,secrets,configmaps,namespaces", "-A", "-o", "json").stdout
    )
    (folder / "all.json").write_text(json.dumps(documents), encoding="utf-8")
