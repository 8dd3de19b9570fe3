"""Whether the cluster's CRDs are those of this program."""

import copy
import typing

from mailtier.api import crds
from mailtier.cli.online.checking import definitions, findings

_ORG = crds.ORGANIZATION.name


def _installed() -> dict[str, typing.Any]:
    return {resource.name: copy.deepcopy(crds.definition(resource)) for resource in crds.ALL}


def _judge(found: dict[str, typing.Any], *, operator_version: str = "1.0") -> list[findings.CheckFinding]:
    return definitions.judge(found, operator_version=operator_version, own_version="1.0")


def _spec(found: dict[str, typing.Any]) -> dict[str, typing.Any]:
    version = found[_ORG]["spec"]["versions"][0]
    return typing.cast("dict[str, typing.Any]", version["schema"]["openAPIV3Schema"]["properties"]["spec"])


def test_those_of_this_program_are_well() -> None:
    """One line says so of all kinds, also where the API server has filled in its defaults."""
    found = _installed()
    for crd in found.values():
        crd["spec"]["conversion"] = {"strategy": "None"}
        crd["status"] = {"storedVersions": ["v1alpha1"]}
    assert [each.verdict for each in _judge(found)] == [findings.Verdict.OK]


def test_a_kind_that_is_missing_is_to_be_installed() -> None:
    """Also one whose version is not served."""
    found = _installed()
    found[_ORG] = None
    found[crds.HOST.name]["spec"]["versions"][0]["served"] = False
    told = _judge(found)
    assert [each.verdict for each in told] == [findings.Verdict.FAILED] * 2
    assert all("`mailtier crds | kubectl apply --server-side" in each.remedy for each in told)


def test_older_ones_are_named_by_what_they_lack() -> None:
    """Where the operator is of this version, they are to be upgraded; else another program is to be used."""
    found = _installed()
    del _spec(found)["properties"]["smtp"]["properties"]["fallback"]
    (told,) = _judge(found)
    assert (told.verdict, "`mailtier crds" in told.remedy) == (findings.Verdict.FAILED, True)
    assert "lacks spec.smtp.fallback, spec.smtp.fallback." in told.message
    (other,) = _judge(found, operator_version="0.9")
    assert (other.verdict, "version 0.9" in other.remedy) == (findings.Verdict.WARNING, True)


def test_newer_ones_are_a_warning() -> None:
    """This program knows less than the cluster does."""
    found = _installed()
    _spec(found)["properties"]["novelty"] = {"type": "object", "properties": {"inside": {"type": "string"}}}
    (told,) = _judge(found)
    assert told.verdict is findings.Verdict.WARNING
    assert "has spec.novelty, spec.novelty.inside, which" in told.message
