"""What delivery shows of itself, for the intake to tell: rows, written where they change.

`tests/contract/queue/test_displays.py` holds the contract; every backend passes it.
"""

import dataclasses
from collections.abc import Mapping
from typing import Protocol

from mailtier.sender import ports


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ShownTexts:
    """What was shown since a cursor.

    Attributes:
        cursor: To go on from.
        texts: JSON by organization; None where nothing is shown of it any more.
    """

    cursor: int
    texts: Mapping[ports.LaneKey, str | None]


class ShowingQueue(Protocol):
    """What delivery asks of the rows of displays."""

    async def show(self, texts: Mapping[ports.LaneKey, str | None]) -> None:
        """Show of organizations these texts instead of those before; None for nothing."""

    async def show_nothing(self) -> None:
        """Take back all that is shown: it was a delivery's that has ended."""


class ShownQueue(Protocol):
    """What the intake asks of the rows of displays."""

    async def shown(self, after: int) -> ShownTexts:
        """Return what changed after a cursor; 0 for everything."""
