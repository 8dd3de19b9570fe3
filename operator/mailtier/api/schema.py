"""The base of every model: one rule serves the apiserver (CEL) and everything offline (Python).

A rule is written twice, side by side, because no Python library evaluates CEL as the apiserver does, and a
test holds both forms against the same objects.
"""

import dataclasses
import enum
import re
import typing
from collections.abc import Callable, Iterable
from typing import Any, ClassVar, Literal, Self

import pydantic
import pydantic.alias_generators
import pydantic_core
from pydantic import json_schema
from pydantic_core import core_schema

FORBIDDEN = "FieldValueForbidden"
INVALID = "FieldValueInvalid"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A constraint that a person meets as a sentence.

    Attributes:
        cel: The expression for `x-kubernetes-validations`; `self` is the value. Empty where the apiserver has
            another way to say it.
        holds: The same in Python, true or false; None where only the apiserver can tell (transition rules).
        message: What is allowed and what to do, without a full stop.
        field: The child that the error names, as in `.port`; empty for the value itself.
        reason: The API's reason for the error.
        faults: What is often wrong, each as a pattern to be found and what is said then in place of the message, in
            this order; in the syntax that RE2 and Python share.
        where: Returns what is wrong with a value and where, in a few words that quote nothing of it, or nothing; in
            Python alone, as CEL cannot count.
        faulty: Returns the fields that break the rule, as in `.delivery.replies`, each of which is told by itself with
            `alone` in place of the message; in Python alone, as an error of the apiserver names one field.
        alone: What is said of one such field.
    """

    cel: str
    holds: Callable[[Any], object] | None
    message: str
    field: str = ""
    reason: str = INVALID
    faults: tuple[tuple[str, str], ...] = ()
    where: Callable[[Any], str] | None = None
    faulty: Callable[[Any], Iterable[str]] | None = None
    alone: str = ""

    def as_validation(self) -> dict[str, str]:
        """Return the entry of `x-kubernetes-validations`."""
        entry = {"rule": self.cel, "message": self.message}
        if self.faults:
            chosen = "".join(
                f"self.matches({cel_text(_in_re2(found))}) ? {cel_text(said)} : " for found, said in self.faults
            )
            entry["messageExpression"] = chosen + cel_text(self.message)
        if self.field:
            entry["fieldPath"] = self.field
        if self.reason != INVALID:
            entry["reason"] = self.reason
        return entry

    def is_kept(self, value: Any) -> bool:
        """Return whether the rule holds, as far as Python can tell."""
        return self.holds is None or bool(self.holds(value))

    def error_of(self, value: Any) -> pydantic_core.PydanticCustomError:
        """Return what is raised where the rule does not hold; the text is the rule's message, or says the fault."""
        said = next((said for found, said in self.faults if re.search(found, value)), self.message)
        if self.where is not None and (place := self.where(value)):
            said += f"; {place}: remove it"
        return _error(self.field, said)

    def errors_of(self, value: Any) -> list[pydantic_core.PydanticCustomError]:
        """Return what is said where the rule does not hold, once for each field that breaks it."""
        if self.faulty is None:
            return [self.error_of(value)]
        return [_error(field, self.alone) for field in self.faulty(value)]


def _error(field: str, said: str) -> pydantic_core.PydanticCustomError:
    text = f"{field.lstrip('.')}: {said}" if field else said
    return pydantic_core.PydanticCustomError("rule", "{text}", {"text": text, "field": field, "message": said})


@dataclasses.dataclass(frozen=True, slots=True)
class Checked:
    """Rules on a value that is not an object: `Annotated[str, Checked((rule, ...))]`.

    Attributes:
        list_type: Who owns what of a list: atomic or set; "" where it is none.
    """

    rules: tuple[Rule, ...]
    list_type: str = ""

    def __get_pydantic_core_schema__(
        self, source: Any, handler: pydantic.GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        return core_schema.no_info_after_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: pydantic.GetJsonSchemaHandler
    ) -> json_schema.JsonSchemaValue:
        result = handler(schema)
        if self.list_type:
            result["x-kubernetes-list-type"] = self.list_type
        if rules := [rule.as_validation() for rule in self.rules if rule.cel]:
            result["x-kubernetes-validations"] = rules
        return result

    def check(self, value: Any) -> Any:
        """Return a value that keeps the rules.

        Raises:
            PydanticCustomError: It breaks one; a ValueError.
        """
        for rule in self.rules:
            if not rule.is_kept(value):
                raise rule.error_of(value)
        return value


