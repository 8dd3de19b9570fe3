"""From the bytes of a request to a valid notification, or to the fields at fault.

No error quotes what was sent: a body may hold a reset link, and an answer may end in a log (R1).
"""

import json
import re
from collections.abc import Sequence
from typing import Any, Final, TypeVar

import pydantic

from mailtier.api import notification
from mailtier.api import problems as findings
from mailtier.sender.intake.http import decoding, problems

_MAXIMUM_ERRORS: Final = 20
# A name that can stand in a pointer as it is. Other names of fields are the caller's text and are not repeated.
_PLAIN: Final = re.compile(r"[A-Za-z0-9_-]{1,63}")
_FIELDS: Final = frozenset(field.alias for field in notification.BatchedNotification.model_fields.values())
_PATH_PART: Final = re.compile(r"[^.\[\]]+")

_Request = TypeVar("_Request", bound=notification.NotificationRequest)


def parse(body: bytes, decoder: decoding.Decoder[_Request]) -> _Request:
    """Return the notification that a request's body holds, or a part of it.

    Args:
        body: As it came.
        decoder: Of what it has to be.

    Raises:
        HttpProblem: It is not JSON in UTF-8, or not a valid notification; `errors` names each field.
    """
    found = decoder.decode(body) if len(body) <= notification.MAXIMUM_TOTAL_BYTES else None
    return found or judge(body, decoder.model)


def judge(body: bytes, model: type[_Request]) -> _Request:
    """Return the notification that a request's body holds, as the model reads it.

    Raises:
        HttpProblem: As above.
    """
    if len(body) > notification.MAXIMUM_TOTAL_BYTES:
        raise too_large()
    try:
        found = model.model_validate_json(body)
    except pydantic.ValidationError as error:
        # Chaining would carry the body into a traceback (R1).
        raise _problem(error, model) from None
    # Afterwards: what is valid is JSON of a known depth.
    json.loads(body, object_pairs_hook=_once_each)
    return found


def too_large() -> problems.HttpProblem:
    """Return the answer to a notification that is more than one may be."""
    return problems.HttpProblem(
        problems.TOO_LARGE,
        f"a notification holds at most {notification.MAXIMUM_TOTAL_BYTES} bytes; shorten it, or send a link instead",
    )


def _once_each(pairs: Sequence[tuple[str, Any]]) -> None:
    """Refuse a name that stands twice: of its values one reader takes the first, and another the last (RFC 8259)."""
    names = [name for name, _ in pairs]
    if len(set(names)) == len(names):
        return
    twice = next(name for name in names if names.count(name) > 1)
    which = f"`{twice}`" if twice in _FIELDS else "a name in data"
    raise problems.HttpProblem(problems.MALFORMED, f"{which} stands twice in the same object; send each name once")


def pointer(parts: Sequence[str]) -> str:
    """Return a JSON pointer as a URI fragment; it ends before a name that the caller made up freely.

    Args:
        parts: Keys and indexes from the root.

    Source:
        RFC 6901 section 6.
    """
    segments = ["#"]
    for part in parts:
        if not _PLAIN.fullmatch(part):
            break
        segments.append(part)
    return "/".join(segments)


def _problem(error: pydantic.ValidationError, model: type[notification.NotificationRequest]) -> problems.HttpProblem:
    first = error.errors(include_url=False, include_input=False)[0]
    if first["type"] == "json_invalid":
        return problems.HttpProblem(
            problems.MALFORMED, f"the body is not JSON in UTF-8{_position(first['msg'])}; mend it"
        )
    found = findings.listed(error, model)
    errors = [
        problems.FieldError(pointer=pointer(_PATH_PART.findall(each.field)), detail=each.message)
        for each in found[:_MAXIMUM_ERRORS]
    ]
    count = "one thing is" if len(found) == 1 else f"{len(found)} things are"
    more = f", the first {_MAXIMUM_ERRORS} of them" if len(found) > _MAXIMUM_ERRORS else ""
    return problems.HttpProblem(
        problems.INVALID, f"{count} wrong with the notification; see errors{more}", errors=errors
    )


def _position(message: str) -> str:
    """Return where a JSON parser stopped, without what it says it met there."""
    found = re.search(r" at line \d+ column \d+", message)
    return found.group() if found else ""
