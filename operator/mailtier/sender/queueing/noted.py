"""What need not be waited for, where most of a kind need not be and some must."""

from collections.abc import Awaitable, Generator
from typing import Final


class _Noted:
    """Awaited, it is there at once; whoever knows it does not even ask."""

    def __await__(self) -> Generator[None, None, None]:
        yield from ()


NOTED: Final[Awaitable[None]] = _Noted()
"""It is noted already: what `note_dot` of a queue returns where nobody has to wait for it."""
