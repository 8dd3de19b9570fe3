"""The page of the chart's values says what values.yaml says, and the schema knows the same values."""

import json
import typing

import pytest

from kit import helm, values_page, values_schema

_TEXT = """
# The name.
name: ""

# What listens.
server:
  # Its port.
  # A second line.
  port: 80
  # Where, or | nothing.
  address:
    host: a
"""


def test_comments_become_rows() -> None:
    """A group has a section and each value a row, with its whole comment and its default as JSON."""
    page = values_page.page(_TEXT)
    assert "## server\n\nWhat listens.\n" in page
    assert "| `server.port` | `80` | Its port. A second line. |\n" in page
    assert '| `server.address` | `{"host": "a"}` | Where, or \\| nothing. |\n' in page
    assert '| `name` | `""` | The name. |\n' in page


def test_value_without_a_comment_is_named() -> None:
    """A value that nobody explained stops the generation."""
    with pytest.raises(values_page.UndocumentedError, match=r"server\.address has no comment"):
        values_page.page(_TEXT.replace("  # Where, or | nothing.\n", ""))


def _paths(schema: dict[str, typing.Any], above: str = "") -> set[str]:
    """Return the paths of the values that a schema knows by name."""
    found: set[str] = set()
    for key, child in schema["properties"].items():
        path = f"{above}{key}"
        found |= _paths(child, f"{path}.") if "properties" in child else {path}
    return found


def test_schema_knows_each_value() -> None:
    """The schema and values.yaml have the same values; a parent chart's two come on top."""
    schema = json.loads((helm.CHART / "values.schema.json").read_text(encoding="utf-8"))
    values = values_page.values((helm.CHART / "values.yaml").read_text(encoding="utf-8"))
    assert _paths(schema) == {value.path for value in values if not value.group} | {"global", "enabled"}


def test_schema_is_strict_wherever_it_knows_names() -> None:
    """An object with known keys refuses all others."""

    def loose(schema: dict[str, typing.Any], path: str) -> list[str]:
        if "properties" not in schema:
            return []
        own = [] if schema.get("additionalProperties") is False else [path]
        return own + [name for key, child in schema["properties"].items() for name in loose(child, f"{path}.{key}")]

    assert loose(json.loads((helm.CHART / "values.schema.json").read_text(encoding="utf-8")), "") == []


def test_schema_describes_each_value() -> None:
    """An editor that knows the schema shows what each value is for: its comment in values.yaml, groups included."""
    schema = (helm.CHART / "values.schema.json").read_text(encoding="utf-8")
    assert values_schema.undescribed(json.loads(schema)) == []
    values = (helm.CHART / "values.yaml").read_text(encoding="utf-8")
    assert values_schema.described(schema, values) == schema


def test_value_that_the_schema_lacks_is_named() -> None:
    """A value that nobody bounded stops the generation."""
    with pytest.raises(values_schema.UnknownValueError, match=r"does not know server\.address"):
        values_schema.described('{"properties": {"name": {}, "server": {"properties": {"port": {}}}}}', _TEXT)
