"""Notifications that are valid, read quickly; whatever else there is, the models read and say what is wrong with it.

A decoder is made from a model of the API: its fields, bounds and rules stand there and nowhere else.
"""

import functools
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Final, Generic, TypeAlias, TypeVar

import annotated_types
import msgspec
import pydantic
import pydantic.fields

from mailtier.api import notification, schema

_Request = TypeVar("_Request", bound=notification.NotificationRequest)
_BOUNDS: Final[Mapping[type, str]] = {annotated_types.MinLen: "min_length", annotated_types.MaxLen: "max_length"}
_Step: TypeAlias = Callable[[Any], Any]
"""Returns a value as the model has it, or raises ValueError."""


class Decoder(Generic[_Request]):
    """Reads notifications of one model.

    Args:
        model: What they have to be.
    """

    def __init__(self, model: type[_Request]) -> None:
        self.model = model
        fields: list[tuple[str, Any] | tuple[str, Any, None]] = []
        self._steps: dict[str, _Step] = {}
        self._absent = {name: None for name, field in model.model_fields.items() if not field.is_required()}
        for name, field in model.model_fields.items():
            kind, step = _compiled(field.annotation)
            # The default is not checked: absent is None, and null is refused.
            fields.append((name, kind) if field.is_required() else (name, kind, None))
            if step is not None:
                self._steps[name] = step
        self._decoder = msgspec.json.Decoder(
            msgspec.defstruct(
                model.__name__,
                fields,
                rename={name: field.alias or name for name, field in model.model_fields.items()},
                forbid_unknown_fields=True,
            )
        )

    def decode(self, body: bytes) -> _Request | None:
        """Return a valid notification; None where it is not seen at once that it is one, and that no name is double."""
        try:
            found = msgspec.structs.asdict(self._decoder.decode(body))
            values = {name: value for name, value in found.items() if value is not None}
            if not _has_each_name_once(body, values):
                return None
            for name, step in self._steps.items():
                if name in values:
                    values[name] = step(values[name])
        except (ValueError, RecursionError):
            # Of msgspec's own too.
            return None
        content = self._made(values)
        return content if all(rule.is_kept(content) for rule in self.model.RULES) else None

    def _made(self, values: dict[str, Any]) -> _Request:
        """Return the model with these values, as `model_construct` makes it, which takes ten times as long."""
        content = self.model.__new__(self.model)
        for name, value in (
            ("__dict__", {**self._absent, **values}),
            ("__pydantic_fields_set__", set(values)),
            ("__pydantic_extra__", None),
            ("__pydantic_private__", None),
        ):
            object.__setattr__(content, name, value)
        return content


def _has_each_name_once(body: bytes, values: Mapping[str, Any]) -> bool:
    """Return whether the body has no more texts than what was read of it, so that no name stands twice.

    Of a name that stands twice the decoder takes the last. Without an escaped one every quotation mark begins or ends a
    text. Where there is one, this is not known, and not said.
    """
    texts = 0
    for value in values.values():
        match value:
            case str():
                texts += 2
            case list():
                texts += 1 + len(value)
            case _:
                texts += 1 + 2 * len(value)
    return b'\\"' not in body and body.count(b'"') == 2 * texts


def _compiled(annotation: Any) -> tuple[Any, _Step | None]:
    """Return the decoder's type for a field of a model, with its bounds, and what is done with a value then.

    Raises:
        TypeError: It has something that is not known here.
    """
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in {typing.Union, types.UnionType}:
        # Absent, never null: the models refuse that.
        (annotation,) = (each for each in arguments if each is not types.NoneType)
        return _compiled(annotation)
    if origin is Annotated:
        kind, step = _compiled(arguments[0])
        bounds, steps = _read(arguments[1:])
        return (Annotated[kind, bounds] if bounds else kind), _chained([step, *steps] if step else steps)
    if origin is list:
        kind, step = _compiled(arguments[0])
        return origin[kind], step and functools.partial(_each_of_list, step)
    if origin is dict and arguments[0] is str:
        kind, step = _compiled(arguments[1])
        return origin[str, kind], step and functools.partial(_each_of_map, step)
    if isinstance(annotation, type):
        return annotation, None
    raise TypeError(f"no decoder for {annotation}")


def _read(metadata: Sequence[Any]) -> tuple[msgspec.Meta | None, list[_Step]]:
    bounds: dict[str, Any] = {}
    steps: list[_Step] = []
    for each in metadata:
        match each:
            case schema.Checked():
                steps.append(each.check)
            case pydantic.AfterValidator():
                steps.append(typing.cast("_Step", each.func))
            case pydantic.fields.FieldInfo(metadata=[*found]) if all(type(one) in _BOUNDS for one in found):
                bounds |= {_BOUNDS[type(one)]: getattr(one, _BOUNDS[type(one)]) for one in found}
            case _:
                raise TypeError(f"no decoder for {each}")
    return msgspec.Meta(**bounds) if bounds else None, steps


def _chained(steps: Sequence[_Step]) -> _Step | None:
    match steps:
        case []:
            return None
        case [only]:
            return only
        case _:
            return lambda value: functools.reduce(lambda so_far, step: step(so_far), steps, value)


def _each_of_list(step: _Step, values: list[Any]) -> list[Any]:
    return [step(value) for value in values]


def _each_of_map(step: _Step, values: dict[str, Any]) -> dict[str, Any]:
    return {name: step(value) for name, value in values.items()}


SINGLE: Final = Decoder(notification.NotificationRequest)
BATCHED: Final = Decoder(notification.BatchedNotification)
