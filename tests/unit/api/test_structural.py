"""The schemas of the kinds are structural, bounded and explained; what cannot be structural is refused."""

import collections.abc
import typing

import pydantic
import pytest

from mailtier.api import crds, kinds, schema, structural, types


def _nodes(node: dict[str, typing.Any], path: str) -> collections.abc.Iterator[tuple[str, dict[str, typing.Any]]]:
    yield path, node
    for name, child in node.get("properties", {}).items():
        yield from _nodes(child, f"{path}.{name}")
    for keyword in ("items", "additionalProperties"):
        if keyword in node:
            yield from _nodes(node[keyword], f"{path}[]")


def _own() -> list[typing.Any]:
    """Return every node below the spec and status of the kinds, with its path as the test's name."""
    return [
        pytest.param(node, id=f"{resource.short_name}.{path}")
        for resource in crds.ALL
        for part, root in structural.schema_of(kinds.ALL[resource.kind])["properties"].items()
        if part in {"spec", "status"}
        for path, node in _nodes(root, part)
    ]


_BOUNDS = {"string": "maxLength", "array": "maxItems"}


def test_every_value_is_bounded() -> None:
    """A string, list or map without a bound would let the cost of a rule, or an object, grow without one."""
    for parameter in _own():
        (node,) = parameter.values
        match node:
            case {"type": "string"} if node.keys() & {"enum", "format"}:
                continue
            case {"type": "string" | "array" as type_}:
                bounded = _BOUNDS[type_] in node
            case {"type": "object", "additionalProperties": _}:
                bounded = "maxProperties" in node
            case {"type": "object"}:
                bounded = "properties" in node
            case {"type": type_}:
                bounded = type_ in {"integer", "boolean"}
            case _:
                bounded = False
        assert bounded, parameter.id


def test_every_field_has_a_text() -> None:
    """`kubectl explain` has something to say of every field, in sentences on one line each."""
    for resource in crds.ALL:
        root = structural.schema_of(kinds.ALL[resource.kind])
        for path, node in _nodes(root, resource.kind):
            if path.endswith((".metadata", "[]")):
                continue
            text = node.get("description", "")
            assert text.endswith("."), path
            assert "\n" not in text.replace("\n\n", ""), path


def test_every_list_says_who_owns_its_entries() -> None:
    """Without a list type, server-side apply would treat a list as one value by accident and not by decision."""
    for parameter in _own():
        (node,) = parameter.values
        assert node["type"] != "array" or "x-kubernetes-list-type" in node, parameter.id


def test_nothing_that_is_inherited_has_a_default() -> None:
    """A default in a spec would be written into objects and count as an override; that of a spec itself is empty."""
    for parameter in _own():
        (node,) = parameter.values
        allowed = str(parameter.id).endswith(".status") or (
            str(parameter.id).count(".") == 1 and node.get("default") == {}
        )
        assert "default" not in node or allowed, parameter.id


class _Inner(schema.Model):
    """A group of its own.

    With a second
    paragraph.
    """

    name: types.OrganizationName
    """A name."""


class _Outer(schema.Model):
    """A model with a group in it."""

    inner: _Inner | None = None
    """What the field adds."""
    alone: _Inner


def test_group_is_inlined_with_both_texts() -> None:
    """A nested model stands where it is used; its own text comes first and what the field adds follows."""
    outer = structural.schema_of(_Outer)
    own = "A group of its own.\n\nWith a second paragraph."
    assert outer["properties"]["inner"]["description"] == f"{own}\n\nWhat the field adds."
    assert outer["properties"]["alone"]["description"] == own
    assert outer["properties"]["inner"]["properties"]["name"]["maxLength"] == 50
    assert outer["required"] == ["alone"]


def _model(annotation: typing.Any) -> type[pydantic.BaseModel]:
    return pydantic.create_model("Refused", field=(annotation, ...))


@pytest.mark.parametrize(
    ("annotation", "keyword"),
    [
        (int | str, "union"),
        (typing.Annotated[str, pydantic.Field(pattern="^a$")], "pattern"),
        (dict[typing.Annotated[str, pydantic.Field(max_length=5)], str], "propertyNames"),
        (tuple[int, str], "prefixItems"),
        (typing.Annotated[int, pydantic.Field(gt=0)], "exclusiveMinimum"),
    ],
)
def test_what_would_hold_offline_only_is_refused(annotation: typing.Any, keyword: str) -> None:
    """A constraint that the CRD cannot carry is an error of the generator, named with its field."""
    with pytest.raises(structural.NotStructuralError, match=rf"Refused\.field: .*{keyword}"):
        structural.schema_of(_model(annotation))
