"""Requests: rows in which the intake asks delivery for something, and delivery answers.

A row rather than a call: the two are processes of their own, perhaps on machines of their own. Each says until when
somebody has to take it, so that a delivery that is dead leaves its asker with a clear answer and nothing piles up.

`tests/contract/queue/test_requests.py` holds the contract; every backend passes it.
"""

import dataclasses
import datetime as dt
import enum
from collections.abc import Callable, Sequence
from typing import Final, Protocol

MOST_OPEN: Final = 16
"""R15: of so many requests of a namespace the rows are kept at the same time; those of the host are counted alike."""


class RequestKind(enum.StrEnum):
    """What is asked for."""

    PROBE = "probe"
    RELEASE = "release"
    DROP = "drop"
    END_NAMESPACE = "end namespace"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class NewRequest:
    """A request that is to be stored.

    Attributes:
        namespace_uid: Whose share it takes; "" for the host.
        body: JSON, as the kind has it; no more of it than names, numbers and uids (R1).
        asked_at: Aware UTC time.
        take_by: Aware UTC time; whoever takes it later would do so for nobody.
    """

    namespace_uid: str
    kind: RequestKind
    body: str
    asked_at: dt.datetime
    take_by: dt.datetime


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TakenRequest:
    """A request that delivery has taken, and answers by its number."""

    number: int
    kind: RequestKind
    body: str


def everything(_request: TakenRequest) -> bool:
    """Return that a request is this sender's: there is no other."""
    return True


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RequestAnswer:
    """What delivery has answered up to now.

    Attributes:
        body: JSON, as the kind has it; None where it answered nothing yet.
        is_final: Whether no more comes.
    """

    body: str | None
    is_final: bool


class TooManyRequestsError(Exception):
    """As many requests of the namespace are open as may be."""


class AskingQueue(Protocol):
    """What the intake asks of the rows of requests."""

    async def ask(self, request: NewRequest) -> int:
        """Store a request, and return its number; what nobody took in time, or is long answered, goes with this.

        Raises:
            TooManyRequestsError: Too many of its namespace are open.
            StorageFullError: The volume is too full.
        """

    async def reply_to(self, number: int) -> RequestAnswer | None:
        """Return what was answered; None where there is no such request (any more)."""

    async def withdraw(self, number: int) -> None:
        """Remove a request: its asker knows what it wanted to, or has given up."""


class AnsweringQueue(Protocol):
    """What delivery asks of the rows of requests."""

    async def take_requests(
        self, *, now: dt.datetime, is_mine: Callable[[TakenRequest], bool] = everything
    ) -> Sequence[TakenRequest]:
        """Return requests that nobody has taken, in the order in which they were asked, and take them.

        What a delivery took that ended since, and did not answer to the end, is given to the next one: each request is
        carried out at least once.

        Args:
            now: Aware UTC time.
            is_mine: Whether a request is this sender's to take, where others could take it as well.
        """

    async def reply(self, number: int, body: str, *, is_final: bool) -> bool:
        """Store an answer in the place of the one before it; return whether anybody waits for it still."""
