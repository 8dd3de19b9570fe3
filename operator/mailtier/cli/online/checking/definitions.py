"""Whether the cluster's CRDs are those of this program: pure."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from mailtier.api import crds, names
from mailtier.cli.online.checking import findings

CHECK: Final = "CRDs"
_APPLY: Final = "mailtier crds | kubectl apply --server-side --force-conflicts -f -"
_NAMED: Final = 3


def judge(
    found: Mapping[str, Mapping[str, Any] | None], *, operator_version: str, own_version: str
) -> list[findings.CheckFinding]:
    """Return what is to be said of the CRDs.

    Args:
        found: The CRD of each of our kinds, by its name; None for one that there is not.
        operator_version: Of the operator that runs; "" where that is not known.
        own_version: Of this program.
    """
    told = [
        finding
        for resource in crds.ALL
        if (finding := _judge(resource, found[resource.name], operator_version, own_version)) is not None
    ]
    return told or [findings.ok(CHECK, f"All {len(crds.ALL)} kinds are installed as version {own_version} has them.")]


def _judge(
    resource: crds.Resource, found: Mapping[str, Any] | None, operator_version: str, own_version: str
) -> findings.CheckFinding | None:
    if found is None:
        return findings.failed(CHECK, f"The kind {resource.kind} is not installed.", f"Run `{_APPLY}`.")
    served = {version["name"]: version for version in found["spec"]["versions"] if version.get("served")}
    if names.VERSION not in served:
        told = f"The version {names.VERSION} of the kind {resource.kind} is not served."
        return findings.failed(CHECK, told, f"Run `{_APPLY}`.")
    wanted = crds.definition(resource)["spec"]["versions"][0]
    ours, theirs = (set(_fields(version["schema"]["openAPIV3Schema"])) for version in (wanted, served[names.VERSION]))
    if missing := sorted(ours - theirs):
        told = f"The kind {resource.kind} lacks {_some(missing)}, which version {own_version} of Mailtier has."
        if operator_version and operator_version != own_version:
            return findings.warning(
                CHECK,
                told,
                f"The operator has version {operator_version}: use that version of this program to check this cluster."
                " The CRDs are upgraded together with the operator.",
            )
        return findings.failed(CHECK, told, f"Upgrade the CRDs: run `{_APPLY}`.")
    if more := sorted(theirs - ours):
        return findings.warning(
            CHECK,
            f"The kind {resource.kind} has {_some(more)}, which version {own_version} of Mailtier does not know.",
            "Use the version of this program that belongs to the CRDs.",
        )
    return None


def _some(fields: Sequence[str]) -> str:
    rest = len(fields) - _NAMED
    return ", ".join(fields[:_NAMED]) + (f" and {rest} more" if rest > 0 else "")


def _fields(schema: Mapping[str, Any], path: str = "") -> Iterator[str]:
    """Yield the path of each field; of one that is new as a whole, not those inside it."""
    for name, field in (schema.get("properties") or {}).items():
        if not path and name in {"apiVersion", "kind", "metadata"}:
            continue
        here = f"{path}.{name}" if path else name
        yield here
        yield from _fields(field, here)
    for part in ("items", "additionalProperties"):
        if isinstance(schema.get(part), Mapping):
            yield from _fields(schema[part], f"{path}[]")