class CheckedSet(Checked):
    """Rules on a list that are told beside what is wrong with its items, and not only once those are mended."""

    def __get_pydantic_core_schema__(
        self, source: Any, handler: pydantic.GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        return core_schema.no_info_wrap_validator_function(self._check_all, handler(source))

    def _check_all(self, value: Any, handler: core_schema.ValidatorFunctionWrapHandler) -> Any:
        try:
            items = handler(value)
        except pydantic.ValidationError as error:
            given = [item for item in value if isinstance(item, str | int)] if isinstance(value, list) else []
            broken = [rule for rule in self.rules if not rule.is_kept(given)]
            if not broken:
                raise
            found = [_again(entry) for entry in error.errors(include_url=False, include_input=False)]
            found += [pydantic_core.InitErrorDetails(type=rule.error_of(given), loc=(), input=None) for rule in broken]
            raise pydantic.ValidationError.from_exception_data(error.title, found, hide_input=True) from None
        return self.check(items)


class Model(pydantic.BaseModel):
    """A frozen object of the API, camelCase in YAML.

    A field that is not set is absent: never null, never defaulted, or it would count as an override.
    """

    model_config = pydantic.ConfigDict(
        alias_generator=pydantic.alias_generators.to_camel,
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
        # A password in a field that does not exist must not reach a traceback (R1).
        hide_input_in_errors=True,
    )

    RULES: ClassVar[tuple[Rule, ...]] = ()

    @pydantic.model_validator(mode="wrap")
    @classmethod
    def _refuse_null(cls, data: Any, handler: pydantic.ModelWrapValidatorHandler[Self]) -> Self:
        """Refuse an explicit null, as server-side apply does, with whatever else is wrong beside it."""
        nulls = [name for name, value in data.items() if value is None] if isinstance(data, dict) else []
        if not nulls:
            return handler(data)
        found = [cls._null(name) for name in nulls]
        try:
            read = handler({name: value for name, value in data.items() if value is not None})
        except pydantic.ValidationError as error:
            found += [
                _again(entry)
                for entry in error.errors(include_url=False, include_input=False)
                # That it is required is what its null comes to.
                if entry["type"] != "missing" or entry["loc"] not in {(name,) for name in nulls}
            ]
        else:
            found += cls._broken(read)
        raise pydantic.ValidationError.from_exception_data(cls.__name__, found, hide_input=True)

    @pydantic.model_validator(mode="after")
    def _check_rules(self) -> Self:
        broken = self._broken(self)
        if broken:
            raise pydantic.ValidationError.from_exception_data(type(self).__name__, broken, hide_input=True)
        return self

    @classmethod
    def _broken(cls, read: Self) -> list[pydantic_core.InitErrorDetails]:
        """Return the errors of the rules that an object breaks."""
        return [
            pydantic_core.InitErrorDetails(type=error, loc=(), input=None)
            for rule in cls.RULES
            if not rule.is_kept(read)
            for error in rule.errors_of(read)
        ]

    @classmethod
    def _null(cls, name: str) -> pydantic_core.InitErrorDetails:
        """Return the error of a null, which says what a field takes that cannot be left out."""
        field = next((each for key, each in cls.model_fields.items() if name in {key, each.alias}), None)
        remedy = "leave the field out"
        if field is not None and field.is_required():
            choices = _choices(field.annotation)
            takes = f"it is one of {', '.join(choices)}" if choices else (field.description or "").split("; ")[0]
            remedy = "the field is required" + (f": {takes.rstrip('.')}" if takes else "")
        context = {"name": name, "message": f"null is not a value; {remedy}"}
        error = pydantic_core.PydanticCustomError("null", "{name}: {message}", context)
        return pydantic_core.InitErrorDetails(type=error, loc=(), input=None)

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: core_schema.CoreSchema, handler: pydantic.GetJsonSchemaHandler
    ) -> json_schema.JsonSchemaValue:
        result = handler(schema)
        if cls.RULES:
            resolved = handler.resolve_ref_schema(result)
            resolved["x-kubernetes-validations"] = [rule.as_validation() for rule in cls.RULES]
        return result


def _choices(annotation: Any) -> list[str]:
    """Return the values of an enumeration or of literals; none where there is no such list."""
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return [str(member.value) for member in annotation]
    return [str(value) for value in typing.get_args(annotation)] if typing.get_origin(annotation) is Literal else []


def _again(entry: pydantic_core.ErrorDetails) -> pydantic_core.InitErrorDetails:
    """Return an error that a validation reported as one that another reports."""
    context = entry.get("ctx", {})
    kind: Any = entry["type"]
    if kind not in typing.get_args(core_schema.ErrorType):
        kind = pydantic_core.PydanticCustomError(kind, "{text}", {"text": entry["msg"], **context})
    return pydantic_core.InitErrorDetails(type=kind, loc=entry["loc"], input=None, ctx=context)


def cel_matches(pattern: str, value: str = "self") -> str:
    """Return the CEL test that a whole value matches a pattern, in the syntax that RE2 and Python share.

    In RE2 `$` is the end of the text, and not also the place before a final line break as in Python.
    """
    return f"{value}.matches({cel_text(_in_re2(f'^({pattern})$'))})"


def _in_re2(pattern: str) -> str:
    """Return a pattern with what cannot be printed in ASCII as RE2's escapes."""
    return re.sub(r"[^ -~]", lambda found: f"\\x{{{ord(found[0]):x}}}", pattern)


def cel_text(text: str) -> str:
    """Return a text as a CEL literal."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


ATOMIC = Checked((), "atomic")
"""A list that one manager owns as a whole."""

SET = CheckedSet(
    (
        Rule(
            # The apiserver refuses duplicates by the list's type; a rule there would be work done twice.
            cel="",
            holds=lambda items: len(items) == len(set(items)),
            message="must not name the same value twice",
        ),
    ),
    "set",
)
"""A list that names no value twice, and in which managers own values of their own."""


def not_empty(*fields: str) -> Rule:
    """Return the rule that a group sets at least one of its fields.

    An empty group would read like an override, and be none.

    Args:
        fields: All fields of the group, as Python names them.
    """
    names = [name.rstrip("_") if name == "from_" else pydantic.alias_generators.to_camel(name) for name in fields]
    choice = f"at least one of {', '.join(names)}" if len(names) > 1 else names[0]
    return Rule(
        cel=" || ".join(f"has(self.{name})" for name in names),
        holds=lambda group: any(getattr(group, field) is not None for field in fields),
        message=f"is empty; set {choice}, or remove the group",
    )
