"""The host's policy as values: what organizations may do, which the host alone says."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from mailtier.api import names, policies, vocabulary
from mailtier.cli.offline import values

GROUP: Final = "policy"
NOTE: Final = f"it is the host's alone: whoever may write HostEmailSettings {names.HOST_NAME} says what others may do"


def of(policy: policies.Policy | None) -> dict[str, values.Value]:
    """Return the values of a policy by their dotted paths; what is absent, as a group without a value."""
    document: dict[str, Any] = {}
    if policy is not None:
        document = policy.model_dump(mode="json", by_alias=True, exclude_none=True)
    found: dict[str, values.Value] = {}
    for name, field in policies.Policy.model_fields.items():
        path = field.alias or name
        set_ = dict(_flatten(document[path], f"{GROUP}.{path}")) if path in document else {}
        found |= {below: values.Value(text=text, origin=vocabulary.Origin.HOST) for below, text in set_.items()}
        if not set_:
            found[f"{GROUP}.{path}"] = values.Value(text="", origin=vocabulary.Origin.DEFAULT)
    return found


def _flatten(value: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for name, below in value.items():
            yield from _flatten(below, f"{path}.{name}")
    else:
        yield path, _text(value)


def _text(value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case list() if any(isinstance(entry, Mapping) for entry in value):
            return "; ".join(", ".join(f"{name} {_text(part)}" for name, part in entry.items()) for entry in value)
        case list():
            return " ".join(map(str, value)) or "nobody"
        case _:
            return str(value)
