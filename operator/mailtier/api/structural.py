"""From a pydantic model to the structural schema that a CustomResourceDefinition holds.

A structural schema knows no `$ref`, no null, no `additionalProperties` beside `properties`, and no `title`. What
this module does not know, it refuses: a constraint that was dropped silently would hold offline only.
"""

from collections.abc import Mapping
from typing import Any, Final

import pydantic

JsonSchema = dict[str, Any]

# What a node may hold, in the order in which it is written.
_KEYWORDS: Final = (
    "description",
    "type",
    "format",
    "enum",
    "default",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "minProperties",
    "maxProperties",
    "items",
    "additionalProperties",
    "properties",
    "required",
    "x-kubernetes-list-type",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-map-type",
    "x-kubernetes-validations",
)
# `additionalProperties: false` beside properties is what the apiserver's strict field validation does by itself.
_DROPPED: Final = frozenset({"$defs", "title", "additionalProperties"})


class NotStructuralError(TypeError):
    """A model uses something that has no structural form; the text says what and where."""


def schema_of(model: type[pydantic.BaseModel]) -> JsonSchema:
    """Return the structural schema of a model, its properties in the model's order.

    Raises:
        NotStructuralError: The model uses a union, tuple, pattern or keyword without a structural form.

    Source:
        kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions, "Specifying a
        structural schema".
    """
    document = model.model_json_schema(by_alias=True, mode="validation")
    return _structural(document, document.get("$defs", {}), model.__name__)


def _structural(node: Mapping[str, Any], definitions: Mapping[str, Any], where: str) -> JsonSchema:
    found: JsonSchema = {}
    for keyword, value in _resolve(node, definitions, where).items():
        match keyword:
            case "properties":
                found[keyword] = {
                    name: _structural(child, definitions, f"{where}.{name}") for name, child in value.items()
                }
            case "items":
                entry = _structural(value, definitions, f"{where}[]")
                if "properties" not in entry:
                    # `kubectl explain` prints it right behind the list's own, as if it were one text.
                    entry.pop("description", None)
                found[keyword] = entry
            case "additionalProperties" if value is not False:
                found[keyword] = _structural(value, definitions, f"{where}[]")
            case "const":
                found["enum"] = [value]
            case "description":
                found[keyword] = unwrap(value)
            case _ if not _is_dropped(keyword, value):
                found[keyword] = value
    for keyword in found.keys() - set(_KEYWORDS):
        raise NotStructuralError(f"{where}: {keyword} has no structural form")
    return {keyword: found[keyword] for keyword in _KEYWORDS if keyword in found}


def _is_dropped(keyword: str, value: Any) -> bool:
    return keyword in _DROPPED or (keyword == "default" and value is None)


def _resolve(node: Mapping[str, Any], definitions: Mapping[str, Any], where: str) -> Mapping[str, Any]:
    """Return the node with its reference inlined and its alternative null removed."""
    if "anyOf" in node:
        outer = {keyword: value for keyword, value in node.items() if keyword != "anyOf"}
        alternatives = [child for child in node["anyOf"] if child != {"type": "null"}]
        if len(alternatives) != 1:
            raise NotStructuralError(f"{where}: a union has no structural form")
        return _join(outer, _resolve(alternatives[0], definitions, where))
    if "$ref" in node:
        outer = {keyword: value for keyword, value in node.items() if keyword != "$ref"}
        return _join(outer, definitions[node["$ref"].rpartition("/")[2]])
    return node


def _join(outer: Mapping[str, Any], inner: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a type with what its field adds.

    A group's own text comes first, and what the field adds follows it; an enumeration's own text would only repeat
    what the field says.
    """
    joined = {**inner, **outer}
    texts = [side["description"] for side in (inner, outer) if side.get("description")]
    if inner.get("type") == "object" and "properties" in inner and texts:
        joined["description"] = "\n\n".join(texts)
    return joined


def unwrap(text: str) -> str:
    """Return a docstring with the lines of each paragraph joined, as `kubectl explain` wraps lines itself."""
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in text.split("\n\n"))
