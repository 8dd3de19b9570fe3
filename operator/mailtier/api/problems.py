"""What is wrong with an object, in sentences: the models' findings without the values that were given.

A value is never quoted. Whoever writes a password into a field that does not exist would read it again in a
status, a log or an answer (R1).
"""

import dataclasses
import typing
from collections.abc import Iterator, Mapping
from typing import Any, Final

import annotated_types
import pydantic
import pydantic_core

from mailtier.api import schema, suggestions

# Pydantic's types of error: docs.pydantic.dev, "Validation Errors".
_SENTENCES: Final[Mapping[str, str]] = {
    "bool_type": "must be true or false",
    "dict_type": "must be an object",
    "enum": "must be one of {expected}",
    "extra_forbidden": "is not a field",
    "greater_than_equal": "must be at least {ge}",
    "int_type": "must be a whole number",
    "less_than_equal": "must be at most {le}",
    "list_type": "must be a list",
    "literal_error": "must be one of {expected}",
    "missing": "is required",
    "model_type": "must be an object",
    "string_too_long": "must have at most {max_length} characters",
    "string_too_short": "must have at least {min_length} {characters}",
    "string_type": "must be a string",
    "string_unicode": "must be valid Unicode text",
    "too_long": "must have at most {max_length} entries",
    "too_short": "must have at least {min_length} {entries}",
}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        field: Path of the field, as in `spec.from.allow[0]`; empty for the object as a whole.
        message: What is so or what is allowed, without a final full stop.
        has_remedy: Whether the message says what to do, too.
    """

    field: str
    message: str
    has_remedy: bool = False

    def __str__(self) -> str:
        return f"{self.field}: {self.message}" if self.field else self.message


def found(model: type[pydantic.BaseModel], document: Any) -> tuple[Problem, ...]:
    """Return what is wrong with a document; nothing when the model takes it.

    Args:
        model: One of the API's models, such as `kinds.ALL["OrgEmailSettings"]`.
        document: What came in as JSON or YAML.
    """
    try:
        model.model_validate(document)
    except pydantic.ValidationError as error:
        return listed(error, model)
    return ()


def listed(error: pydantic.ValidationError, model: type[pydantic.BaseModel], *, below: str = "") -> tuple[Problem, ...]:
    """Return what a validation found, in the order of the fields.

    Args:
        error: From the model.
        model: One of the API's.
        below: Path of what was validated, such as `spec`; empty for a whole object.
    """
    return tuple(_problem(below, entry, model) for entry in error.errors(include_url=False, include_input=False))


def _problem(below: str, entry: pydantic_core.ErrorDetails, model: type[pydantic.BaseModel]) -> Problem:
    field = below
    for part in entry["loc"]:
        field += f"[{part}]" if isinstance(part, int) else f".{part}"
    context = entry.get("ctx", {})
    match entry["type"]:
        case "rule":
            return Problem(
                field=(field + context["field"]).removeprefix("."), message=context["message"], has_remedy=True
            )
        case "null":
            path = f"{field}.{context['name']}".removeprefix(".")
            return Problem(field=path, message=context["message"], has_remedy=True)
        case "greater_than_equal" | "less_than_equal" | "string_too_short" if told := _whole(entry, model):
            return Problem(field=field.removeprefix("."), message=told)
        case kind if kind in _SENTENCES:
            suggestion = _suggestion(kind, entry, model)
            message = "; ".join(filter(None, (_SENTENCES[kind].format(**_plural(context)), suggestion)))
            return Problem(field=field.removeprefix("."), message=message, has_remedy=bool(suggestion))
        case _:
            return Problem(field=field.removeprefix("."), message=entry["msg"])


def _whole(entry: pydantic_core.ErrorDetails, model: type[pydantic.BaseModel]) -> str:
    """Return all of what a value has to be, where what is wrong with it is a part of that; "" where it is not."""
    marks = list(_marks(suggestions.type_at(model, entry["loc"])))
    if entry["type"] == "string_too_short":
        rules = [rule for mark in marks if type(mark) is schema.Checked for rule in mark.rules]
        return rules[0].message if rules and entry["ctx"]["min_length"] > 1 else ""
    low = next((mark.ge for mark in marks if isinstance(mark, annotated_types.Ge)), None)
    high = next((mark.le for mark in marks if isinstance(mark, annotated_types.Le)), None)
    return "" if low is None or high is None else f"must be between {low} and {high}"


def _marks(annotation: Any) -> Iterator[Any]:
    """Yield what a type asks for beside its class, such as `Ge(1)`."""
    for part in typing.get_args(annotation):
        if isinstance(part, pydantic.fields.FieldInfo):
            yield from part.metadata
        elif isinstance(part, schema.Checked):
            yield part
        else:
            yield from _marks(part)


def _suggestion(kind: str, entry: pydantic_core.ErrorDetails, model: type[pydantic.BaseModel]) -> str:
    match kind:
        case "missing":
            return suggestions.for_missing(entry["loc"])
        case "extra_forbidden":
            return suggestions.for_unknown(model, entry["loc"])
        case "model_type":
            return suggestions.for_no_object(model, entry["loc"])
        case _:
            return ""


def _plural(context: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a sentence is filled with, and the nouns that go with its number."""
    one = context.get("min_length") == 1
    return {**context, "characters": "character" if one else "characters", "entries": "entry" if one else "entries"}
