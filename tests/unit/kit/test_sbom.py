"""The SBOM says what the image holds."""

import re
import tomllib

from kit import repository, sbom

_LOCK = "requirements-runtime.lock"


def test_each_library_stands_in_it_with_version_and_licence() -> None:
    """What is locked for the image and is of this platform is a component, and each names a licence."""
    document = sbom.document(repository.read(_LOCK))
    pins = set(re.findall(r"^([a-z0-9-]+)==(\S+)", repository.read(_LOCK), re.MULTILINE))
    components = document["components"]
    # The lock is for each platform: this is Windows'.
    assert {(each["name"], each["version"]) for each in components} == {pin for pin in pins if pin[0] != "colorama"}
    assert [each["name"] for each in components if not each["licenses"]] == []
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
