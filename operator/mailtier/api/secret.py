"""A value that must not be seen by accident (R1)."""

import dataclasses
from typing import NoReturn


@dataclasses.dataclass(frozen=True, slots=True, repr=False)
class Hidden:
    """A secret text whose repr, str and pickle never show it.

    Attributes:
        reveal: The text. Reading it is deliberate, and easy to search for.
    """

    reveal: str

    @property
    def raw(self) -> bytes:
        """The bytes that it was read from; what in them is not UTF-8 stands in the text as surrogates."""
        return self.reveal.encode("utf-8", "surrogateescape")

    def __repr__(self) -> str:
        return "Hidden(...)"

    def __str__(self) -> str:
        return "(hidden)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a hidden value is not serialized")
