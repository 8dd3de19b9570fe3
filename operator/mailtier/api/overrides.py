"""How the owner of an endpoint overrides what is made of a server's reply: as it is written, and as it acts."""

import dataclasses
from typing import Annotated, ClassVar, Final

import pydantic

from mailtier.api import schema, text, types, vocabulary

_EnhancedCode = Annotated[
    str,
    pydantic.Field(min_length=5, max_length=9),
    schema.Checked(
        (
            types.whole(
                r"[45]\.(0|[1-9][0-9]{0,2})\.(0|[1-9][0-9]{0,2})",
                "must be an enhanced status code of a refusal, such as 5.7.1 or 4.2.2",
            ),
        )
    ),
]
_Words = Annotated[str, pydantic.Field(min_length=1, max_length=128), schema.Checked((types.ONE_LINE,))]

_PERMANENT: Final = 500
"""The first basic code of a refusal for good (RFC 5321 section 4.2.1)."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ReplyOverride:
    """A reply, and what is made of it; what is None matches every reply.

    Attributes:
        code: The basic code.
        enhanced: The enhanced code.
        text: Words of the reply, whatever their ASCII case.
    """

    code: int | None
    enhanced: str | None
    text: str | None
    action: vocabulary.ReplyAction

    def covers(self, other: "ReplyOverride") -> bool:
        """Return whether it matches every reply that another one matches."""
        return (
            self.code in {None, other.code}
            and self.enhanced in {None, other.enhanced}
            and (
                self.text is None
                or (other.text is not None and text.lower_ascii(self.text) in text.lower_ascii(other.text))
            )
        )

    def __str__(self) -> str:
        quoted = None if self.text is None else f'"{self.text}"'
        matched = " ".join(str(part) for part in (self.code, self.enhanced, quoted) if part is not None)
        return f"{matched}: {self.action}"


class ReplyRule(schema.Model):
    """A reply of the server to MAIL, RCPT, DATA or the message, and what is made of it; all of it must match."""

    code: Annotated[int, pydantic.Field(ge=400, le=599, strict=True)] | None = None
    """The basic code, such as 554."""
    enhanced: _EnhancedCode | None = None
    """The enhanced code, such as 5.7.1."""
    text: _Words | None = None
    """A part of the reply's text behind the codes, in upper or lower case; its lines are joined by blanks."""
    action: vocabulary.ReplyAction
    """Defer (the message is tried again until its max age), Hold (the settings are refused: after three such replies
    the messages of this class wait, and Verified is False) or Fail (the recipient has failed for good)."""

    RULES: ClassVar = (
        schema.Rule(
            cel="has(self.code) || has(self.enhanced) || has(self.text)",
            holds=lambda rule: (rule.code, rule.enhanced, rule.text) != (None, None, None),
            message="matches every reply; set code, enhanced or text",
        ),
        schema.Rule(
            cel="!has(self.code) || !has(self.enhanced) || "
            f"self.enhanced.startsWith('4') == (self.code < {_PERMANENT})",
            holds=lambda rule: (
                rule.code is None or rule.enhanced is None or rule.enhanced.startswith("4") == (rule.code < _PERMANENT)
            ),
            message="matches no reply: code and enhanced begin with the same digit; mend one, or remove it",
        ),
    )

    def as_override(self) -> ReplyOverride:
        """Return it as it acts."""
        return ReplyOverride(code=self.code, enhanced=self.enhanced, text=self.text, action=self.action)


ReplyRules = Annotated[list[ReplyRule], pydantic.Field(max_length=20), schema.ATOMIC]
