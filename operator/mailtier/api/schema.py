"""The base of every model: one rule serves the apiserver (CEL) and everything offline (Python).

A rule is written twice, side by side, because no Python library evaluates CEL as the apiserver does, and a
test holds both forms against the same objects.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, ClassVar, Self

import pydantic
import pydantic.alias_generators
import pydantic_core
from pydantic import json_schema
from pydantic_core import core_schema

FORBIDDEN = "FieldValueForbidden"
INVALID = "FieldValueInvalid"
REQUIRED = "FieldValueRequired"


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
    """

    cel: str
    holds: Callable[[Any], object] | None
    message: str
    field: str = ""
    reason: str = INVALID

    def as_validation(self) -> dict[str, str]:
        """Return the entry of `x-kubernetes-validations`."""
        entry = {"rule": self.cel, "message": self.message}
        if self.field:
            entry["fieldPath"] = self.field
        if self.reason != INVALID:
            entry["reason"] = self.reason
        return entry

    def check(self, value: Any) -> None:
        """Raise unless the rule holds.

        Raises:
            PydanticCustomError: The rule does not hold; the text is the rule's message.
        """
        if self.holds is not None and not self.holds(value):
            text = f"{self.field.lstrip('.')}: {self.message}" if self.field else self.message
            context = {"text": text, "field": self.field, "message": self.message}
            raise pydantic_core.PydanticCustomError("rule", "{text}", context)


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
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: pydantic.GetJsonSchemaHandler
    ) -> json_schema.JsonSchemaValue:
        result = handler(schema)
        if self.list_type:
            result["x-kubernetes-list-type"] = self.list_type
        if rules := [rule.as_validation() for rule in self.rules if rule.cel]:
            result["x-kubernetes-validations"] = rules
        return result

    def _check(self, value: Any) -> Any:
        for rule in self.rules:
            rule.check(value)
        return value


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

    @pydantic.model_validator(mode="before")
    @classmethod
    def _refuse_null(cls, data: Any) -> Any:
        """Refuse an explicit null, as server-side apply does."""
        if isinstance(data, dict):
            for name, value in data.items():
                if value is None:
                    raise pydantic_core.PydanticCustomError(
                        "null",
                        "{name}: {message}",
                        {"name": name, "message": "null is not a value; leave the field out to inherit it"},
                    )
        return data

    @pydantic.model_validator(mode="after")
    def _check_rules(self) -> Self:
        for rule in self.RULES:
            rule.check(self)
        return self

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: core_schema.CoreSchema, handler: pydantic.GetJsonSchemaHandler
    ) -> json_schema.JsonSchemaValue:
        result = handler(schema)
        if cls.RULES:
            resolved = handler.resolve_ref_schema(result)
            resolved["x-kubernetes-validations"] = [rule.as_validation() for rule in cls.RULES]
        return result


def cel_matches(pattern: str, value: str = "self") -> str:
    """Return the CEL test that a whole value matches a pattern, in the syntax that RE2 and Python share.

    In RE2 `$` is the end of the text, and not also the place before a final line break as in Python.
    """
    escaped = pattern.replace("\\", "\\\\").replace("'", "\\'")
    return f"{value}.matches('^({escaped})$')"


ATOMIC = Checked((), "atomic")
"""A list that one manager owns as a whole."""

SET = Checked(
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
