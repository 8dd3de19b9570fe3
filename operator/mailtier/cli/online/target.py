"""The organization that a command speaks of, and how long it may take, as people write them."""

import dataclasses
import datetime as dt
from typing import Self

import typer

from mailtier.api import names, types

_LONGEST = dt.timedelta(hours=24)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class OrganizationName:
    """An organization by its names."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the organization of NAMESPACE or NAMESPACE/NAME.

        Raises:
            BadParameter: It is not of that form.
        """
        namespace, slash, name = text.partition("/")
        name = name if slash else names.DEFAULT_ORGANIZATION
        if not namespace or not name or "/" in name:
            raise typer.BadParameter(
                f"{text!r} is not NAMESPACE/NAME, such as acme/default; the name alone of a namespace means"
                f" {names.DEFAULT_ORGANIZATION}",
                param_hint="ORGANIZATION",
            )
        return cls(namespace=namespace, name=name)


def parse_timeout(text: str) -> dt.timedelta:
    """Return the time-out that an option says.

    Raises:
        BadParameter: It is no duration, or an absurd one.
    """
    try:
        # A number alone is seconds, as timeout(1) has it.
        found = types.parse_duration(f"{text}s" if text.isascii() and text.isdecimal() else text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--timeout") from None
    if not dt.timedelta() < found <= _LONGEST:
        raise typer.BadParameter("must be between 1s and 24h", param_hint="--timeout")
    return found
