"""Streams of JSON as kubectl takes them, and why a text that begins with `{` is none.

kubectl up to 1.32 takes such a text for JSON whatever its name, and refuses what JSON has not; from 1.33 on it reads
YAML where JSON fails (`yaml.YAMLOrJSONDecoder` of k8s.io/apimachinery). Both are in use, so what only the later ones
read is read, and told. Python's own decoder takes NaN, and turns a number that is too large into infinity; kubectl
refuses both.
"""

import dataclasses
import json
import math
import re
from collections.abc import Mapping
from typing import Any, Final

_SPACE: Final = re.compile(r"[ \t\n\r]*")
_STRING_OR_NUMBER: Final = re.compile(r'"(?:[^"\\]|\\.)*"|-?Infinity|NaN|-?[0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?')
_TRAILING: Final = re.compile(r",[ \t\n\r]*([}\]])")
_NO_NUMBERS: Final = frozenset({"NaN", "Infinity", "-Infinity"})
_OLDER: Final = "kubectl before 1.33 reads what begins with { as JSON and refuses this"
_CAUSES: Final = {
    "Expecting property name enclosed in double quotes": "a name stands without double quotation marks; put them around"
    " it",
    "Expecting ':' delimiter": "a colon is missing after a name; add it",
    "Unterminated string starting at": "a text has no end; close its quotation marks",
    "Invalid control character at": "a line break or a tab stands in a text; write \\n or \\t",
    "Invalid \\escape": "a backslash begins an escape that JSON has not; write two of them",
    "Invalid \\uXXXX escape": "\\u stands without four digits of base 16; write the character itself",
}
"""What Python's decoder says, and what is so and to be done."""
_SIGNS: Final = (
    (("#", "//", "/*"), "a comment stands here, and JSON has none; take it out"),
    (("---", "..."), "objects follow one another without --- or ... in JSON; take it out"),
    (("'",), "single quotation marks stand where JSON has double ones; put those in their place"),
    (("&", "*", "!"), "an anchor, an alias or a tag stands here, and JSON has none; write the value itself"),
)
"""What stands where the decoder stopped, and what is so and to be done."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class JsonFault:
    """Why a text is no JSON; quotes nothing of it (R1).

    Attributes:
        cause: What is so and what to do.
        at: Where, from 0.
        is_final: Whether kubectl refuses it in every release, and does not try YAML.
    """

    cause: str
    at: int
    is_final: bool = False

    def sentence(self, *, is_yaml: bool) -> str:
        """Return what is said of it.

        Args:
            is_yaml: Whether the text can be read as YAML, which kubectl does from 1.33 on.
        """
        if self.is_final or not is_yaml:
            return self.cause
        return f"{self.cause}, or begin the file with --- to have it read as YAML: {_OLDER}"


def is_taken_for_json(text: str) -> bool:
    """Return whether kubectl tries JSON first."""
    return text.lstrip()[:1] == "{"


def read(text: str) -> list[tuple[Any, int, int]] | None:
    """Return the values of a stream of JSON, each with where it begins and ends.

    None where it is something else, or holds a key twice, which the YAML loader then says.
    """
    try:
        return _values(text, json.JSONDecoder(object_pairs_hook=_once, parse_constant=_refuse, parse_float=_finite))
    except (ValueError, RecursionError):
        return None


def fault(text: str) -> JsonFault | None:
    """Return the first thing in a text that JSON has not; None where there is none, or it is nested too deeply."""
    try:
        _values(text, json.JSONDecoder(parse_constant=_refuse, parse_float=_finite))
    except json.JSONDecodeError as error:
        return _explained(text, error)
    except _NoNumberError:
        return _no_number(text)
    except (ValueError, RecursionError):
        return None
    return None


class _NoNumberError(ValueError):
    """A number is none of JSON's, or too large."""


def _values(text: str, decoder: json.JSONDecoder) -> list[tuple[Any, int, int]]:
    found: list[tuple[Any, int, int]] = []
    end = 0
    while (start := _after_space(text, end)) < len(text):
        value, end = decoder.raw_decode(text, start)
        found.append((value, start, end))
    return found


def _after_space(text: str, start: int) -> int:
    match = _SPACE.match(text, start)
    return start if match is None else match.end()


def _once(pairs: list[tuple[str, Any]]) -> Mapping[str, Any]:
    mapping = dict(pairs)
    if len(mapping) < len(pairs):
        raise ValueError
    return mapping


def _refuse(name: str) -> float:
    raise _NoNumberError(name)


def _finite(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise _NoNumberError
    return value


def _explained(text: str, error: json.JSONDecodeError) -> JsonFault:
    if _after_space(text, error.pos) == len(text):
        return JsonFault(cause="it ends before its last }; add what is missing", at=len(text.rstrip()))
    if (comma := _TRAILING.match(text, _last_sign(text, error.pos))) is not None:
        return JsonFault(cause=f"a comma stands before {comma[1]}; take it out", at=comma.start())
    for signs, cause in _SIGNS:
        if text.startswith(signs, error.pos):
            return JsonFault(cause=cause, at=error.pos)
    known = _CAUSES.get(error.msg)
    if known is None and error.msg == "Expecting ',' delimiter":
        is_number = text[error.pos - 1].isdigit()
        known = (
            "a number is written as JSON has none; write it in digits without a 0 before them"
            if is_number
            else "a comma is missing between two values; add it"
        )
    if known is None and text[: error.pos].rstrip().endswith("}"):
        known = "something stands after the last }; take it out"
    known = known or "what stands here is no value of JSON; put a text in double quotation marks"
    return JsonFault(cause=known, at=error.pos)


def _last_sign(text: str, end: int) -> int:
    """Return where the comma is at which a decoder stopped, or behind which: Python before 3.13 stops behind it."""
    return end if text.startswith(",", end) else max(len(text[:end].rstrip()) - 1, 0)


def _no_number(text: str) -> JsonFault | None:
    for found in _STRING_OR_NUMBER.finditer(text):
        if found[0] in _NO_NUMBERS:
            return JsonFault(cause="JSON has no such number; write one, or leave the field out", at=found.start())
        if found[0][0] != '"' and not math.isfinite(float(found[0])):
            too_large = "a number is larger than kubectl can send; write a smaller one"
            return JsonFault(cause=too_large, at=found.start(), is_final=True)
    return None
