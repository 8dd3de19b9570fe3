"""The SBOM says what the image holds."""

import re
import tomllib

import pytest

from kit import licences, repository, sbom

_LOCK = "requirements-runtime.lock"


def test_each_library_stands_in_it_with_version_and_licence() -> None:
    """What is locked for the image and is of this platform is a component, and each has a licence that may be used."""
    document = sbom.document(repository.read(_LOCK))
    pins = set(re.findall(r"^([a-z0-9-]+)==(\S+)", repository.read(_LOCK), re.MULTILINE))
    components = document["components"]
    # The lock is for each platform: this is Windows'.
    assert {(each["name"], each["version"]) for each in components} == {pin for pin in pins if pin[0] != "colorama"}
    for each in components:
        ((_, expression),) = each["licenses"][0].items()
        assert set(re.split(r" (?:AND|OR) ", expression)) <= licences.PERMITTED, each["name"]
    assert {each["purl"] for each in components} == {each["bom-ref"] for each in components}


def test_each_dependency_is_told_with_who_needs_it() -> None:
    """The program depends on what the project names, everything in it is needed, and no name is unknown."""
    document = sbom.document(repository.read(_LOCK))
    project = tomllib.loads(repository.read("pyproject.toml"))["project"]
    named = [*project["dependencies"], *(each for extra in project["optional-dependencies"].values() for each in extra)]
    wanted = {re.split(r"[<>=~!\[]", requirement)[0] for requirement in named} - {"mailtier"}
    graph = {entry["ref"]: entry["dependsOn"] for entry in document["dependencies"]}
    root = document["metadata"]["component"]["bom-ref"]
    names = {each["bom-ref"]: each["name"] for each in document["components"]}
    assert {names[ref] for ref in graph[root]} == wanted
    assert {ref for needed in graph.values() for ref in needed} == names.keys() == graph.keys() - {root}


def test_a_licence_that_nobody_has_read_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Words that are not known stop the page and the SBOM, and are quoted."""
    monkeypatch.setattr(licences, "_WORDS", {})
    with pytest.raises(licences.UnknownLicenceError, match=r"markdown-it-py: .*MIT License"):
        licences.spdx("markdown-it-py")
