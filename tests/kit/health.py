"""What kstatus, Argo CD and Flux make of an object: their rules in short, and the real tools to compare them with."""

import collections.abc
import dataclasses
import json
import pathlib
import re
import subprocess
import typing

import yaml

from kit import binaries
from mailtier.api import names

ROOT: typing.Final = pathlib.Path(__file__).resolve().parents[2]
SCRIPT: typing.Final = pathlib.Path("docs/gitops/argocd/health.lua")
"""Argo CD's health script, which serves all three kinds."""

_FLUX_PAGE: typing.Final = pathlib.Path("docs/gitops/flux.md")
_BLOCK = re.compile(r"^```yaml\n(.*?)^```$", re.MULTILINE | re.DOTALL)

Document = collections.abc.Mapping[str, typing.Any]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the tools say of an object; "" where one was not asked.

    Attributes:
        kstatus: InProgress, Failed, Current or Terminating.
        argocd: Progressing, Degraded, Healthy or Suspended.
        argocd_message: What Argo CD shows beside it.
        flux: As kstatus.
    """

    kstatus: str
    argocd: str
    argocd_message: str
    flux: str


def kstatus(document: Document) -> str:
    """Return what kstatus makes of an object (sigs.k8s.io/cli-utils, pkg/kstatus/status/generic.go, status.go)."""
    if document["metadata"].get("deletionTimestamp"):
        return "Terminating"
    status = document.get("status", {})
    generation = document["metadata"].get("generation")
    if generation is not None and status.get("observedGeneration", generation) != generation:
        return "InProgress"
    for condition in status.get("conditions", ()):
        if condition["status"] == "True" and condition["type"] in {"Reconciling", "Stalled"}:
            return "InProgress" if condition["type"] == "Reconciling" else "Failed"
    for condition in status.get("conditions", ()):
        if condition["type"] == "Ready":
            return "Current" if condition["status"] == "True" else "InProgress"
    return "Current"


def argocd(document: Document) -> tuple[str, str]:
    """Return health and message that Argo CD has of an object that is not being deleted, by our script."""
    status = document.get("status", {})
    if "conditions" not in status or status.get("observedGeneration") != document["metadata"]["generation"]:
        return "Progressing", "The operator has not seen this generation yet."
    found = {condition["type"]: condition for condition in status["conditions"]}
    for type_, health in (("Stalled", "Degraded"), ("Reconciling", "Progressing")):
        if found.get(type_, {}).get("status") == "True":
            return health, _told(found[type_])
    if "Ready" not in found:
        return "Progressing", "There is no condition Ready yet."
    ready, verified = found["Ready"], found.get("Verified", {})
    if ready["status"] != "True":
        return "Progressing", _told(ready)
    message = ready["message"]
    if verified.get("status") == "False":
        message += f" Not verified, {_told(verified)}"
    return "Suspended" if ready["reason"] == "Suspended" else "Healthy", message


def _told(condition: Document) -> str:
    return f"{condition['reason']}: {condition['message']}"


def expressions(heading: str) -> list[dict[str, str]]:
    """Return the health checks of a Kustomization that stands under a heading of the page for Flux."""
    _, _, section = (ROOT / _FLUX_PAGE).read_text(encoding="utf-8").partition(f"\n## {heading}\n")
    block = _BLOCK.search(section.partition("\n## ")[0])
    assert block is not None, heading
    return list(yaml.safe_load(block[1])["spec"]["healthCheckExprs"])


def ask(
    documents: collections.abc.Sequence[Document],
    *,
    scripts: collections.abc.Mapping[str, str] | None = None,
    flux: collections.abc.Sequence[collections.abc.Mapping[str, str]] = (),
) -> list[Verdict]:
    """Return what the real tools say of objects.

    Args:
        documents: The objects.
        scripts: Argo CD's health script for each kind; ours by default.
        flux: Health checks as a Kustomization lists them.
    """
    if scripts is None:
        script = (ROOT / SCRIPT).read_text(encoding="utf-8")
        scripts = dict.fromkeys((names.HOST_KIND, names.ORG_KIND, names.NOTIFICATION_KIND), script)
    answer = subprocess.run(
        [binaries.ensure("health")["health"]],
        input=json.dumps({"lua": scripts, "flux": list(flux), "objects": list(documents)}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    return [
        Verdict(
            kstatus=found["kstatus"],
            argocd=found.get("argocd", ""),
            argocd_message=found.get("argocdMessage", ""),
            flux=found.get("flux", ""),
        )
        for found in json.loads(answer.stdout)
    ]
