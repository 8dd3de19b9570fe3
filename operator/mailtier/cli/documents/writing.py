"""Kubernetes objects as YAML text, always the same for the same object."""

from collections.abc import Mapping
from typing import Any

import yaml

from mailtier.cli.documents import scalars

_WIDTH = 120


class _Dumper(yaml.CSafeDumper):
    """Writes texts of several lines as blocks, and repeats a value rather than pointing at it with an alias."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def _represent_text(dumper: yaml.CSafeDumper, text: str) -> yaml.ScalarNode:
    style = None
    if "\n" in text:
        style = "|"
    elif not isinstance(scalars.read(text), str):
        # PyYAML quotes what it would read as something else itself, and it knows fewer words and numbers than kubectl.
        style = "'"
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent_text)


def dump(*documents: Mapping[str, Any]) -> str:
    """Return objects as YAML, keys in their order, several separated by `---`."""
    return "---\n".join(_dump(document) for document in documents)


def _dump(document: Mapping[str, Any]) -> str:
    return str(yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=_WIDTH))
