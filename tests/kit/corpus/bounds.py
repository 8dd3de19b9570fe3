"""The upper bounds that a schema sets, which of them an object reaches, and what lies one beyond."""

import collections.abc
import copy
import dataclasses
import typing

_STEP_INTO_LIST = "[]"
_STEP_INTO_MAP = "{}"
_MEASURES: dict[str, collections.abc.Callable[[typing.Any], int]] = {
    "maxLength": len,
    "maxItems": len,
    "maxProperties": len,
    "maximum": int,
}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """One upper bound.

    Attributes:
        path: Steps from the root; any entry of a list is `[]`, of a map `{}`.
        keyword: maxLength, maxItems, maxProperties or maximum.
    """

    path: tuple[str, ...]
    keyword: str

    def __str__(self) -> str:
        return f"{'.'.join(self.path)} {self.keyword}"


def of(schema: dict[str, typing.Any], path: tuple[str, ...] = ()) -> set[Bound]:
    """Return every bound of a schema."""
    found = {Bound(path=path, keyword=keyword) for keyword in _MEASURES if keyword in schema}
    for name, child in schema.get("properties", {}).items():
        found |= of(child, (*path, name))
    if "items" in schema:
        found |= of(schema["items"], (*path, _STEP_INTO_LIST))
    if "additionalProperties" in schema:
        found |= of(schema["additionalProperties"], (*path, _STEP_INTO_MAP))
    return found


def reached(schema: dict[str, typing.Any], value: typing.Any) -> dict[Bound, tuple[str | int, ...]]:
    """Return the bounds that a value reaches exactly, each with the way to the first place where it does."""
    found: dict[Bound, tuple[str | int, ...]] = {}
    for bound, keys, limit, part in _walk(schema, value, (), ()):
        if _MEASURES[bound.keyword](part) == limit:
            found.setdefault(bound, keys)
    return found


def beyond(document: dict[str, typing.Any], bound: Bound, keys: tuple[str | int, ...]) -> dict[str, typing.Any]:
    """Return a copy of an object that exceeds a bound by one at a place where it reaches it."""
    grown = copy.deepcopy(document)
    holder: typing.Any = grown
    for key in keys[:-1]:
        holder = holder[key]
    value = holder[keys[-1]]
    match bound.keyword:
        case "maxLength":
            holder[keys[-1]] = value + "a"
        case "maxItems":
            value.append(value[-1])
        case "maxProperties":
            value["beyond"] = next(iter(value.values()))
        case _:
            holder[keys[-1]] = value + 1
    return grown


def _walk(
    schema: dict[str, typing.Any], value: typing.Any, path: tuple[str, ...], keys: tuple[str | int, ...]
) -> collections.abc.Iterator[tuple[Bound, tuple[str | int, ...], int, typing.Any]]:
    for keyword in _MEASURES.keys() & schema.keys():
        yield Bound(path=path, keyword=keyword), keys, schema[keyword], value
    for name, child in schema.get("properties", {}).items():
        if name in value:
            yield from _walk(child, value[name], (*path, name), (*keys, name))
    if "items" in schema:
        for index, entry in enumerate(value):
            yield from _walk(schema["items"], entry, (*path, _STEP_INTO_LIST), (*keys, index))
    if "additionalProperties" in schema:
        for name, entry in value.items():
            yield from _walk(schema["additionalProperties"], entry, (*path, _STEP_INTO_MAP), (*keys, name))
