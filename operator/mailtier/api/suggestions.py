"""What somebody may have meant who wrote a field that there is not; pure, and without the value that was given (R1)."""

import difflib
import typing
from collections.abc import Iterator, Sequence
from typing import Any, Final

import pydantic

_NEAR: Final = 0.75
"""How like a field a name is that may mean it, from 0 to 1."""
_LONGEST: Final = 64
"""Characters of a name that is worth comparing."""
_DEEPEST: Final = 5
_SECRETS: Final = frozenset(
    {"apikey", "pass", "passphrase", "passwd", "password", "pwd", "secret", "smtppassword", "token"}
)
_REFERENCES: Final = frozenset({"passwordsecretref", "clientsecretref"})

_MEANT: Final = ("address", "host", "mode", "allow", "domains", "recipients", "name")
"""The field that is meant by a value in place of the object that holds it, as in `from: sales@example.com`."""
_REFERENCE: Final = "passwordSecretRef"
LITERAL: Final = (
    "a password never stands in settings, where everybody reads it: put it into a Secret, name that in"
    " auth.passwordSecretRef, and change the password if this was applied anywhere"
)
"""What is said of a password in the settings themselves."""


def for_unknown(model: type[pydantic.BaseModel], location: Sequence[int | str]) -> str:
    """Return what to say of a field that there is not; "" where nothing is like it.

    Args:
        model: Of the whole document.
        location: Of the field, as pydantic gives it.
    """
    wanted = _plain(str(location[-1]))
    if not wanted or len(wanted) > _LONGEST:
        return ""
    paths = list(_paths(model))
    if wanted in _SECRETS and any(path[-1] == _REFERENCE for path in paths):
        return LITERAL
    beside = _model_at(model, location[:-1])
    known = {} if beside is None else {_plain(name): name for name, _ in _fields(beside)}
    if wanted in known:
        return f"did you mean {known[wanted]}?"
    # A name that is right and stands in the wrong place says more than one that is like another.
    elsewhere = sorted((len(path), path) for path in paths if _plain(path[-1]) == wanted)
    if elsewhere:
        path = [part for part in elsewhere[0][1] if part != "spec"]
        return f"did you mean {'.'.join(path)}?"
    near = difflib.get_close_matches(wanted, known, n=1, cutoff=_NEAR)
    return f"did you mean {known[near[0]]}?" if near else ""


def for_no_object(model: type[pydantic.BaseModel], location: Sequence[int | str]) -> str:
    """Return what to say of a value that stands where an object has to; "" where nothing is to be said.

    Args:
        model: Of the whole document.
        location: Of the value, as pydantic gives it.
    """
    if not location:
        return ""
    if _plain(str(location[-1])) in _REFERENCES:
        return LITERAL
    inner = _model_at(model, location)
    fields = {} if inner is None else dict(_fields(inner))
    meant = next((name for name in _MEANT if name in fields), None)
    path = [part for part in location if isinstance(part, str) and part != "spec"]
    return f"did you mean {'.'.join((*path, meant))}?" if meant else ""


def _plain(name: str) -> str:
    return name.replace("_", "").replace("-", "").lower()


def _fields(model: type[pydantic.BaseModel]) -> Iterator[tuple[str, Any]]:
    """Yield the fields of a model as YAML names them, with their types."""
    for name, field in model.model_fields.items():
        yield field.alias or name, field.annotation


def _paths(model: type[pydantic.BaseModel], above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, annotation in _fields(model):
        path = (*above, name)
        yield path
        inner = _model_in(annotation)
        if inner is not None and len(path) < _DEEPEST:
            yield from _paths(inner, path)


def _model_at(model: type[pydantic.BaseModel], location: Sequence[int | str]) -> type[pydantic.BaseModel] | None:
    """Return the model of what stands at a location; None where there is none."""
    found: type[pydantic.BaseModel] | None = model
    for part in location:
        if isinstance(part, str) and found is not None:
            found = _model_in(dict(_fields(found)).get(part))
    return found


def _model_in(annotation: Any) -> type[pydantic.BaseModel] | None:
    """Return the model in a type, such as `Smtp | None` or a list of it."""
    if isinstance(annotation, type) and issubclass(annotation, pydantic.BaseModel):
        return annotation
    return next(filter(None, map(_model_in, typing.get_args(annotation))), None)
