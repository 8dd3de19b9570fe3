"""The schema of the chart's values: bounds that are written by hand, descriptions from the comments in values.yaml."""

import json
import typing

from kit import values_page

Schema = dict[str, typing.Any]


class UnknownValueError(ValueError):
    """The schema does not know a value of values.yaml; the text names it."""


def described(schema: str, values: str) -> str:
    """Return the text of a schema in which each value is described as values.yaml does.

    Args:
        schema: The text of values.schema.json.
        values: That of values.yaml.

    Raises:
        UnknownValueError: The schema lacks a value.
    """
    root: Schema = json.loads(schema)
    for value in values_page.values(values):
        _describe(root, value.path, value.meaning)
    return json.dumps(root, indent=2, ensure_ascii=False) + "\n"


def undescribed(schema: Schema, above: str = "") -> list[str]:
    """Return the paths of the values in a schema that have no description."""
    found = []
    for key, child in schema.get("properties", {}).items():
        path = f"{above}{key}"
        found += [] if child.get("description") else [path]
        found += undescribed(child, f"{path}.")
    return found


def _describe(root: Schema, path: str, meaning: str) -> None:
    """Put a description first among what the schema says of a value."""
    *groups, name = path.split(".")
    holder = root
    try:
        for group in groups:
            holder = holder["properties"][group]
        known = holder["properties"][name]
    except KeyError:
        raise UnknownValueError(f"values.schema.json does not know {path}") from None
    holder["properties"][name] = {"description": meaning} | {
        key: bound for key, bound in known.items() if key != "description"
    }
