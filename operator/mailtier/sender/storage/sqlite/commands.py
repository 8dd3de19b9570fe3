"""What is to be committed: items of work, who waits for them, and how many of them go together."""

import collections
import dataclasses
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, Protocol, TypeAlias, TypeVar

_T = TypeVar("_T")
_T_co = TypeVar("_T_co", covariant=True)
_Item_contra = TypeVar("_Item_contra", contravariant=True)

BATCH_ITEMS: Final = 128
"""What one transaction takes at most, here and below. The log grows by it before a checkpoint can empty it, and a full
volume is noticed between two of them."""
_BATCH_BYTES: Final = 4 * 1024 * 1024


class Work(Protocol[_Item_contra, _T_co]):
    """Work of one kind, which is done for many items at once: a statement for all of them costs far less than one each.

    It is a function of a module, or made once: commands that have the same one are done together.
    """

    def __call__(self, connection: sqlite3.Connection, items: Sequence[_Item_contra], /) -> Sequence[_T_co | Exception]:
        """Return what each item comes to, in their order, or why it alone comes to nothing and changes nothing."""


Step: TypeAlias = Callable[[sqlite3.Connection], _T]
"""Work that is done alone."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """Items of one kind of work for a transaction, and who waits for them.

    Attributes:
        tell: Called on the event loop with the items, and with what each comes to, or why it comes to nothing.
        weight_bytes: Of each item.
    """

    work: Work[Any, Any]
    items: Sequence[Any]
    tell: Callable[[Sequence[Any], Sequence[Any]], None]
    essential: bool
    weight_bytes: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What the items of a command come to; an exception for one that comes to nothing."""

    command: Command
    found: Sequence[Any]


def take_batch(backlog: collections.deque[Command], *, most: int) -> list[Command]:
    """Take out and return what one transaction takes of a backlog.

    Args:
        most: Items of it.
    """
    batch: list[Command] = []
    room, weight_bytes = most, 0
    while backlog and room and weight_bytes < _BATCH_BYTES:
        command = backlog.popleft()
        if len(command.items) > room:
            # What does not fit at once may fit in parts.
            backlog.appendleft(dataclasses.replace(command, items=command.items[room:]))
            command = dataclasses.replace(command, items=command.items[:room])
        room -= len(command.items)
        weight_bytes += command.weight_bytes * len(command.items)
        batch.append(command)
    return batch


def steps(connection: sqlite3.Connection, steps: Sequence[Step[Any]]) -> Sequence[Any]:
    """Do what is done alone, each in its place."""
    return [step(connection) for step in steps]


def count(batch: Sequence[Command]) -> int:
    """Return how many items there are."""
    return sum(len(command.items) for command in batch)


def portions(batch: Sequence[Command]) -> Iterator[Sequence[Command]]:
    """Yield commands of one kind together; what is done alone stays where it is, as it may ask for what came before."""
    together: dict[Work[Any, Any], list[Command]] = {}
    for command in batch:
        if command.work is steps:
            yield from together.values()
            together.clear()
            yield (command,)
        else:
            together.setdefault(command.work, []).append(command)
    yield from together.values()
