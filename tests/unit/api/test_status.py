"""The models of the status know every field that is written, and their texts name every word that is used."""

import typing

import pytest

from kit.corpus import statuses
from mailtier.api import kinds, problems, structural, vocabulary
from mailtier.settings import effective


def _paths(node: dict[str, typing.Any], path: str = "") -> set[str]:
    found = {path}
    for name, child in node.get("properties", {}).items():
        found |= _paths(child, f"{path}.{name}")
    return found | (_paths(node["items"], f"{path}[]") if "properties" in node.get("items", {}) else set())


def _used(value: typing.Any, path: str = "") -> set[str]:
    match value:
        case dict():
            return {path}.union(*(_used(child, f"{path}.{name}") for name, child in value.items()))
        case [dict() as first, *_]:
            return {path} | _used(first, f"{path}[]")
        case _:
            return {path}


@pytest.mark.parametrize("kind", kinds.ALL)
def test_full_status_uses_every_field_and_is_valid(kind: str) -> None:
    """The status that the contract tests write leaves out no field of the schema."""
    status = statuses.full()[kind]
    document = {"apiVersion": "mailtier.dev/v1alpha1", "kind": kind, "metadata": {}, "status": status}
    found = problems.found(kinds.ALL[kind], document)
    assert [problem.field for problem in found] == (["spec"] if kind == "Notification" else [])
    schema = structural.schema_of(kinds.ALL[kind])["properties"]["status"]
    assert _paths(schema) - _used(status) == set()


def _text(kind: str, *path: str) -> str:
    node = structural.schema_of(kinds.ALL[kind])
    for name in path:
        node = node["items"] if name == "[]" else node["properties"][name]
    return str(node["description"])


@pytest.mark.parametrize(
    ("words", "path"),
    [
        (vocabulary.Condition, ("OrgEmailSettings", "status", "conditions", "[]", "type")),
        (vocabulary.Source, ("OrgEmailSettings", "status", "source")),
        (effective.State, ("OrgEmailSettings", "status", "state")),
        (vocabulary.RecipientState, ("Notification", "status", "recipients", "[]", "state")),
        (vocabulary.Origin, ("OrgEmailSettings", "status", "effective", "provenance")),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else "",
)
def test_text_names_every_word(words: type[typing.Any], path: tuple[str, ...]) -> None:
    """A word that is added to the vocabulary is explained in the CRD too."""
    assert [word for word in words if word not in _text(*path)] == []
