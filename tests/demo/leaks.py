"""Searches everything that a run wrote for its secrets (R1).

What is searched: logs at DEBUG, the objects of the API other than Secrets, metrics, the queue's files. What is left
out holds them by its nature: etcd's files (Secrets are stored there), and what the SMTP servers wrote down.
"""

import json
import urllib.request

from demo import mail, screen, stage
from kit import leaks

_OBJECTS = "hes,oes,ntf,configmaps,events,namespaces,leases"
_LEFT_OUT = {"cluster", "relay", "own", "open", "silent", "certificates"}


def metrics(on: stage.Stage) -> dict[str, bytes]:
    """Return what both processes export."""
    found = {}
    for role, port in (("operator", on.operator_port), ("sender", on.sender_port)):
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            found[f"{role}'s metrics"] = answer.read()
    return found


def search(on: stage.Stage, exported: dict[str, bytes]) -> int:
    """Return how many traces were searched.

    Args:
        on: What ran.
        exported: What `metrics` returned.

    Raises:
        StepFailedError: A secret was found; the text says where.
    """
    secrets = [
        *on.secrets(),
        leaks.Secret(name="the reset link", value=mail.LINK.rpartition("=")[2]),
        leaks.Secret(name="the text of a password recovery", value=mail.PHRASE),
    ]
    traces = exported | _traces(on)
    for leak in leaks.search(traces, secrets):
        screen.expect(None, f"no trace of {leak.what}", f"it in {leak.where} ({leak.form})")
    return len(traces)


def _traces(on: stage.Stage) -> dict[str, bytes]:
    traces: dict[str, bytes] = {}
    for path in sorted(on.folder.rglob("*")):
        if path.is_file() and path.relative_to(on.folder).parts[0] not in _LEFT_OUT:
            traces[str(path.relative_to(on.folder))] = path.read_bytes()
    for document in json.loads(on.cluster.kubectl("get", _OBJECTS, "-A", "-o", "json").stdout)["items"]:
        metadata = document["metadata"]
        name = f"{document['kind']} {metadata.get('namespace', '')}/{metadata['name']}"
        traces[name] = json.dumps(document, ensure_ascii=False).encode()
    required = {"sender.log", "operator.log", "sender/queue/queue.sqlite3"}
    screen.expect(required <= traces.keys(), f"{', '.join(sorted(required))} among the traces", sorted(traces))
    return traces
