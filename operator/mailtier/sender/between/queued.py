"""How much is queued of whom, as people are told it beside what delivery does with it.

`tests/contract/queue/test_queued.py` holds the contract; every backend passes it.
"""

import dataclasses
import datetime as dt
from collections.abc import Sequence
from typing import Protocol

from mailtier.api import vocabulary
from mailtier.sender import ports


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class QueuedCount:
    """How many recipients of a backlog are in one state.

    Attributes:
        state: One that is not final.
        recipients: At least 1.
        oldest_at: When the oldest of their notifications was accepted, aware UTC.
    """

    backlog: ports.BacklogKey
    state: vocabulary.RecipientState
    recipients: int
    oldest_at: dt.datetime


class CountingQueue(Protocol):
    """A queue that tells what it holds."""

    async def queued(self) -> Sequence[QueuedCount]:
        """Return what is queued, each backlog and state once; it takes as long as there are unfinished recipients."""
