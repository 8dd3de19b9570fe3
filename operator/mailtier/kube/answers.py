"""Answers remembered for a short while, and each question asked once at a time."""

import asyncio
import collections
import dataclasses
from collections.abc import Callable, Coroutine, Hashable
from typing import Any, Generic, TypeVar

_Question = TypeVar("_Question", bound=Hashable)
_Value = TypeVar("_Value")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Answer(Generic[_Value]):
    """What was answered.

    Attributes:
        favourable: Which of two stores keeps it: a flood of refused questions evicts no favourable answer.
        seconds: How long it is kept.
    """

    value: _Value
    favourable: bool
    seconds: float


class Answers(Generic[_Question, _Value]):
    """Answers by question.

    Args:
        limit: Answers of each sort that are kept; the oldest goes first.
        monotonic: Returns seconds of a clock that never jumps.
    """

    def __init__(self, *, limit: int, monotonic: Callable[[], float]) -> None:
        self._limit = limit
        self._monotonic = monotonic
        self._kept: dict[bool, collections.OrderedDict[_Question, tuple[_Value, float]]] = {
            True: collections.OrderedDict(),
            False: collections.OrderedDict(),
        }
        self._asking: dict[_Question, asyncio.Task[_Value]] = {}

    def favourable(self, question: _Question) -> _Value | None:
        """Return the favourable answer that is kept, without asking; None where there is none."""
        found = self._kept[True].get(question)
        return None if found is None or found[1] <= self._monotonic() else found[0]

    async def get(self, question: _Question, ask: Callable[[], Coroutine[Any, Any, Answer[_Value]]]) -> _Value:
        """Return the kept answer, that of a question already on its way, or a new one.

        What `ask` raises reaches everybody who waits, and is not kept.
        """
        now = self._monotonic()
        for kept in self._kept.values():
            if question in kept:
                value, expires_at = kept[question]
                if now < expires_at:
                    return value
                del kept[question]
        task = self._asking.get(question)
        if task is None:
            # A task of its own: whoever asked first may be cancelled while others wait.
            task = self._asking[question] = asyncio.create_task(self._ask(question, ask))
            # When all who waited are gone, nobody else looks at the exception.
            task.add_done_callback(lambda done: done.cancelled() or done.exception())
        return await asyncio.shield(task)

    async def _ask(self, question: _Question, ask: Callable[[], Coroutine[Any, Any, Answer[_Value]]]) -> _Value:
        try:
            answer = await ask()
        finally:
            del self._asking[question]
        kept = self._kept[answer.favourable]
        kept[question] = (answer.value, self._monotonic() + answer.seconds)
        if len(kept) > self._limit:
            kept.popitem(last=False)
        return answer.value
