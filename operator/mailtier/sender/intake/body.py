"""From the bytes of a request to a valid notification, or to the fields at fault.

No error quotes what was sent: a body may hold a reset link, and an answer may end in a log (R1).
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import pydantic
import pydantic.alias_generators

from mailtier.api import notification
from mailtier.sender.intake import problems

_MAXIMUM_ERRORS: Final = 20
_MAXIMUM_SEGMENT_LENGTH: Final = 63
# A name that can stand in a pointer as it is. Other names of fields are the caller's text and are not repeated.
_PLAIN: Final = re.compile(r"[A-Za-z0-9_-]+")

_FIELDS: Final = tuple(
    field.alias or pydantic.alias_generators.to_camel(name)
    for name, field in notification.NotificationRequest.model_fields.items()
)

_SENTENCES: Final[Mapping[str, str]] = {
    "missing": "is required",
    "extra_forbidden": f"is not a field of a notification; its fields are {', '.join(_FIELDS)}",
    "enum": "must be one of {expected}",
    "string_type": "must be a string",
    "list_type": "must be a list of strings",
    "dict_type": "must be an object whose values are strings",
    "model_type": "must be a JSON object",
    "model_attributes_type": "must be a JSON object",
    "string_too_short": "must have at least {min_length} characters",
    "string_too_long": "must have at most {max_length} characters",
    "too_short": "must have at least {min_length} entries",
    "too_long": "must have at most {max_length} entries",
    "string_unicode": "must be valid Unicode text",
}
_OTHERWISE: Final = "is not valid; look at /openapi.json"


def parse(body: bytes) -> notification.NotificationRequest:
    """Return the notification that a request's body holds.

    Raises:
        Problem: It is not JSON in UTF-8, or not a valid notification; `errors` names each field.
    """
    try:
        return notification.NotificationRequest.model_validate_json(body)
    except pydantic.ValidationError as error:
        # Chaining would carry the body into a traceback (R1).
        raise _problem(error) from None


def _problem(error: pydantic.ValidationError) -> problems.Problem:
    found = error.errors(include_url=False, include_input=False)
    if found[0]["type"] == "json_invalid":
        reason = found[0].get("ctx", {}).get("error", "")
        return problems.Problem(problems.MALFORMED, f"the body is not JSON in UTF-8: {_position(str(reason))}")
    listed = tuple(_field_error(entry["loc"], entry["type"], entry.get("ctx", {})) for entry in found[:_MAXIMUM_ERRORS])
    more = f"; the first {_MAXIMUM_ERRORS} are listed" if len(found) > _MAXIMUM_ERRORS else ""
    count = "a field is" if len(found) == 1 else f"{len(found)} fields are"
    return problems.Problem(problems.INVALID, f"{count} not valid, see errors{more}", errors=listed)


def _position(reason: str) -> str:
    """Return where a JSON parser stopped, without what it says it met there."""
    found = re.search(r"line \d+ column \d+$", reason)
    return f"mend it at {found.group()}" if found else "mend it"


def _field_error(location: Sequence[int | str], kind: str, context: Mapping[str, Any]) -> problems.FieldError:
    match kind:
        case "rule":
            field, separator, detail = str(context["text"]).partition(": ")
            if separator and field in _FIELDS:
                return problems.FieldError(pointer=pointer((*location, field)), detail=detail)
            return problems.FieldError(pointer=pointer(location), detail=str(context["text"]))
        case "null":
            return problems.FieldError(
                pointer=pointer((*location, str(context["name"]))),
                detail="null is not a value; leave the field out",
            )
        case _:
            sentence = _SENTENCES.get(kind, _OTHERWISE)
            return problems.FieldError(pointer=pointer(location), detail=sentence.format_map(context))


def pointer(location: Sequence[int | str]) -> str:
    """Return a JSON pointer as a URI fragment; it ends before a name that the caller made up freely.

    Args:
        location: Keys and indexes from the root.

    Source:
        RFC 6901 section 6.
    """
    segments = ["#"]
    for part in location:
        segment = str(part)
        if len(segment) > _MAXIMUM_SEGMENT_LENGTH or not _PLAIN.fullmatch(segment):
            break
        segments.append(segment)
    return "/".join(segments)
