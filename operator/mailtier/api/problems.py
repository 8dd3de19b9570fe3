"""What is wrong with an object, in sentences: the models' findings without the values that were given.

A value is never quoted. Whoever writes a password into a field that does not exist would read it again in a
status, a log or an answer (R1).
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Final

import pydantic

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
    """

    field: str
    message: str

    def __str__(self) -> str:
        return f"{self.field}: {self.message}" if self.field else self.message


def listed(error: pydantic.ValidationError, *, below: str = "") -> tuple[Problem, ...]:
    """Return what a validation found, in the order of the fields.

    Args:
        error: From any of the API's models.
        below: Path of what was validated, such as `spec`; empty for a whole object.
    """
    return tuple(
        Problem(field=_path(below, entry["loc"]), message=_message(entry["type"], entry.get("ctx", {}), entry["msg"]))
        for entry in error.errors(include_url=False, include_input=False)
    )


def _path(below: str, location: Sequence[int | str]) -> str:
    path = below
    for part in location:
        path += f"[{part}]" if isinstance(part, int) else f".{part}"
    return path.removeprefix(".")


def _message(kind: str, context: Mapping[str, Any], otherwise: str) -> str:
    sentence = _SENTENCES.get(kind)
    if sentence is None:
        # A rule's own sentence, or something of pydantic's that no model has met yet.
        return otherwise
    smallest = context.get("min_length")
    return sentence.format(
        **context,
        characters="character" if smallest == 1 else "characters",
        entries="entry" if smallest == 1 else "entries",
    )
